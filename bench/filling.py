"""
Ten new views on a large resource while records flow: what subscribers who were there feel of it.

Latencies are taken from when a record was to be sent, not from when it was: a publisher that is
held up would hide what it waited for (coordinated omission).
"""

import dataclasses
import threading
import time
from collections.abc import Sequence
from typing import Self

from bench.contest import Latency, Options
from bench.records import EVERY_ONE, KEPT, Encoded, Register
from bench.stage import FILLED, Stage, address_grant
from bench.view_reader import ViewReader
from bus.bootstrap.verification import verification
from bus.domain.grant import Grant
from bus.domain.view import Treatment
from producers import Publisher

_RATE = 5_000
#: Records for each that is asked for: 600,000 by default; one in six updates a key of the others.
_TIMES = 6
_BEFORE_SECONDS = 30.0
_AFTER_SECONDS = 10.0
_MOST_SECONDS = 600.0
#: The first seconds open connections; they do not count.
_RUN_IN_SECONDS = 2.0
_TICK_SECONDS = 0.005
_WAIT_SECONDS = 120.0
#: What the new views let pass: some one in ten, some a tenth of a tenth, one everything.
_FILTERS = (
    *(f"tier == {tier}" for tier in range(4)),
    *(f'county.startsWith("46000{digit}")' for digit in range(3)),
    'kind != "RURAL" && population >= 500000',
    "tier < 5",
    EVERY_ONE,
)


def measure(options: Options, stage: Stage) -> list[Latency]:
    """Measure the latency of a live view before, while and after ten others are filled."""
    register = Register(options.seed)
    publication = stage.publication(FILLED)
    _publish_present(options, stage, register)
    live = register.encode(publication, register.take(int(_RATE * 60)))
    with (
        Publisher(publication, stage.provider.kafka) as publisher,
        ViewReader(stage, FILLED) as reader,
        _Stream(publisher, live, reader) as stream,
    ):
        stream.go_on(_RUN_IN_SECONDS + _BEFORE_SECONDS)
        begun = stream.seconds()
        grants = _grants()
        stage.add_grants(grants)
        options.say(f"ten views given in {stream.seconds() - begun:.1f} s")
        stage.await_filled([grant.id for grant in grants], timeout=_MOST_SECONDS, say=options.say)
        filled = stream.seconds()
        options.say(f"filled in {filled - begun:.1f} s")
        stream.go_on(_AFTER_SECONDS)
    phases = {
        "before": (_RUN_IN_SECONDS, begun),
        f"while ten views are filled ({filled - begun:.0f} s)": (begun, filled),
        "after": (filled, filled + _AFTER_SECONDS),
    }
    found = [
        Latency("filling", f"planned → readable in the live view, {name}", stream.between(*phase))
        for name, phase in phases.items()
    ]
    for each in found:
        # Now, because the comparison with the oracle takes minutes.
        times = f"{each.percentile(50):.1f} / {each.percentile(99):.1f} ms"
        options.say(f"{each.name}: p50 / p99 {times}")
    _check(options, stage, grants)
    return found


def _publish_present(options: Options, stage: Stage, register: Register) -> None:
    """Publish what is there before: keys, and updates of some of them."""
    contents = register.take(options.records * (_TIMES - 1))
    updates = [{**content, "name": "changed"} for content in contents[: options.records]]
    publication = stage.publication(FILLED)
    for some in (contents, updates):
        stage.publish(FILLED, register.encode(publication, some))
    stage.await_routed(FILLED)
    options.say(f"{len(contents) + len(updates):,} records of {len(contents):,} keys are there")


def _grants() -> list[Grant]:
    grants = []
    for number, rows in enumerate(_FILTERS):
        grant = dataclasses.replace(address_grant(FILLED, rows), id=f"{FILLED}-{number}")
        if number % 2:
            # The nullable item becomes null, the address is cut to its ends.
            treatments = dict.fromkeys(KEPT, Treatment.KEEP)
            treatments |= {"address": Treatment.PARTIAL, "population": Treatment.NULL}
            grant = dataclasses.replace(grant, treatments=treatments)
        grants.append(grant)
    return grants


def _check(options: Options, stage: Stage, grants: Sequence[Grant]) -> None:
    """Raise `ValueError` unless each new view is what the independent oracle says."""
    equal = 0
    with verification(stage.settings) as verifier:
        for grant in grants:
            verified = verifier.verify(grant.id, wait_seconds=_WAIT_SECONDS)
            if not verified.well:
                raise ValueError(f"{grant.id} ({grant.row_filter}) is not what it must be")
            equal += 1
            records = stage.end(stage.subscription_view(grant.id))
            options.say(f"{grant.row_filter}: {records:,} positions in the view, equal")
    options.say(f"equal to the oracle: {equal} of {len(grants)}")


class _Stream:
    """Publishes at a steady rate, in a thread; knows when each record was to be sent."""

    def __init__(
        self, publisher: Publisher, records: Sequence[Encoded], reader: ViewReader
    ) -> None:
        self._publisher = publisher
        self._records = records
        self._reader = reader
        self._over = threading.Event()
        self._sent = 0
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="stream")
        self._started = 0.0

    def __enter__(self) -> Self:
        self._started = time.time()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        if self._error is not None:
            raise self._error
        self._reader.await_records(self._sent, seconds=_WAIT_SECONDS)

    def seconds(self) -> float:
        """Return the seconds since the first record."""
        return time.time() - self._started

    def go_on(self, seconds: float) -> None:
        """Let the stream flow."""
        if self._over.wait(seconds) and self._error is not None:
            raise self._error

    def between(self, start: float, end: float) -> tuple[float, ...]:
        """Return the milliseconds of the records that were to be sent within these seconds."""
        first, last = int(start * _RATE), min(int(end * _RATE), self._sent)
        arrived = self._reader.arrived
        return tuple(
            (arrived[at][0] - self._started - at / _RATE) * 1000 for at in range(first, last)
        )

    def _run(self) -> None:
        try:
            while not self._over.is_set():
                due = int(self.seconds() * _RATE) + 1
                for at in range(self._sent, due):
                    self._publisher.publish_bytes(*self._records[at % len(self._records)])
                self._sent = due
                time.sleep(_TICK_SECONDS)
        except BaseException as error:  # noqa: BLE001 (raised again where it is waited for)
            self._error = error
            self._over.set()
