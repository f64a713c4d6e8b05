"""Unit tests of `bus.cli.operate`: what a verification says, and dead letters."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from bus.adapters.memory.broker import MemoryBroker, MemoryLogReaders
from bus.bootstrap import accounts, dead_letters, verification
from bus.bootstrap.dead_letters import Redriven
from bus.domain.dead_letter import DeadLetter
from bus.ports import Partition
from bus.services.dead_letters import StoredLetter, read_letters
from bus.services.verification.rows import Comparison, RowDigests
from bus.services.verification.verifier import Verified
from tests import builders
from tests.command_line import CommandLine
from tests.stream_builders import ControlPlane

TOPIC = builders.entry().dead_letter_topic
LETTERS = (
    builders.letter(position=3),
    builders.letter(position=5, code="SCHEMA_UNKNOWN"),
    builders.letter(position=9, key=None, value=bytes(range(256)) * 20),
)


# --- Dead letters ---------------------------------------------------------------------------------


class Shelf:
    """The dead letters of a resource, on a broker in memory, and what was sent again."""

    def __init__(self) -> None:
        self.broker = MemoryBroker()
        self.broker.create(TOPIC, 1)
        self.codec = ControlPlane().codec
        self.sent: list[int] = []

    def put(self, *letters: DeadLetter) -> None:
        """Put letters on the topic."""
        for letter in letters:
            self.broker.append(Partition(TOPIC, 0), letter.key, self.codec.encode(letter))

    def read(self, _account: object, resource: str) -> Iterator[StoredLetter]:
        """Read the letters as the command does."""
        assert resource == builders.RESOURCE
        return read_letters(MemoryLogReaders(self.broker), self.codec, TOPIC)

    def redrive(self, _account: object, resource: str, letters: Sequence[StoredLetter]) -> Redriven:
        """Note which letters are sent again."""
        self.sent = [each.number for each in letters]
        return Redriven(published=len(letters), superseded=2, not_whole=1)


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """Return the shelf that commands read from."""
    shelf = Shelf()
    mine = SimpleNamespace(control=SimpleNamespace(close=lambda: None))
    monkeypatch.setattr(accounts, "account", lambda *_: mine)
    monkeypatch.setattr(accounts, "provider_account", lambda *_: mine)
    monkeypatch.setattr(dead_letters, "dead_letters", shelf.read)
    monkeypatch.setattr(dead_letters, "redrive", shelf.redrive)
    return shelf


def test_letters_are_listed_the_newest_last(onesource: CommandLine, shelf: Shelf) -> None:
    onesource.width(160)
    shelf.put(*LETTERS)

    ran = onesource("dlq", "list", "divisions")

    heading, *rows = ran.out.splitlines()
    assert heading.split() == ["letter", "accepted", "code", "position", "bytes", "reason"]
    assert [row.split()[:5] for row in rows] == [
        ["0", "2026-01-05T09:00:00+00:00", "TRUNCATED", "0/3", "5"],
        ["1", "2026-01-05T09:00:00+00:00", "SCHEMA_UNKNOWN", "0/5", "5"],
        ["2", "2026-01-05T09:00:00+00:00", "TRUNCATED", "0/9", "5120"],
    ]
    assert ran.err == "3 dead letters\n"


def test_only_the_newest_letters_may_be_asked_for(onesource: CommandLine, shelf: Shelf) -> None:
    shelf.put(*LETTERS)

    ran = onesource("dlq", "list", "divisions", "--limit", "2", "--json")

    assert [json.loads(line)["letter"] for line in ran.out.splitlines()] == [1, 2]


def test_for_machines_there_is_one_object_a_line(onesource: CommandLine, shelf: Shelf) -> None:
    onesource.width(40)
    shelf.put(*LETTERS)

    ran = onesource("dlq", "list", "divisions", "--json")

    lines = [json.loads(line) for line in ran.out.splitlines()]
    assert lines == [each.as_dict() for each in shelf.read(None, "divisions")]
    assert lines[0]["key"] == "110101"
    assert lines[0]["topic"] == builders.entry().source_topic
    assert ran.err == ""


def test_a_reason_that_looks_like_markup_is_shown_as_it_is(
    onesource: CommandLine, shelf: Shelf
) -> None:
    onesource.width(160)
    shelf.put(replace(LETTERS[0], reason="[bold]no[/red] such thing"))

    ran = onesource("dlq", "list", "divisions")

    assert "[bold]no[/red] such thing" in ran.out


def test_an_empty_shelf_is_no_error(onesource: CommandLine, shelf: Shelf) -> None:
    assert onesource("dlq", "list", "divisions").err == "0 dead letters\n"
    assert onesource("dlq", "list", "divisions", "--json").out == ""


def test_a_letter_is_shown_with_its_bytes(onesource: CommandLine, shelf: Shelf) -> None:
    shelf.put(*LETTERS)

    ran = onesource("dlq", "show", "divisions", "2")

    document, _, dump = ran.out.partition("\n0")
    assert json.loads(document)["position"] == 9
    rows = ("0" + dump).splitlines()
    assert rows[0] == (
        "00000000  00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f  ................"
    )
    assert rows[4].endswith("  @ABCDEFGHIJKLMNO")
    shown = b"".join(bytes.fromhex(row[10:57]) for row in rows)
    assert shown == (LETTERS[2].value or b"")[:4096]


def test_a_letter_without_bytes_is_shown_too(onesource: CommandLine, shelf: Shelf) -> None:
    shelf.put(builders.letter(value=None))

    ran = onesource("dlq", "show", "divisions", "0")

    assert ran.status == 0
    assert json.loads(ran.out)["size"] == 0


def test_a_letter_that_is_not_there_is_a_wrong_call(onesource: CommandLine, shelf: Shelf) -> None:
    ran = onesource("dlq", "show", "divisions", "7")

    assert ran.status == 2
    assert "divisions has no dead letter 7" in ran.err


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        ([], [0, 1, 2]),
        (["0", "2"], [0, 2]),
        (["--code", "SCHEMA_UNKNOWN"], [1]),
        (["0", "1", "--code", "TRUNCATED"], [0]),
        (["9"], []),
    ],
)
def test_the_letters_that_are_named_are_sent_again(
    onesource: CommandLine, shelf: Shelf, arguments: list[str], sent: list[int]
) -> None:
    onesource.width(40)
    shelf.put(*LETTERS)

    ran = onesource("dlq", "redrive", "divisions", *arguments)

    assert shelf.sent == sent
    assert ran.out == (
        f"published again: {len(sent)}; superseded by a newer record: 2; not whole: 1\n"
    )


# --- Verification ---------------------------------------------------------------------------------

EQUAL = Comparison(
    expected=3,
    found=3,
    expected_digest="aaaa",
    found_digest="aaaa",
    missing=0,
    extra=0,
    different=0,
    examples=(),
)
DIFFERENT = replace(
    EQUAL, found=2, found_digest="bbbb", missing=1, examples=("missing: [bold]110101[/red]",)
)


def verified(**changes: Any) -> Verified:
    """Return what a verification has found: all well, by default."""
    found = Verified(
        topic="os.view.x",
        view=EQUAL,
        expected=RowDigests(),
        source_records=12,
        refused=1,
        wrongly_refused=(),
        unexplained=(),
        undecided=frozenset(),
    )
    return replace(found, **changes)


Find = Callable[..., None]


@pytest.fixture
def find(monkeypatch: pytest.MonkeyPatch) -> Find:
    """Return a function that says what the verification will find."""

    def will_be(found: Verified, table: Comparison = EQUAL) -> None:
        def verify(subscription: str, **_: object) -> Verified:
            assert subscription == builders.GRANT
            return found

        @contextmanager
        def parts(_settings: object) -> Iterator[SimpleNamespace]:
            yield SimpleNamespace(verify=verify, compare_table=lambda *_, **__: table)

        monkeypatch.setattr(verification, "verification", parts)

    return will_be


def test_a_view_that_is_what_it_must_be_is_status_0(onesource: CommandLine, find: Find) -> None:
    find(verified())

    ran = onesource("verify", builders.GRANT)

    assert ran.status == 0
    assert ran.out.splitlines() == [
        "view topic: equal: 3 rows, digest aaaa",
        "12 source records; 1 dead letters",
    ]


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (verified(view=DIFFERENT), "view topic: DIFFERENT: 2 rows, digest bbbb"),
        (verified(view=DIFFERENT), "must be 3 rows, digest aaaa: 1 missing, 0 not granted"),
        (verified(view=DIFFERENT), "missing: [bold]110101[/red]"),
        (verified(wrongly_refused=(7,)), "a clean record has a dead letter: position 7"),
    ],
)
def test_a_view_that_is_not_is_status_1_and_told_how(
    onesource: CommandLine, find: Find, found: Verified, said: str
) -> None:
    onesource.width(40)
    find(found)

    ran = onesource("verify", builders.GRANT)

    assert ran.status == 1
    assert said in ran.out


def test_what_proves_nothing_wrong_is_told_but_fails_nothing(
    onesource: CommandLine, find: Find
) -> None:
    find(verified(unexplained=(9,), undecided=frozenset({b"a", b"b"})))

    ran = onesource("verify", builders.GRANT)

    assert ran.status == 0
    assert "a bad record has no dead letter: position 9" in ran.out
    assert "2 keys left out" in ran.out


def test_a_table_is_compared_only_if_it_is_named(onesource: CommandLine, find: Find) -> None:
    find(verified(), DIFFERENT)

    without = onesource("verify", builders.GRANT)
    with_it = onesource("verify", builders.GRANT, "--dsn", "postgresql://x")

    assert (without.status, with_it.status) == (0, 1)
    assert "table: DIFFERENT" in with_it.out
