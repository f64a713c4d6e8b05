"""Unit tests of `bus.domain.pseudonyms`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.domain.pseudonyms import PseudonymKey, hkdf, pseudonym

SECRET = bytes(range(32))


@pytest.mark.parametrize(
    ("secret", "salt", "info", "length", "derived"),
    [
        (
            "0b" * 22,
            "000102030405060708090a0b0c",
            "f0f1f2f3f4f5f6f7f8f9",
            42,
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
        ),
        (
            bytes(range(0x50)).hex(),
            bytes(range(0x60, 0xB0)).hex(),
            bytes(range(0xB0, 0x100)).hex(),
            82,
            (
                "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac78272"
                "71cb41c65e590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f"
                "1d87"
            ),
        ),
        (
            "0b" * 22,
            "",
            "",
            42,
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
        ),
    ],
    ids=["A.1", "A.2", "A.3"],
)
def test_keys_are_derived_as_rfc_5869_says(
    secret: str, salt: str, info: str, length: int, derived: str
) -> None:
    found = hkdf(
        bytes.fromhex(secret), salt=bytes.fromhex(salt), info=bytes.fromhex(info), length=length
    )

    assert found.hex() == derived


@pytest.mark.parametrize(
    ("key", "text", "shown"),
    [
        (b"\x0b" * 20, b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b"),
        (b"Jefe", b"what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c7"),
    ],
)
def test_a_pseudonym_is_the_first_half_of_the_hmac(key: bytes, text: bytes, shown: str) -> None:
    """RFC 4231, test cases 1 and 2."""
    assert pseudonym(key, text) == shown


def test_the_key_of_an_organisation_never_changes_between_releases() -> None:
    """Subscribers have stored pseudonyms: this literal must stay what it is."""
    key = PseudonymKey("tourism", 1).derive(SECRET)

    assert pseudonym(key, "王小明".encode()) == "4858b1528c5fca8396ff6789221fdc41"


def test_each_organisation_each_version_and_each_secret_has_a_key_of_its_own() -> None:
    keys = [
        PseudonymKey("tourism", 1).derive(SECRET),
        PseudonymKey("tourism", 2).derive(SECRET),
        PseudonymKey("housing", 1).derive(SECRET),
        PseudonymKey("tourism", 1).derive(bytes(32)),
    ]

    assert len(set(keys)) == 4


def test_composed_and_decomposed_letters_are_two_texts() -> None:
    """Bytes as they were published: what looks equal need not be."""
    assert pseudonym(SECRET, "é".encode()) != pseudonym(SECRET, "e\u0301".encode())


@given(st.from_regex(r"[a-z]{1,9}(-[a-z0-9]{1,5})?", fullmatch=True), st.integers(1))
def test_what_names_a_key_is_read_again(organisation: str, version: int) -> None:
    key = PseudonymKey(organisation, version)

    assert PseudonymKey.parse(str(key)) == key


@pytest.mark.parametrize(
    "text",
    ["", "tourism", "#1", "tourism#", "tourism#0", "tourism#01", "tourism#-1", "A b#1", "a#١"],
)
def test_what_names_no_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="does not name"):
        PseudonymKey.parse(text)
