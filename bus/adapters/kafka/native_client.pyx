# cython: language_level=3, freethreading_compatible=False
"""
The two calls that every record costs, made of librdkafka itself.

confluent-kafka makes an object of every record that is read, with six more inside it, and takes
every record that is written apart again: that was half of what a record cost the router
(docs/adr/0026-native-records.md). Everything else, from connecting to committing, is left to it; what is called
here are public functions of the librdkafka that it has loaded, on the client that it has made.

Where a client lies in its object is known of the releases of confluent-kafka in `_KNOWN`. With any other,
and where nothing was compiled, the router uses confluent-kafka's own calls.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport free, malloc, realloc
from posix.unistd cimport close, read

from bus.ports.read_record cimport ReadRecord
from bus.ports.record_sink cimport RecordSink

import os

import confluent_kafka
from confluent_kafka import KafkaError, cimpl

#: Releases whose objects were looked at: the client is the first that stands in them.
_KNOWN = {"2.16.0": 176}

cdef extern from "dlfcn.h" nogil:
    void *dlopen(const char *, int)
    void *dlsym(void *, const char *)
    int RTLD_NOW
    int RTLD_NOLOAD

cdef extern from "poll.h" nogil:
    struct pollfd:
        int fd
        short events
        short revents
    int poll(pollfd *, unsigned long, int)
    short POLLIN

# From rdkafka.h, whose interface is stable: names there are given here.
cdef struct Message:  # rd_kafka_message_t
    int err
    void *topic
    int32_t partition
    void *value
    size_t value_size
    void *key
    size_t key_size
    int64_t offset
    void *of_the_client

cdef struct Handle:
    # What stands in every object, and what confluent-kafka keeps first in its clients.
    Py_ssize_t references
    void *type
    void *client

cdef enum:
    PRODUCER = 0
    CONSUMER = 1

cdef enum:
    END = 0
    TOPIC = 2  # by its handle
    PARTITION = 3
    VALUE = 4
    KEY = 5
    FLAGS = 7
    TIMESTAMP = 8
    HEADERS = 10  # which are the client's own as soon as it has taken the record

cdef enum:
    COPY = 2

ctypedef ssize_t (*_ConsumeBatch)(void *, int, Message **, size_t) noexcept nogil
ctypedef void (*_Destroy)(void *) noexcept nogil
ctypedef int64_t (*_Timestamp)(const Message *, int *) noexcept
ctypedef const char *(*_ErrorText)(const Message *) noexcept
ctypedef int (*_Headers)(const Message *, void **) noexcept
ctypedef int (*_Header)(void *, size_t, const char **, const void **, size_t *) noexcept
ctypedef size_t (*_QueueLength)(void *) noexcept
ctypedef void (*_WakeUp)(void *, int, const void *, size_t) noexcept
ctypedef void *(*_QueueOfConsumer)(void *) noexcept
ctypedef void *(*_QueueOfPartition)(void *, const char *, int32_t) noexcept
ctypedef void (*_Forward)(void *, void *) noexcept
ctypedef int (*_Produce)(void *, ...) noexcept
ctypedef void *(*_Topic)(void *, const char *, void *) noexcept
ctypedef int (*_Type)(void *) noexcept
ctypedef void *(*_NewHeaders)(size_t) noexcept
ctypedef int (*_AddHeader)(void *, const char *, ssize_t, const void *, ssize_t) noexcept

cdef _ConsumeBatch consume_batch
cdef _Destroy message_destroy, queue_destroy, topic_destroy, headers_destroy
cdef _Timestamp message_timestamp
cdef _ErrorText error_text
cdef _Headers message_headers
cdef _Header header_at
cdef _QueueLength queue_length
cdef _WakeUp wake_up
cdef _QueueOfConsumer queue_of_consumer
cdef _QueueOfPartition queue_of_partition
cdef _Forward queue_forward
cdef _Topic topic_new
cdef _Produce produce_one
cdef _Type client_type
cdef _NewHeaders headers_new
cdef _AddHeader header_add


cdef bint _find() except -1:
    """Find the functions in what confluent-kafka has loaded; False if they are not there."""
    global consume_batch, message_destroy, message_timestamp, message_headers, header_at, error_text
    global queue_of_consumer, queue_of_partition, queue_forward, queue_length, queue_destroy
    global wake_up, topic_new, topic_destroy, produce_one, client_type
    global headers_new, header_add, headers_destroy
    cdef bytes path = cimpl.__file__.encode()
    cdef void *library = dlopen(PyBytes_AS_STRING(path), RTLD_NOW | RTLD_NOLOAD)
    if library == NULL:
        return False
    consume_batch = <_ConsumeBatch>dlsym(library, b"rd_kafka_consume_batch_queue")
    message_destroy = <_Destroy>dlsym(library, b"rd_kafka_message_destroy")
    queue_destroy = <_Destroy>dlsym(library, b"rd_kafka_queue_destroy")
    message_timestamp = <_Timestamp>dlsym(library, b"rd_kafka_message_timestamp")
    error_text = <_ErrorText>dlsym(library, b"rd_kafka_message_errstr")
    message_headers = <_Headers>dlsym(library, b"rd_kafka_message_headers")
    header_at = <_Header>dlsym(library, b"rd_kafka_header_get_all")
    queue_length = <_QueueLength>dlsym(library, b"rd_kafka_queue_length")
    wake_up = <_WakeUp>dlsym(library, b"rd_kafka_queue_io_event_enable")
    queue_of_consumer = <_QueueOfConsumer>dlsym(library, b"rd_kafka_queue_get_consumer")
    queue_of_partition = <_QueueOfPartition>dlsym(library, b"rd_kafka_queue_get_partition")
    queue_forward = <_Forward>dlsym(library, b"rd_kafka_queue_forward")
    topic_new = <_Topic>dlsym(library, b"rd_kafka_topic_new")
    topic_destroy = <_Destroy>dlsym(library, b"rd_kafka_topic_destroy")
    produce_one = <_Produce>dlsym(library, b"rd_kafka_producev")
    client_type = <_Type>dlsym(library, b"rd_kafka_type")
    headers_new = <_NewHeaders>dlsym(library, b"rd_kafka_headers_new")
    header_add = <_AddHeader>dlsym(library, b"rd_kafka_header_add")
    headers_destroy = <_Destroy>dlsym(library, b"rd_kafka_headers_destroy")
    return not (
        consume_batch == NULL or message_destroy == NULL or message_timestamp == NULL
        or message_headers == NULL or header_at == NULL or error_text == NULL
        or queue_of_consumer == NULL or queue_of_partition == NULL or queue_forward == NULL
        or queue_length == NULL or queue_destroy == NULL or wake_up == NULL
        or topic_new == NULL or topic_destroy == NULL
        or produce_one == NULL or client_type == NULL
        or headers_new == NULL or header_add == NULL or headers_destroy == NULL
    )


cdef bint _available = _find()


cdef void *_client(object made, object kind, int expected) except? NULL:
    """Return the client in an object of confluent-kafka; NULL if it is none that is known."""
    if not _available or type(made) is not kind:
        return NULL
    if _KNOWN.get(confluent_kafka.version()) != kind.__basicsize__:
        return NULL
    cdef void *client = (<Handle *><void *>made).client
    if client == NULL or client_type(client) != expected:
        return NULL
    return client


@cython.final
cdef class ReadError:
    """What is wrong where a record should be; see `Message` of confluent-kafka."""

    cdef str _topic
    cdef int32_t _partition
    cdef int64_t _offset
    cdef object _error

    def topic(self):
        return self._topic

    def partition(self):
        return self._partition

    def offset(self):
        return self._offset

    def error(self):
        return self._error


@cython.final
cdef class RecordQueues:
    """
    The queues of partitions of a consumer, apart from what else it has to say.

    Rebalances and the client's own errors stay in the consumer's queue, which is to be served
    besides. Use them in one thread, and close them before the consumer.
    """

    cdef object _consumer
    cdef void *_client
    #: (topic, partition) -> its place in what follows.
    cdef dict _places
    cdef list _partitions
    cdef void **_queues
    #: The consumer's own queue.
    cdef void *_events
    cdef Py_ssize_t _count, _space
    #: Whose turn it is to be read first.
    cdef Py_ssize_t _turn
    cdef Message **_room
    cdef size_t _size
    #: A pipe, into which the client writes when a queue gets something.
    cdef int _wakes, _wake

    def __cinit__(self):
        self._queues = NULL
        self._events = NULL
        self._client = NULL
        self._count = self._space = self._turn = 0
        self._room = NULL
        self._wakes = self._wake = -1

    def __dealloc__(self):
        self._release()

    def take(self, str topic, int32_t partition):
        """Hold the records of a partition here, from before it is given to the client."""
        if (topic, partition) in self._places:
            return
        if self._client == NULL:
            raise RuntimeError("closed")
        self._queues = _with_room(self._queues, self._count, &self._space)
        cdef bytes name = topic.encode()
        cdef void *queue = queue_of_partition(self._client, PyBytes_AS_STRING(name), partition)
        if queue == NULL:
            raise MemoryError
        # From now on the client does not add what comes to its own queue, however often the
        # partition is given back and taken again.
        queue_forward(queue, NULL)
        wake_up(queue, self._wake, <const char *>b"!", 1)
        self._queues[self._count] = queue
        self._places[topic, partition] = self._count
        self._partitions.append((topic, partition))
        self._count += 1

    def release(self, str topic, int32_t partition):
        """Let go of a partition that was given back."""
        place = self._places.pop((topic, partition), None)
        if place is None:
            return
        cdef Py_ssize_t at = place
        wake_up(self._queues[at], -1, NULL, 0)
        queue_destroy(self._queues[at])
        # The last one takes its place.
        self._count -= 1
        last = self._partitions.pop()
        if at != self._count:
            self._queues[at] = self._queues[self._count]
            self._partitions[at] = last
            self._places[last] = at

    def consume(self, Py_ssize_t most, list errors):
        """
        Return up to `most` records that are there, in runs of one partition each.

        What is wrong with a partition, and has an `error()`, is added to `errors`.
        """
        cdef list records = []
        cdef Py_ssize_t looked, at, count, left = min(most, <Py_ssize_t>self._size)
        for looked in range(self._count):
            at = (self._turn + looked) % self._count
            if queue_length(self._queues[at]) == 0:
                continue
            with nogil:
                count = consume_batch(self._queues[at], 0, self._room, left)
            if count > 0:
                _sort_out(self._room, count, self._partitions[at][0], records, errors)
                left -= count
                if left == 0:
                    # The others first, when it is read next.
                    self._turn = at + 1
                    break
        return records

    def wait(self, double seconds):
        """Wait until there may be something to read, for at most `seconds`."""
        # Rounded up: less than one would be none, and the caller would turn in circles.
        cdef int milliseconds = <int>(seconds * 1000) + 1
        cdef pollfd waited
        waited.fd = self._wakes
        waited.events = POLLIN
        waited.revents = 0
        with nogil:
            poll(&waited, 1, milliseconds)

    def forget_wakes(self):
        """What was said before `consume` is called is no news after it."""
        cdef char said[512]
        while read(self._wakes, said, sizeof(said)) == sizeof(said):
            pass

    def close(self):
        """Let go of all. The consumer may be closed then; there is nothing to read any more."""
        self._places.clear()
        self._partitions.clear()
        self._release()

    cdef void _release(self) noexcept:
        cdef Py_ssize_t at
        for at in range(self._count):
            wake_up(self._queues[at], -1, NULL, 0)
            queue_destroy(self._queues[at])
        self._count = 0
        if self._events != NULL:
            wake_up(self._events, -1, NULL, 0)
            queue_destroy(self._events)
            self._events = NULL
        self._client = NULL
        free(self._queues)
        free(self._room)
        self._queues = NULL
        self._room = NULL
        self._space = 0
        if self._wakes >= 0:
            close(self._wakes)
            close(self._wake)
            self._wakes = self._wake = -1


cdef int _sort_out(
    Message **room, Py_ssize_t count, str topic, list records, list errors
) except -1:
    """Add what stands in `room`, all of one topic, where it belongs, and free it."""
    cdef Py_ssize_t at
    try:
        for at in range(count):
            if room[at].err:
                errors.append(_error(room[at], topic))
            else:
                records.append(_record(room[at], topic))
    finally:
        for at in range(count):
            message_destroy(room[at])
    return 0


cdef ReadRecord _record(Message *message, str topic):
    cdef ReadRecord record = ReadRecord.__new__(ReadRecord)
    cdef void *headers = NULL
    record.raw_topic = topic
    record.raw_partition = message.partition
    record.position = message.offset
    if message.key != NULL:
        record.raw_key = PyBytes_FromStringAndSize(<const char *>message.key, message.key_size)
    if message.value != NULL:
        record.raw_value = PyBytes_FromStringAndSize(
            <const char *>message.value, message.value_size
        )
    record.time = message_timestamp(message, &record.time_kind)
    if message_headers(message, &headers) == 0:
        record.raw_headers = _read_headers(headers)
    return record


cdef ReadError _error(Message *message, str topic):
    cdef ReadError found = ReadError.__new__(ReadError)
    found._topic = topic
    found._partition = message.partition
    found._offset = message.offset
    found._error = KafkaError(message.err, error_text(message).decode("utf-8", "replace"))
    return found


cdef tuple _read_headers(void *headers):
    cdef list found = []
    cdef size_t at = 0
    cdef const char *name
    cdef const void *value
    cdef size_t size
    while header_at(headers, at, &name, &value, &size) == 0:
        said = None
        if value != NULL:
            said = PyBytes_FromStringAndSize(<const char *>value, size)
        found.append((name.decode("utf-8", "replace"), said))
        at += 1
    return tuple(found)


cdef void *_write_headers(object headers) except NULL:
    """Return headers of the client's, which are to be handed over or destroyed."""
    cdef bytes name, value
    cdef void *made = headers_new(len(headers))
    if made == NULL:
        raise MemoryError
    try:
        for named, value in headers:
            name = named.encode()
            if header_add(made, PyBytes_AS_STRING(name), -1, _start(value), _size(value)):
                raise MemoryError
    except BaseException:
        headers_destroy(made)
        raise
    return made


def queues_of(object consumer, size_t most):
    """
    Return queues for partitions of `consumer` that hand out up to `most` records at a time.

    None if this is no consumer that is known: then its own calls have to do.
    """
    cdef void *client = _client(consumer, confluent_kafka.Consumer, CONSUMER)
    if client == NULL:
        return None
    cdef RecordQueues queues = RecordQueues.__new__(RecordQueues)
    queues._room = <Message **>malloc(most * sizeof(Message *))
    if queues._room == NULL:
        raise MemoryError
    queues._size = most
    queues._consumer = consumer
    queues._client = client
    queues._places = {}
    queues._partitions = []
    queues._wakes, queues._wake = os.pipe()
    os.set_blocking(queues._wakes, False)
    os.set_blocking(queues._wake, False)
    queues._events = queue_of_consumer(client)
    if queues._events == NULL:
        raise MemoryError
    wake_up(queues._events, queues._wake, <const char *>b"!", 1)
    return queues


@cython.final
@cython.no_gc_clear
cdef class RecordProducer(RecordSink):
    """
    A producer that records are handed to, with a handle of each topic that it has been given.

    Of a topic that is told by its name, the client goes through all that it has, for each record.
    Close it before the producer is let go of; whoever forgets to keeps the producer, too.
    """

    cdef object _producer
    cdef void *_client
    #: Topic -> the place of its handle.
    cdef dict _places
    cdef void **_topics
    cdef Py_ssize_t _count, _space
    #: The topic that was met last, and its handle.
    cdef str _topic
    cdef void *_its_handle

    def __cinit__(self):
        self._topics = NULL
        self._its_handle = NULL
        self._client = NULL
        self._count = self._space = 0

    def __dealloc__(self):
        self._release()

    def produce_all(self, object records):
        """
        Hand over `records`, each as in `bus.ports.record_writer.Written`, in order.

        Return how many were taken: the next one is to be handed to the producer itself, which says
        why it does not take it.
        """
        cdef Py_ssize_t taken = 0
        cdef tuple record
        cdef str topic
        cdef bytes key, value
        cdef int32_t partition
        cdef int64_t timestamp
        for record in records:
            topic, partition, key, value, headers, timestamp = record
            if headers is None:
                if not self.put(topic, partition, key, value, timestamp):
                    return taken
            elif not self._put_with(headers, topic, partition, key, value, timestamp):
                return taken
            taken += 1
        return taken

    cpdef bint put(
        self, str topic, int partition, bytes key, bytes value, long long timestamp
    ) except -1:
        """Take a record; see `RecordSink`."""
        if (self._its_handle == NULL or topic is not self._topic) and not self._aim(topic):
            return False
        return not produce_one(
            self._client,
            <int>TOPIC, self._its_handle,
            <int>PARTITION, <int32_t>partition,
            <int>VALUE, _start(value), _size(value),
            <int>KEY, _start(key), _size(key),
            <int>FLAGS, <int>COPY,
            <int>TIMESTAMP, <int64_t>timestamp,
            <int>END,
        )

    cdef bint _put_with(
        self, object headers, str topic, int partition, bytes key, bytes value, long long timestamp
    ) except -1:
        """Do the same with what has headers: a tombstone."""
        if (self._its_handle == NULL or topic is not self._topic) and not self._aim(topic):
            return False
        cdef void *its_headers = _write_headers(headers)
        if produce_one(
            self._client,
            <int>TOPIC, self._its_handle,
            <int>PARTITION, <int32_t>partition,
            <int>VALUE, _start(value), _size(value),
            <int>KEY, _start(key), _size(key),
            <int>FLAGS, <int>COPY,
            <int>TIMESTAMP, <int64_t>timestamp,
            <int>HEADERS, its_headers,
            <int>END,
        ):
            headers_destroy(its_headers)
            return False
        return True

    def close(self):
        """Let go of the topics. The producer may be let go of then."""
        self._places.clear()
        self._release()

    cdef bint _aim(self, str topic) except -1:
        """Make `topic` the one that was met last; False if it is no name of one."""
        if self._client == NULL:
            raise RuntimeError("closed")
        place = self._places.get(topic)
        if place is None:
            self._topics = _with_room(self._topics, self._count, &self._space)
            name = topic.encode()
            self._its_handle = topic_new(self._client, PyBytes_AS_STRING(name), NULL)
            self._topic = None
            if self._its_handle == NULL:
                return False
            self._topics[self._count] = self._its_handle
            self._places[topic] = self._count
            self._count += 1
        else:
            self._its_handle = self._topics[<Py_ssize_t>place]
        self._topic = topic
        return True

    cdef void _release(self) noexcept:
        cdef Py_ssize_t at
        for at in range(self._count):
            topic_destroy(self._topics[at])
        free(self._topics)
        self._topics = NULL
        self._topic = None
        self._its_handle = NULL
        self._count = self._space = 0
        self._client = NULL


def producer_of(object producer):
    """Return what hands records to `producer`; None if it is none that is known."""
    cdef void *client = _client(producer, confluent_kafka.Producer, PRODUCER)
    if client == NULL:
        return None
    cdef RecordProducer made = RecordProducer.__new__(RecordProducer)
    made._producer = producer
    made._client = client
    made._places = {}
    return made


cdef void **_with_room(void **places, Py_ssize_t count, Py_ssize_t *space) except NULL:
    """Return `places`, of which `count` are taken, with room for one more."""
    cdef void *more
    if places == NULL or count == space[0]:
        more = realloc(places, (2 * space[0] + 16) * sizeof(void *))
        if more == NULL:
            raise MemoryError
        space[0] = 2 * space[0] + 16
        return <void **>more
    return places


cdef inline const void *_start(bytes said) noexcept:
    return NULL if said is None else <const void *>PyBytes_AS_STRING(said)


cdef inline size_t _size(bytes said) noexcept:
    return 0 if said is None else <size_t>PyBytes_GET_SIZE(said)
