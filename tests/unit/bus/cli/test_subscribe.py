"""Unit tests of `bus.cli.subscribe`: how changes are printed, and when a sink goes on or ends."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from typing_extensions import override

import consumers
from bus import health, logs
from bus.bootstrap import accounts
from bus.cli import subscribe as module
from bus.errors import AccessDenied, BrokerUnavailable, SubscriptionEnded
from consumers.change import Change, ChangeKind, Meta
from consumers.descriptor import Descriptor
from tests import builders
from tests.command_line import CommandLine
from tests.control_http import SUBSCRIBER, ControlHTTP
from tests.stream_builders import EVENT_ID, OCCURRED_AT

META = Meta(
    event_id=EVENT_ID,
    occurred_at=OCCURRED_AT,
    accepted_at=builders.NOW,
    source=builders.PROVIDER,
    entry_version=1,
    generation=1,
    partition=0,
    position=17,
)


@pytest.fixture(scope="module")
def upsert() -> Change:
    """Return the change of a record."""
    client = ControlHTTP().client(SUBSCRIBER)
    told = client.get(f"/v1/subscriptions/{builders.GRANT}").json()
    return Change(
        kind=ChangeKind.UPSERT,
        key="110101",
        record={"code": "110101", "name": "东城 [bold]x[/red]", "since": builders.TODAY},
        meta=META,
        subscription=Descriptor.from_json(told),
    )


# --- tail -----------------------------------------------------------------------------------------


def test_a_record_is_one_line_that_quotes_it_as_it_is(
    upsert: Change, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")

    module._print_change(upsert, as_json=False)

    (line,) = capsys.readouterr().out.splitlines()
    assert line.endswith("+ 110101 code=110101  name=东城 [bold]x[/red]  since=2026-01-05")


def test_a_delete_says_why(upsert: Change, capsys: pytest.CaptureFixture[str]) -> None:
    left = replace(
        upsert, kind=ChangeKind.DELETE, record=None, meta=replace(META, reason="left-view")
    )

    module._print_change(left, as_json=False)

    assert capsys.readouterr().out.endswith("- 110101 left-view\n")


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        (ChangeKind.RESYNC_STARTED, "-- whole view follows --\n"),
        (ChangeKind.RESYNC_ENDED, "-- whole view --\n"),
    ],
)
def test_the_marks_of_a_resync_are_shown(
    upsert: Change, capsys: pytest.CaptureFixture[str], kind: ChangeKind, line: str
) -> None:
    module._print_change(replace(upsert, kind=kind, key="", record=None, meta=None), as_json=False)

    assert capsys.readouterr().out == line


def test_for_machines_a_change_says_where_it_comes_from_and_what_for(
    upsert: Change, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-123: source, version, event time, class, purpose and grant go with every record."""
    monkeypatch.setenv("COLUMNS", "20")

    module._print_change(upsert, as_json=True)

    (line,) = capsys.readouterr().out.splitlines()
    said = json.loads(line)
    assert said["kind"] == "upsert"
    assert said["key"] == "110101"
    assert said["record"]["since"] == "2026-01-05"
    assert said["meta"]["event_id"] == str(EVENT_ID)
    assert said["meta"]["source"] == builders.PROVIDER
    assert said["meta"]["position"] == 17
    assert said["grant"] == builders.GRANT
    assert said["purpose"] == builders.grant().purpose
    assert said["class"] == "UNCONDITIONAL" == upsert.subscription.share_class
    assert "东城" in line


class FakeSubscriber:
    """Has two changes at each poll, until the grant ends."""

    def __init__(self, change: Change, polls: int) -> None:
        self.change = change
        self.polls = polls
        self.asked: dict[str, Any] = {}

    @contextmanager
    def open(self, subscription: str, **options: Any) -> Iterator["FakeSubscriber"]:
        """Stand in for the constructor."""
        self.asked = {"subscription": subscription, **options}
        yield self

    def poll(self, _seconds: float) -> list[Change]:
        """Return what has come."""
        if not self.polls:
            raise SubscriptionEnded("the grant [bold]is over[/red]")
        self.polls -= 1
        return [self.change, self.change]


@pytest.fixture
def subscriber(monkeypatch: pytest.MonkeyPatch, upsert: Change) -> FakeSubscriber:
    """Return the subscriber that the command reads from."""
    fake = FakeSubscriber(upsert, polls=2)
    mine = SimpleNamespace(kafka=None, control=SimpleNamespace(close=lambda: None))
    monkeypatch.setattr(accounts, "account", lambda *_: mine)
    monkeypatch.setattr(consumers, "Subscriber", fake.open)
    monkeypatch.setattr(module, "stop_event", threading.Event)
    return fake


@pytest.mark.parametrize(("most", "printed"), [("1", 1), ("3", 3), ("99", 4)])
def test_a_tail_stops_after_so_many_changes_or_when_the_grant_ends(
    onesource: CommandLine, subscriber: FakeSubscriber, most: str, printed: int
) -> None:
    ran = onesource("tail", builders.GRANT, "--json", "--max", most)

    assert ran.status == 0
    assert len([json.loads(line) for line in ran.out.splitlines()]) == printed
    assert ran.err.count("listening") == 1
    assert ("the grant [bold]is over[/red]" in ran.err) is (printed == 4)


def test_a_tail_takes_nothing_away_from_the_subscribers_systems(
    onesource: CommandLine, subscriber: FakeSubscriber
) -> None:
    """Two tails have groups of their own, and neither remembers a position."""
    onesource("tail", builders.GRANT)
    first = subscriber.asked
    onesource("tail", builders.GRANT, "--from-start")
    second = subscriber.asked

    assert first["remember"] is second["remember"] is False
    assert (first["from_start"], second["from_start"]) == (False, True)
    assert first["name"] != second["name"]


# --- sink -----------------------------------------------------------------------------------------


class Sink:
    """A sink of which each run ends as the next outcome says."""

    def __init__(self) -> None:
        self.outcomes: list[Exception | None] = []
        self.runs = 0
        self.ready: list[str | None] = []
        self.not_ready: Callable[[], str | None] = lambda: "not served"

    @contextmanager
    def connect(self, *_: object) -> Iterator[SimpleNamespace]:
        """Connect; a run follows."""
        yield SimpleNamespace(run=self.run)

    def run(self, *, ended: Callable[[], bool]) -> None:
        """Run once."""
        self.runs += 1
        self.ready.append(self.not_ready())
        outcome = self.outcomes.pop(0)
        if outcome is not None:
            raise outcome


@pytest.fixture
def sink(monkeypatch: pytest.MonkeyPatch) -> Sink:
    """Return the sink that the command runs; it waits for nothing."""
    sink = Sink()

    def serve(*_: object, not_ready: Callable[[], str | None], **__: Any) -> int:
        sink.not_ready = not_ready
        return 0

    monkeypatch.setattr(module, "_sink", sink.connect)
    monkeypatch.setattr(module, "_FIRST_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(module, "stop_event", threading.Event)
    monkeypatch.setattr(health, "serve_health", serve)
    monkeypatch.setattr(logs, "configure_logs", lambda **_: None)
    return sink


def sink_postgres(onesource: CommandLine) -> int:
    """Run the command; return its status."""
    return onesource("sink", "postgres", builders.GRANT, "--dsn", "postgresql://x").status


def test_a_sink_goes_on_by_itself_until_its_grant_ends(onesource: CommandLine, sink: Sink) -> None:
    sink.outcomes = [BrokerUnavailable("away"), BrokerUnavailable("away"), SubscriptionEnded("x")]

    assert sink_postgres(onesource) == 0
    assert sink.runs == 3
    assert sink.ready == [None, None, None]


def test_a_sink_that_is_in_trouble_says_so(
    onesource: CommandLine, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str | None] = []

    class Event(threading.Event):
        @override
        def wait(self, timeout: float | None = None) -> bool:
            seen.append(sink.not_ready())
            return False

    sink.outcomes = [BrokerUnavailable("the broker is away"), SubscriptionEnded("x")]
    monkeypatch.setattr(module, "stop_event", Event)

    assert sink_postgres(onesource) == 0
    assert seen == ["the broker is away"]


def test_an_error_that_no_retry_helps_ends_a_sink(onesource: CommandLine, sink: Sink) -> None:
    sink.outcomes = [AccessDenied("no grant")]

    assert sink_postgres(onesource) == 3
    assert sink.runs == 1
