"""What a producer that is not transactional is waited for."""

import time

from confluent_kafka import Producer

#: The client answers at once; between two looks somebody may have interrupted us.
_LOOK_SECONDS = 0.1


def await_answers(producer: Producer, seconds: float) -> int:
    """
    Wait until the broker has answered for every record; return how many have no answer yet.

    Raise `KafkaException` if the client has ended for good, a missing permission for one. The
    client's own `flush` goes on calling back with that exception pending: the callbacks see calls
    go wrong that cannot, and sometimes the exception is lost. `poll` stops where it was raised.
    """
    deadline = time.monotonic() + seconds
    while len(producer) and (left := deadline - time.monotonic()) > 0:
        producer.poll(min(left, _LOOK_SECONDS))
    return len(producer)
