"""fastavro and Apache avro: the bus's own events, and what owners of data read and write."""
