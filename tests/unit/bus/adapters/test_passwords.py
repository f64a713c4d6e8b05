"""Unit tests of `bus.adapters.passwords`."""

import time

from argon2 import PasswordHasher

from bus.adapters.passwords import Argon2Passwords

PASSWORD = "a long enough pass phrase 密码"  # noqa: S105 (opens nothing)
HASHER = Argon2Passwords()


def test_a_password_is_accepted_by_its_own_hash_only() -> None:
    kept = HASHER.hashed(PASSWORD)

    assert kept.startswith("$argon2id$")
    assert PASSWORD not in kept
    assert HASHER.hashed(PASSWORD) != kept
    assert HASHER.accepts(kept, PASSWORD)
    for wrong in ("", PASSWORD + " ", PASSWORD.upper()):
        assert not HASHER.accepts(kept, wrong)


def test_nobodys_password_is_never_right_but_takes_as_long() -> None:
    kept = HASHER.hashed(PASSWORD)

    def seconds(password_hash: str | None) -> float:
        started = time.perf_counter()
        assert not HASHER.accepts(password_hash, "wrong")
        return time.perf_counter() - started

    known = min(seconds(kept) for _ in range(3))
    unknown = min(seconds(None) for _ in range(3))

    assert unknown > known / 3


def test_a_hash_that_is_none_accepts_nothing() -> None:
    assert not HASHER.accepts("no hash", PASSWORD)


def test_a_hash_of_weaker_parameters_is_outdated() -> None:
    weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)

    assert HASHER.accepts(weak, PASSWORD)
    assert HASHER.outdated(weak)
    assert not HASHER.outdated(HASHER.hashed(PASSWORD))
