"""How long single records are on their way, through the router as a process of its own."""

import dataclasses
import random
import time
import uuid
from collections.abc import Sequence

from bench.contest import Latency, Options
from bench.records import Content, Encoded, Register, county
from bench.stage import PACED, Stage, address_grant
from bench.view_reader import ViewReader
from consumers import Subscriber
from producers import Publisher

RATES = (100, 1_000, 5_000, 20_000)
#: This one with many views, too: each record is in one of them, and in one or none of the others.
_MANY_VIEWS_RATE = 5_000
_MANY_VIEWS = 20
SECONDS = 10
#: The first records of a run open connections; they do not count.
_RUN_IN_SECONDS = 2
_TICK_SECONDS = 0.005
_DEADLINE_SECONDS = 30.0
_FILLED_SECONDS = 120.0
CHANGES = 50
_LEAST_PAUSE_SECONDS, _MOST_PAUSE_SECONDS = 0.02, 0.2


def measure_paced(options: Options, stage: Stage) -> list[Latency]:
    """
    Measure until a read_committed reader of the view has a record, at several rates.

    Once from the broker's acceptance, and once from when the record was to be published: whatever
    holds the publisher up would otherwise hide what it waited for (coordinated omission).
    """
    register = Register(options.seed)
    found: list[Latency] = []
    for rate in RATES:
        found += _paced(options, stage, register, rate, views=1)
    grants = [
        dataclasses.replace(
            address_grant(PACED, f'county == "{county(number)}"'), id=f"{PACED}-{number}"
        )
        for number in range(1, _MANY_VIEWS)
    ]
    stage.add_grants(grants)
    stage.await_filled([grant.id for grant in grants], timeout=_FILLED_SECONDS)
    return found + _paced(options, stage, register, _MANY_VIEWS_RATE, views=_MANY_VIEWS)


def _paced(
    options: Options, stage: Stage, register: Register, rate: int, *, views: int
) -> list[Latency]:
    where = f"{rate:,}/s, {views} view{'s' if views > 1 else ''}"
    options.say(f"latency at {where}, {SECONDS} s")
    publication = stage.publication(PACED)
    encoded = register.encode(publication, register.take(rate * (SECONDS + _RUN_IN_SECONDS)))
    with (
        Publisher(publication, stage.provider.kafka) as publisher,
        ViewReader(stage, PACED) as reader,
    ):
        started = _publish_paced(publisher, encoded, rate)
        reader.await_records(len(encoded), seconds=_DEADLINE_SECONDS)
    arrived = reader.arrived
    counted = slice(rate * _RUN_IN_SECONDS, None)
    accepted = [(at - accepted) * 1000 for at, accepted in arrived]
    planned = [(at - started - number / rate) * 1000 for number, (at, _) in enumerate(arrived)]
    return [
        Latency("latency", f"{since} → readable in the view, {where}", tuple(measured[counted]))
        for since, measured in (("accepted", accepted), ("planned", planned))
    ]


def measure_changes(options: Options, stage: Stage) -> list[Latency]:
    """Measure from a call of the publisher's SDK to the change in the subscriber's SDK."""
    options.say(f"{CHANGES} single changes")
    contents = Register(options.seed).take(CHANGES + 1)
    pauses = random.Random(options.seed)
    account = stage.subscriber(PACED)
    with (
        Publisher(stage.publication(PACED), stage.provider.kafka) as publisher,
        Subscriber(
            PACED,
            kafka=account.kafka,
            control=account.control,
            name=uuid.uuid4().hex,
            remember=False,
        ) as subscriber,
    ):
        # A poll before anything is published: the stream begins at the end of the view.
        list(subscriber.poll(0.5))
        measured = []
        for content in contents:
            # So that the beat of no loop is met.
            time.sleep(pauses.uniform(_LEAST_PAUSE_SECONDS, _MOST_PAUSE_SECONDS))
            measured.append(_follow_change(publisher, subscriber, content))
    return [Latency("change", "published → seen by the subscriber", tuple(measured[1:]))]


def _follow_change(publisher: Publisher, subscriber: Subscriber, content: Content) -> float:
    started = time.perf_counter()
    publisher.upsert({**content, "name": "changed"})
    while time.perf_counter() - started < _DEADLINE_SECONDS:
        for change in subscriber.poll(1.0):
            if change.record is not None and change.record["name"] == "changed":
                seconds = time.perf_counter() - started
                # What comes behind it is of no interest, but must have been asked for.
                list(subscriber.poll(0))
                return seconds * 1000
    raise TimeoutError("a change has not arrived")


def _publish_paced(publisher: Publisher, encoded: Sequence[Encoded], rate: int) -> float:
    """Publish at a steady rate, a few records at each tick; return the time it began."""
    started = time.time()
    sent = 0
    while sent < len(encoded):
        due = min(len(encoded), int((time.time() - started) * rate) + 1)
        for key, value in encoded[sent:due]:
            publisher.publish_bytes(key, value)
        sent = due
        time.sleep(_TICK_SECONDS)
    return started
