import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.EncoderFactory;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaClientSupplier;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;

/**
 * The router's work by Kafka Streams: row filter, omitted items, exactly once, one thread.
 *
 * <p>Reads one job a line, as JSON, and answers each with the seconds it took. Jobs follow one
 * another in one process, so that what has been compiled in the first is there for the others.
 */
public final class KafkaStreamsPeer {
    private static final long WAIT_SECONDS = 120;
    private static final int PREFIX_BYTES = 5;

    private final JsonNode job;
    private final long last;
    private final CountDownLatch done = new CountDownLatch(1);
    private volatile long started;
    private volatile long ended;
    private volatile Throwable failure;

    private KafkaStreamsPeer(JsonNode job) {
        this.job = job;
        this.last = job.get("end").asLong() - 1;
    }

    public static void main(String[] arguments) throws Exception {
        var mapper = new ObjectMapper();
        var lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (var line = lines.readLine(); line != null; line = lines.readLine()) {
            var seconds = new KafkaStreamsPeer(mapper.readTree(line)).run();
            System.out.println(mapper.writeValueAsString(Map.of("seconds", seconds)));
        }
    }

    private double run() throws Exception {
        try (var streams = new KafkaStreams(topology(), properties(), new TimedClients())) {
            streams.setUncaughtExceptionHandler(error -> {
                failure = error;
                done.countDown();
                return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
            });
            streams.start();
            var inTime = done.await(WAIT_SECONDS, TimeUnit.SECONDS);
            if (failure != null) {
                throw new IllegalStateException(failure);
            }
            if (!inTime) {
                throw new IllegalStateException("not through after " + WAIT_SECONDS + " s");
            }
        }
        if (started == 0) {
            throw new IllegalStateException("the clock was not started");
        }
        return (ended - started) / 1e9;
    }

    private Topology topology() {
        var bytes = Serdes.ByteArray();
        var source = new Schema.Parser().parse(job.get("source_schema").asText());
        var view = new Schema.Parser().parse(job.get("view_schema").asText());
        var records = Serdes.serdeFrom(new Encoder(view)::encode, new Decoder(source)::decode);
        var builder = new StreamsBuilder();
        var views =
                builder.stream(job.get("source").asText(), Consumed.with(bytes, records))
                        .process(() -> new View(source, view));
        if (job.has("targets")) {
            // One view for each county, each with a topic and a schema of its own.
            var county = view.getField("county").pos();
            var topics = new HashMap<String, String>();
            for (var each : job.get("targets").properties()) {
                topics.put(each.getKey(), each.getValue().get("topic").asText());
            }
            views.to(
                    (key, value, context) -> topics.get(value.get(county).toString()),
                    Produced.with(bytes, records));
        } else {
            views.to(job.get("target").asText(), Produced.with(bytes, records));
        }
        return builder.build();
    }

    /** The batches are as large as the router's, and so are the times they are waited for. */
    private Properties properties() {
        var all = new Properties();
        all.put(StreamsConfig.APPLICATION_ID_CONFIG, job.get("group").asText());
        all.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, job.get("bootstrap").asText());
        all.put(StreamsConfig.STATE_DIR_CONFIG, job.get("folder").asText());
        all.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        all.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, job.get("commit_milliseconds").asInt());
        all.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
        all.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
        all.put(StreamsConfig.BUFFERED_RECORDS_PER_PARTITION_CONFIG, 20_000);
        all.put("security.protocol", "SASL_PLAINTEXT");
        all.put("sasl.mechanism", "SCRAM-SHA-512");
        all.put(
                "sasl.jaas.config",
                String.format(
                        "org.apache.kafka.common.security.scram.ScramLoginModule required"
                                + " username=\"%s\" password=\"%s\";",
                        job.get("username").asText(), job.get("password").asText()));
        all.put(StreamsConfig.consumerPrefix("auto.offset.reset"), "none");
        all.put(StreamsConfig.consumerPrefix("max.poll.records"), 10_000);
        all.put(StreamsConfig.consumerPrefix("max.partition.fetch.bytes"), 8 << 20);
        all.put(StreamsConfig.consumerPrefix("fetch.max.wait.ms"), 250);
        all.put(StreamsConfig.producerPrefix("compression.type"), "lz4");
        all.put(StreamsConfig.producerPrefix("linger.ms"), 20);
        all.put(StreamsConfig.producerPrefix("batch.size"), 1 << 20);
        all.put(StreamsConfig.producerPrefix("buffer.memory"), 256 << 20);
        return all;
    }

    /** Source records in Confluent wire format. */
    private final class Decoder {
        private final GenericDatumReader<GenericRecord> reader;
        private final int schemaId = job.get("source_schema_id").asInt();
        private BinaryDecoder decoder;

        Decoder(Schema schema) {
            reader = new GenericDatumReader<>(schema);
        }

        GenericRecord decode(String topic, byte[] value) {
            if (value[0] != 0 || ByteBuffer.wrap(value).getInt(1) != schemaId) {
                throw new IllegalArgumentException("a record of another schema");
            }
            try {
                var length = value.length - PREFIX_BYTES;
                decoder = DecoderFactory.get().binaryDecoder(value, PREFIX_BYTES, length, decoder);
                return reader.read(null, decoder);
            } catch (IOException error) {
                throw new UncheckedIOException(error);
            }
        }
    }

    private final class Encoder {
        private final GenericDatumWriter<GenericRecord> writer;
        private final byte[] prefix = prefix(job.get("view_schema_id").asInt());
        private final Map<String, byte[]> prefixes = new HashMap<>();
        private final ByteArrayOutputStream out = new ByteArrayOutputStream(512);
        private BinaryEncoder encoder;

        Encoder(Schema schema) {
            writer = new GenericDatumWriter<>(schema);
            if (job.has("targets")) {
                for (var each : job.get("targets").properties()) {
                    var target = each.getValue();
                    prefixes.put(
                            target.get("topic").asText(),
                            prefix(target.get("schema_id").asInt()));
                }
            }
        }

        private static byte[] prefix(int schemaId) {
            return ByteBuffer.allocate(PREFIX_BYTES).putInt(1, schemaId).array();
        }

        byte[] encode(String topic, GenericRecord view) {
            try {
                out.reset();
                out.writeBytes(prefixes.getOrDefault(topic, prefix));
                encoder = EncoderFactory.get().binaryEncoder(out, encoder);
                writer.write(view, encoder);
                encoder.flush();
                return out.toByteArray();
            } catch (IOException error) {
                throw new UncheckedIOException(error);
            }
        }
    }

    /** Row filter and omitted items; what the router says of a record goes into its `meta`. */
    private final class View implements Processor<byte[], GenericRecord, byte[], GenericRecord> {
        private final Schema schema;
        private final Schema metaSchema;
        private final int tier;
        /** Where the fields of the view stand in the source; `meta` comes first in both. */
        private final int[] kept;
        private final int highestTier = job.get("highest_tier").asInt();
        private final String provider = job.get("provider").asText();
        private final int entryVersion = job.get("entry_version").asInt();
        private final int generation = job.get("generation").asInt();
        private ProcessorContext<byte[], GenericRecord> context;

        View(Schema source, Schema view) {
            schema = view;
            metaSchema = view.getField("meta").schema();
            tier = source.getField("tier").pos();
            kept =
                    view.getFields().stream()
                            .mapToInt(each -> source.getField(each.name()).pos())
                            .toArray();
        }

        @Override
        public void init(ProcessorContext<byte[], GenericRecord> context) {
            this.context = context;
        }

        @Override
        public void process(Record<byte[], GenericRecord> record) {
            var position = context.recordMetadata().orElseThrow().offset();
            var read = record.value();
            if ((int) read.get(tier) <= highestTier) {
                context.forward(record.withValue(view(read, position)));
            }
            if (position == last) {
                // Nobody waits for the rest of the commit interval.
                context.commit();
            }
        }

        private GenericRecord view(GenericRecord read, long position) {
            var view = new GenericData.Record(schema);
            for (var place = 1; place < kept.length; place++) {
                view.put(place, read.get(kept[place]));
            }
            view.put(0, meta((GenericRecord) read.get(kept[0]), position));
            return view;
        }

        private GenericRecord meta(GenericRecord event, long position) {
            var meta = new GenericData.Record(metaSchema);
            meta.put(0, event.get(0)); // event_id
            meta.put(1, event.get(1)); // occurred_at
            meta.put(2, provider);
            meta.put(3, entryVersion);
            meta.put(4, generation);
            meta.put(5, 0); // partition
            meta.put(6, position);
            return meta;
        }
    }

    /** The clients as Kafka Streams would make them, with a clock. */
    private final class TimedClients implements KafkaClientSupplier {
        @Override
        public Admin getAdmin(Map<String, Object> config) {
            return Admin.create(config);
        }

        @Override
        public Producer<byte[], byte[]> getProducer(Map<String, Object> config) {
            return new TimedProducer(config);
        }

        @Override
        public Consumer<byte[], byte[]> getConsumer(Map<String, Object> config) {
            return new TimedConsumer(config);
        }

        @Override
        public Consumer<byte[], byte[]> getRestoreConsumer(Map<String, Object> config) {
            return new KafkaConsumer<>(
                    config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
        }

        @Override
        public Consumer<byte[], byte[]> getGlobalConsumer(Map<String, Object> config) {
            return getRestoreConsumer(config);
        }
    }

    /** The clock starts with the first records. */
    private final class TimedConsumer extends KafkaConsumer<byte[], byte[]> {
        TimedConsumer(Map<String, Object> config) {
            super(config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
        }

        @Override
        public ConsumerRecords<byte[], byte[]> poll(Duration timeout) {
            ConsumerRecords<byte[], byte[]> records = super.poll(timeout);
            if (started == 0 && !records.isEmpty()) {
                started = System.nanoTime();
            }
            return records;
        }
    }

    /** The clock stops when all positions are committed. */
    private final class TimedProducer extends KafkaProducer<byte[], byte[]> {
        private boolean complete;

        TimedProducer(Map<String, Object> config) {
            super(config, new ByteArraySerializer(), new ByteArraySerializer());
        }

        @Override
        public void sendOffsetsToTransaction(
                Map<TopicPartition, OffsetAndMetadata> offsets, ConsumerGroupMetadata group) {
            complete = offsets.values().stream().anyMatch(each -> each.offset() > last);
            super.sendOffsetsToTransaction(offsets, group);
        }

        @Override
        public void commitTransaction() {
            super.commitTransaction();
            if (complete && done.getCount() > 0) {
                ended = System.nanoTime();
                done.countDown();
            }
        }
    }
}
