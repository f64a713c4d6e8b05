"""Unit tests of `bus.domain.dead_letter`."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.domain.dead_letter import MAX_KEY_BYTES, MAX_VALUE_BYTES
from tests import builders


@given(st.binary(max_size=100), st.binary(max_size=100))
def test_a_letter_holds_the_record_its_size_and_its_digest(key: bytes, value: bytes) -> None:
    letter = builders.letter(key=key, value=value)

    assert (letter.key, letter.value, letter.size) == (key, value, len(value))
    assert letter.sha256 == hashlib.sha256(value).digest()
    assert letter.whole


@pytest.mark.parametrize(
    ("size", "held", "whole"),
    [
        (MAX_VALUE_BYTES - 1, MAX_VALUE_BYTES - 1, True),
        (MAX_VALUE_BYTES, MAX_VALUE_BYTES, True),
        (MAX_VALUE_BYTES + 1, MAX_VALUE_BYTES, False),
        (10_000_000, MAX_VALUE_BYTES, False),
    ],
)
def test_a_letter_holds_at_most_the_first_64_kib(size: int, held: int, *, whole: bool) -> None:
    """design.md §4: a dead letter can be written whatever the record was."""
    value = bytes(range(256)) * (size // 256 + 1)

    letter = builders.letter(value=value[:size])

    assert letter.value == value[:held]
    assert letter.size == size
    assert letter.sha256 == hashlib.sha256(value[:size]).digest()
    assert letter.whole is whole


def test_the_limit_of_a_value_is_64_kib() -> None:
    assert MAX_VALUE_BYTES == 65536


def test_a_long_key_is_cut() -> None:
    letter = builders.letter(key=b"k" * (MAX_KEY_BYTES + 1))

    assert letter.key == b"k" * 1024


def test_a_record_without_key_or_value_has_a_letter_too() -> None:
    letter = builders.letter(key=None, value=None)

    assert (letter.key, letter.value, letter.sha256, letter.size) == (None, None, None, 0)
    assert not letter.whole


def test_an_empty_value_is_whole() -> None:
    assert builders.letter(value=b"").whole


def test_a_letter_may_stand_for_a_batch_that_cannot_be_read() -> None:
    """design.md §4: a batch that cannot be read at all is dead-lettered by coordinates."""
    letter = builders.letter(position=100, positions=250, key=None, value=None)

    assert (letter.position, letter.positions) == (100, 250)
