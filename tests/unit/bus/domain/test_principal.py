"""Unit tests of `bus.domain.principal`."""

import hashlib
import hmac
import string
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from bus.domain.principal import SCRAM_ITERATIONS, PrincipalKind, make_principal, new_password
from tests import builders


def rfc_5802_stored_key(password: str, salt: bytes, iterations: int) -> bytes:
    """Compute StoredKey with SHA-512, letter by letter after RFC 5802, section 3."""
    secret = password.encode()
    block = hmac.new(secret, salt + (1).to_bytes(4, "big"), hashlib.sha512).digest()
    salted = int.from_bytes(block, "big")
    for _ in range(iterations - 1):
        block = hmac.new(secret, block, hashlib.sha512).digest()
        salted ^= int.from_bytes(block, "big")
    client_key = hmac.new(salted.to_bytes(64, "big"), b"Client Key", hashlib.sha512).digest()
    return hashlib.sha512(client_key).digest()


@settings(max_examples=5)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=50))
def test_the_stored_key_is_what_scram_sha_512_stores(password: str) -> None:
    """RFC 5802: Kafka and the control plane check one secret by the same rule."""
    principal = builders.principal(password=password)

    assert principal.iterations == SCRAM_ITERATIONS
    assert principal.stored_key == rfc_5802_stored_key(
        password, principal.salt, principal.iterations
    )


def test_a_principal_accepts_its_own_password_and_no_other() -> None:
    principal = builders.principal(password="open sesame")

    assert principal.accepts("open sesame")
    assert not principal.accepts("open sesame ")
    assert not principal.accepts("Open sesame")
    assert not principal.accepts("")


def test_a_principal_that_is_not_enabled_accepts_nothing() -> None:
    """Invariant 6: an account that was ended opens nothing."""
    principal = replace(builders.principal(password="open sesame"), enabled=False)

    assert not principal.accepts("open sesame")


def test_the_iterations_are_those_the_principal_was_made_with() -> None:
    principal = builders.principal(password="open sesame")

    stronger = replace(principal, iterations=principal.iterations + 1)

    assert not stronger.accepts("open sesame")


def test_two_principals_with_one_password_have_nothing_in_common() -> None:
    one, other = (make_principal("a", PrincipalKind.SERVICE, "a", "open sesame") for _ in range(2))

    assert one.salt != other.salt
    assert one.stored_key != other.stored_key


def test_a_principal_holds_nothing_that_shows_the_password() -> None:
    """design.md §10: secrets are never in logs."""
    assert "open sesame" not in repr(builders.principal(password="open sesame"))


def test_kafka_takes_the_number_of_iterations() -> None:
    """Kafka refuses less than 4096 and more than 16384."""
    assert 4096 <= SCRAM_ITERATIONS <= 16384


def test_a_new_password_is_random_and_safe_in_urls_shells_and_jaas_files() -> None:
    passwords = {new_password() for _ in range(20)}

    assert len(passwords) == 20
    assert all(len(each) == 40 and set(each) <= set(string.hexdigits) for each in passwords)
