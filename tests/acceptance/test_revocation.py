"""
How fast and how surely a decision reaches the data plane (invariant 6, design.md §10).

Four readers stand for a subscription, plain clients of Kafka with its own credentials: one level
with the stream, one slow with a backlog, two whose fetches are parked on the broker. What a reader
got is judged by when the broker of the view, or the provider before it, put the record down.
"""

import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition

from bus.domain.identity import Role
from bus.domain.names import group_prefix, subscription_principal
from tests.acceptance.government import Desk, Government, Inbox
from tests.acceptance.resources import UNCONDITIONAL, conditional, entry, record
from tests.live_platform import wait_until

_ITEMS = ("code", "name", "phone")
#: After this nothing that is written later may be read.
_SECOND = 1.0
#: How long it is watched afterwards that nothing comes: longer than the parked fetch waits.
_WATCH_SECONDS = 33.0
_BACKLOG = 300
_PUBLISH_EVERY_SECONDS = 0.02
_numbers = itertools.count(1)


@dataclass
class _Reader:
    """A plain consumer of a view, in a thread: notes when each record was written."""

    name: str
    consumer: Consumer
    pause: float = 0.0
    written: list[float] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self) -> None:
        while not self.over.is_set():
            message = self.consumer.poll(0.1)
            # A refusal is what is wanted, in the end.
            if message is not None and message.error() is None:
                self.written.append(message.timestamp()[1] / 1000)
                self.over.wait(self.pause)

    def close(self) -> None:
        self.over.set()
        self.thread.join(30)
        self.consumer.close()


class _Share:
    """A resource with a grant, another on the same view, and a provider that goes on publishing."""

    def __init__(self, state: Government, parties: "_Parties", share: dict[str, Any]) -> None:
        self.state = state
        self.parties = parties
        code = f"rv-{next(_numbers)}"
        groups = {name: "contact" if name == "phone" else "base" for name in _ITEMS}
        self.entry = entry(code, "rv-provider", groups, {"base": share, "contact": share})
        state.clock.set(2019, 6, 3)
        first = [record(self.entry, f"k{number}", "n", "p") for number in range(_BACKLOG)]
        self.resource = state.publish(parties.provider, "rv", self.entry, *first)
        given = self._ask(parties.consumer, until="2019-09-30")
        self.grant: str = given["grant"]
        own = state.subscriber(given)
        self.other = state.subscriber(self._ask(parties.other, until="2019-12-20"))
        own.wait("k0")
        self.other.wait("k0")
        own.close()
        self.topic: str = self.descriptor()["topic"]

    def _ask(self, desk: Desk, *, until: str) -> dict[str, Any]:
        asked = desk.post(
            "/requests",
            {
                "resource": self.resource,
                "items": list(_ITEMS),
                "duty": "work",
                "purpose": "WORK_REFERENCE",
            },
        ).ok()
        if asked["grant"] is not None:
            return dict(asked)
        self.parties.provider.post(
            f"/requests/{asked['id']}/approve", self.decision(*_ITEMS, until=until)
        ).ok()
        return dict(self.parties.operator.post(f"/requests/{asked['id']}/activate").ok())

    def decision(self, *items: str, until: str = "2019-09-30") -> dict[str, Any]:
        """Return what the provider decides."""
        return {
            "items": items,
            "purpose": "WORK_REFERENCE",
            "valid_from": "2019-06-03",
            "valid_until": until,
        }

    def descriptor(self) -> dict[str, Any]:
        """Return what the subscription is told."""
        account = self.state.platform.account(subscription_principal(self.grant))
        found: dict[str, Any] = account.control.subscription(self.grant)
        return found

    def reader(self, name: str, *, at: int, pause: float = 0.0, **settings: object) -> _Reader:
        """Return a reader of the subscription's view from an offset on."""
        principal = subscription_principal(self.grant)
        consumer = Consumer(
            self.state.platform.kafka(principal).client(
                group_id=f"{group_prefix(principal)}{name}",
                enable_auto_commit=False,
                auto_offset_reset="error",
                isolation_level="read_committed",
                **settings,
            )
        )
        consumer.assign([TopicPartition(self.topic, 0, at)])
        return _Reader(name, consumer, pause)

    @contextlib.contextmanager
    def readers(self) -> Iterator[list[_Reader]]:
        """Let the readers read, while the provider publishes."""
        end = self.end()
        readers = [
            self.reader("level", at=end),
            self.reader(
                "slow",
                at=0,
                pause=0.05,
                queued_min_messages=1,
                fetch_max_bytes=4096,
                max_partition_fetch_bytes=2048,
                message_max_bytes=4096,
                queued_max_messages_kbytes=2,
            ),
            self.reader(
                "parked",
                at=end,
                fetch_min_bytes=50_000_000,
                fetch_wait_max_ms=30_000,
                socket_timeout_ms=60_000,
            ),
            # One that waits for less long than the broker keeps a connection that idles.
            self.reader(
                "waiting",
                at=end,
                fetch_min_bytes=50_000_000,
                fetch_wait_max_ms=8_000,
                socket_timeout_ms=60_000,
            ),
        ]
        with self.publishing():
            for each in readers:
                each.start()
            wait_until(lambda: readers[0].written and readers[1].written, "both read")
            try:
                yield readers
            finally:
                for each in readers:
                    each.close()

    def end(self) -> int:
        """Return where the view ends."""
        consumer = self.reader("end", at=0).consumer
        try:
            _, end = consumer.get_watermark_offsets(TopicPartition(self.topic, 0), timeout=20)
        finally:
            consumer.close()
        return int(end)

    @contextlib.contextmanager
    def publishing(self) -> Iterator[None]:
        """Publish a change again and again."""
        over = threading.Event()

        def publish() -> None:
            with self.state.publisher(self.resource, "rv-provider") as publisher:
                for number in itertools.count():
                    publisher.upsert(record(self.entry, f"k{number % _BACKLOG}", f"n{number}", "p"))
                    if over.wait(_PUBLISH_EVERY_SECONDS):
                        return

        thread = threading.Thread(target=publish, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join(30)


class _Parties:
    """A provider, two consumers and an authority."""

    def __init__(self, state: Government) -> None:
        state.jurisdiction("rv", "yanjin-2019", level="county")
        self.provider = state.organisation("rv", "rv-provider", "county_department")
        self.consumer = state.organisation("rv", "rv-consumer", "county_department")
        self.other = state.organisation("rv", "rv-other", "county_department")
        # An operator acts under the authorisation of an authority.
        state.organisation("rv", "rv-authority", "county_department", roles=(Role.AUTHORITY,))
        self.operator = state.organisation(
            "rv", "rv-operator", "county_department", roles=(Role.OPERATOR,)
        )


@pytest.fixture(scope="module")
def parties(state: Government) -> _Parties:
    """Return the departments."""
    return _Parties(state)


def _suspend(share: _Share) -> None:
    share.parties.provider.post(f"/grants/{share.grant}/suspend", {"reason": "incident"}).ok()


def _revoke(share: _Share) -> None:
    share.parties.provider.post(f"/grants/{share.grant}/revoke", {"reason": "misuse"}).ok()


def _expire(share: _Share) -> None:
    """Let the last day of the grant be over; the other's is not."""
    share.state.clock.set(2019, 10, 1, 0, 0)
    wait_until(
        lambda: share.parties.provider.get(f"/grants/{share.grant}").ok()["state"] == "EXPIRED",
        "the grant has expired",
    )


def _amend(share: _Share) -> None:
    """Decide anew, without one item; the other grant keeps the wider view."""
    fewer = share.decision("code", "name")
    share.parties.provider.post(f"/grants/{share.grant}/amend", fewer).ok()


def _tighten(share: _Share) -> None:
    """Let the grace be over of a version with a tighter class: both grants lose the items."""
    provider, resource = share.parties.provider, share.resource
    groups = share.entry["groups"]
    tighter = {**groups["contact"], "share": {"all": conditional()}}
    narrower = {**share.entry, "groups": {**groups, "contact": tighter}}
    read = {"If-Match": provider.get(f"/entries/{resource}").headers["etag"]}
    draft = {"jurisdiction": "rv", "entry": narrower}
    provider.put(f"/entries/{resource}/draft", draft, **read).ok()
    provider.post(f"/entries/{resource}/submit").ok()
    provider.post(f"/entries/{resource}/publish").ok()
    share.state.clock.set(2019, 6, 28)
    wait_until(lambda: share.descriptor()["topic"] != share.topic, "the class has its effect")


_WAYS: dict[str, tuple[dict[str, Any], Callable[[_Share], None]]] = {
    "suspend": (conditional(), _suspend),
    "revoke": (conditional(), _revoke),
    "expire": (conditional(), _expire),
    "amend": (conditional(), _amend),
    "tighten": (UNCONDITIONAL, _tighten),
}


@pytest.mark.parametrize("way", _WAYS)
def test_nothing_written_a_second_later_is_read(
    state: Government, parties: _Parties, way: str
) -> None:
    """Invariant 6, R-110, R-116: neither level nor behind nor through a parked fetch."""
    classes, act = _WAYS[way]
    share = _Share(state, parties, classes)
    with share.readers() as readers:
        act(share)
        returned = time.time()
        time.sleep(_WATCH_SECONDS)
        before = len(share.other.changes)
        late = {
            each.name: [round(at - returned, 2) for at in each.written if at > returned + _SECOND]
            for each in readers
        }
        wait_until(lambda: len(share.other.changes) > before, "the other subscriber goes on")
    share.other.close()

    assert share.other.ended is None
    assert late == {"level": [], "slow": [], "parked": [], "waiting": []}
    if way in {"amend", "tighten"}:
        _reads_what_is_left(share)


def _reads_what_is_left(share: _Share) -> None:
    """See that the throttle, which ends parked fetches, is gone, and that the rest is delivered."""
    rest = Inbox(share.state, share.grant)
    row = rest.wait("k0")
    rest.close()

    assert set(row) == {"code", "name"}


def test_a_resumed_subscriber_reads_at_once(state: Government, parties: _Parties) -> None:
    """Requirements 6.3: a suspension leaves nothing behind, no quota and no missing permission."""
    share = _Share(state, parties, conditional())
    _suspend(share)
    time.sleep(_SECOND)

    parties.provider.post(f"/grants/{share.grant}/resume").ok()
    inbox = Inbox(state, share.grant)
    with share.publishing():
        wait_until(lambda: len(inbox.changes) > _BACKLOG, "it reads on", seconds=10)
    inbox.close()
    share.other.close()

    assert inbox.ended is None
