"""
A router that dies, or stands still, at a named point of its own work.

`python -m tests.faults.doomed_router router` is `onesource router`, and when `DOOM` says
`<point>:<count>:<signal>`, the process sends itself that signal when it comes to the point for the
`count`th time. The points are those between which a transaction has different outcomes.
"""

import json
import os
import signal
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import confluent_kafka
from typing_extensions import override

from bus.adapters.kafka import transactional_writer
from bus.adapters.kafka.group_consumer import KafkaGroupConsumer
from bus.cli.main import main
from bus.ports import Partition
from bus.router import assignment, router
from bus.router.fill import Fill
from bus.router.loading import MembershipLoader
from bus.router.partition_task import ViewSlot
from bus.router.slots import next_slots

DOOM = "DOOM"
#: What a line of the log begins with that says where the fill of a view starts. The state topic
#: does not, if the fill is over in the transaction in which it began.
FILL = "soak-fill"
#: How long records may take to reach the broker before a death that is to leave some there.
_FLUSH_SECONDS = 2.0
#: A call for records returns so few that a transaction with a backlog goes on over many of them,
#: and rebalances come in the middle of it.
_CONSUME_RECORDS = 5
#: A death in the middle of a request comes so soon after it was begun.
_SOON_SECONDS = 0.002

POINTS = (
    "consumed",
    "begun",
    "producing",
    "produced",
    "sending positions",
    "positions sent",
    "committing",
    "committed",
    "aborting",
    "loading membership",
    "filling",
)
#: Comes once a record, not once a transaction.
OFTEN = frozenset({"producing"})

_Result = TypeVar("_Result")


class Doom:
    """Counts how often a point was come to."""

    def __init__(self, said: str) -> None:
        point, count, sent = said.split(":") if said else ("", "0", "SIGKILL")
        self._point = point
        self._left = int(count)
        self._signal = signal.Signals[sent]

    def comes(self, point: str) -> bool:
        """Count that `point` was come to; tell whether this is the moment."""
        if point != self._point:
            return False
        self._left -= 1
        return self._left == 0

    def strike(self) -> None:
        """Die, or stand still until somebody says to go on."""
        os.kill(os.getpid(), self._signal)

    def at(self, point: str) -> None:
        """Strike if `point` is the one, and this is the time."""
        if self.comes(point):
            self.strike()


doom = Doom(os.environ.get(DOOM, ""))


class DoomedProducer(confluent_kafka.Producer):
    """Strikes at the steps of a transaction."""

    @override
    def begin_transaction(self, *given: Any, **named: Any) -> Any:
        super().begin_transaction(*given, **named)
        doom.at("begun")

    @override
    def produce(self, *given: Any, **named: Any) -> Any:
        super().produce(*given, **named)
        doom.at("producing")

    @override
    def send_offsets_to_transaction(self, *given: Any, **named: Any) -> Any:
        if doom.comes("produced"):
            self.flush(_FLUSH_SECONDS)
            doom.strike()
        if doom.comes("sending positions"):
            threading.Timer(_SOON_SECONDS, doom.strike).start()
        super().send_offsets_to_transaction(*given, **named)
        doom.at("positions sent")

    @override
    def commit_transaction(self, *given: Any, **named: Any) -> Any:
        if doom.comes("committing"):
            threading.Timer(_SOON_SECONDS, doom.strike).start()
        super().commit_transaction(*given, **named)
        doom.at("committed")

    @override
    def abort_transaction(self, *given: Any, **named: Any) -> Any:
        doom.at("aborting")
        super().abort_transaction(*given, **named)


def before(point: str, act: Callable[..., _Result]) -> Callable[..., _Result]:
    """Return `act`, with `point` before it."""

    def doomed(*given: Any, **named: Any) -> _Result:
        doom.at(point)
        return act(*given, **named)

    return doomed


def _consume(consumer: KafkaGroupConsumer, *given: Any, **named: Any) -> Any:
    found = _CONSUME(consumer, *given, **named)
    if found[0]:
        doom.at("consumed")
    return found


_CONSUME = KafkaGroupConsumer.consume


def _next_slots(partition: Partition, *given: Any, **named: Any) -> dict[str, ViewSlot]:
    slots = next_slots(partition, *given, **named)
    for topic, slot in slots.items():
        if slot.fill is not None:
            where = {"view": topic, "partition": partition.number, "start": slot.fill.start}
            print(json.dumps({FILL: where}), flush=True)
    return slots


if __name__ == "__main__":
    setattr(transactional_writer, "Producer", DoomedProducer)  # noqa: B010 (not its public name)
    setattr(KafkaGroupConsumer, "consume", _consume)  # noqa: B010
    setattr(router, "CONSUME_RECORDS", _CONSUME_RECORDS)  # noqa: B010
    for module in (assignment, router):
        setattr(module, "next_slots", _next_slots)  # noqa: B010
    setattr(MembershipLoader, "step", before("loading membership", MembershipLoader.step))  # noqa: B010
    setattr(Fill, "step", before("filling", Fill.step))  # noqa: B010
    main()
