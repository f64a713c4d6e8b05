"""
Who takes records one by one from compiled code, which needs no object for each then.

The module is compiled where there is a C compiler: `record_sink.pxd` has the types.
"""


class RecordSink:
    """Asked for each record, and so a class that compiled code can call without a detour."""

    def put(self, topic: str, partition: int, key: bytes, value: bytes, timestamp: int) -> bool:
        """
        Take a record to be written; `timestamp` in milliseconds.

        False if it was not taken: it is to be handed to `RecordWriter.write`, which knows how to
        wait, and how to fail.
        """
        raise NotImplementedError
