"""Administrative calls that survive an idle connection."""

from collections.abc import Callable
from typing import Any

from confluent_kafka import KafkaError, KafkaException

#: Brokers close connections that are idle for some seconds (design.md §10). A request that is sent
#: at that moment is lost, and only the client knows; what is asked for here may be asked for again.
_TRIES = 4


def again_after_transport(call: Callable[[], Any]) -> Any:  # noqa: ANN401 (the library types it so)
    """Make an idempotent call; make it again if the connection was lost on the way."""
    for _ in range(_TRIES - 1):
        try:
            return call()
        except KafkaException as error:
            if error.args[0].code() != KafkaError._TRANSPORT:  # noqa: SLF001
                raise
    return call()
