"""Where accounts are kept: one suite, held by Postgres and by memory."""

import datetime as dt
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from bus.adapters.memory.identity_store import MemoryIdentityStore
from bus.adapters.postgres.audit_log import PostgresAuditReader
from bus.adapters.postgres.identity_store import PostgresIdentityStore
from bus.adapters.postgres.pool import Postgres
from bus.domain.accounts import (
    Account,
    AccountKind,
    ApiScope,
    FailedLogins,
    OperatorAuthorisation,
    new_token,
)
from bus.domain.audit_record import AuditRecord
from bus.domain.identity import Role
from bus.ports.identity import IdentityStore
from tests import builders
from tests.live_platform import LivePlatform

ISSUER = "https://login.test"
DAY = dt.timedelta(days=1)


RECORD = AuditRecord(
    at=builders.NOW,
    jurisdiction=builders.JURISDICTION,
    account="li.ming",
    organisation=builders.PROVIDER,
    role="department",
    action="session.opened",
    subject_kind="account",
    subject="li.ming",
    details={"means": "password"},
)


def recorded(store: IdentityStore) -> list[AuditRecord]:
    """Return what a store has written down."""
    if isinstance(store, MemoryIdentityStore):
        return list(store.records)
    assert isinstance(store, PostgresIdentityStore)
    return [row.record for row in PostgresAuditReader(store._postgres).rows(0, 100)]


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.platform)])
def store(request: pytest.FixtureRequest) -> Iterator[IdentityStore]:
    """Return an empty store."""
    if request.param == "memory":
        yield MemoryIdentityStore()
        return
    platform: LivePlatform = request.getfixturevalue("platform")
    postgres = Postgres(platform.new_control_database())
    yield PostgresIdentityStore(postgres)
    postgres.close()


def account(name: str = "li.ming") -> Account:
    """Return a person's account."""
    return Account(
        name=name,
        organisation=builders.PROVIDER,
        jurisdiction=builders.JURISDICTION,
        kind=AccountKind.PERSON,
        roles=frozenset({Role.DEPARTMENT, Role.OFFICE}),
        display_name="李明",
    )


def add(store: IdentityStore, name: str = "li.ming") -> Account:
    """Add an account."""
    added = account(name)
    with store.transaction() as transaction:
        assert transaction.add_account(added)
    return added


def test_an_account_is_kept_as_it_is(store: IdentityStore) -> None:
    added = add(store)
    other = add(store, "a-b")

    with store.transaction() as transaction:
        assert transaction.account("li.ming") == added
        assert list(transaction.accounts()) == [other, added]
        assert transaction.account("nobody") is None


def test_a_name_is_given_once(store: IdentityStore) -> None:
    added = add(store)

    with store.transaction() as transaction:
        assert not transaction.add_account(replace(added, display_name="another"))
        assert transaction.account(added.name) == added


def test_an_account_changes_and_keeps_its_password(store: IdentityStore) -> None:
    changed = replace(add(store), roles=frozenset({Role.AUDITOR}), active=False, display_name="")
    with store.transaction() as transaction:
        assert transaction.password_hash(changed.name) is None
        transaction.save_password_hash(changed.name, "a hash")
        transaction.save_account(changed)

    with store.transaction() as transaction:
        assert transaction.account(changed.name) == changed
        assert transaction.password_hash(changed.name) == "a hash"
        assert transaction.password_hash("nobody") is None


def test_what_fails_in_the_middle_did_not_happen(store: IdentityStore) -> None:
    def fail() -> None:
        with store.transaction() as transaction:
            transaction.lock()
            transaction.add_account(account())
            transaction.record(RECORD)
            raise KeyError

    with pytest.raises(KeyError):
        fail()

    with store.transaction() as transaction:
        assert transaction.account("li.ming") is None
    assert recorded(store) == []


def test_what_is_done_is_written_down_with_it(store: IdentityStore) -> None:
    with store.transaction() as transaction:
        transaction.record(RECORD)

    assert recorded(store) == [RECORD]


def test_sessions_end_alone_or_together(store: IdentityStore) -> None:
    add(store)
    with store.transaction() as transaction:
        assert transaction.sessions_from("li.ming") is None
        transaction.end_sessions("li.ming", builders.NOW)
        transaction.end_session("s1", builders.NOW + DAY)
        transaction.end_session("s1", builders.NOW + DAY)
        transaction.end_session("s2", builders.NOW - DAY)

    with store.transaction() as transaction:
        assert transaction.sessions_from("li.ming") == builders.NOW
        assert transaction.sessions_from("nobody") is None
        assert transaction.session_ended("s1")
        assert not transaction.session_ended("s3")
        transaction.forget(sessions_before=builders.NOW, failures_before=builders.NOW)
        assert [transaction.session_ended(each) for each in ("s1", "s2")] == [True, False]


def test_tokens_are_kept_and_revoked(store: IdentityStore) -> None:
    add(store)
    later, _ = new_token(
        "li.ming", ApiScope, now=builders.NOW, expires_at=builders.NOW + 2 * DAY, title="采集"
    )
    sooner, _ = new_token(
        "li.ming", [ApiScope.READ], now=builders.NOW, expires_at=builders.NOW + DAY
    )
    with store.transaction() as transaction:
        for token in (later, sooner):
            transaction.save_token(token)
        transaction.save_token(replace(sooner, revoked=True))

    with store.transaction() as transaction:
        assert transaction.token(later.id) == later
        assert transaction.token("0" * 16) is None
        assert list(transaction.tokens("li.ming")) == [replace(sooner, revoked=True), later]
        assert list(transaction.tokens("nobody")) == []


def test_a_subject_is_linked_to_one_account(store: IdentityStore) -> None:
    add(store)
    add(store, "other")
    with store.transaction() as transaction:
        transaction.link(ISSUER, "sub", "1", "li.ming")
        transaction.link(ISSUER, "sub", "1", "other")
        transaction.link(ISSUER, "preferred_username", "1", "li.ming")

    with store.transaction() as transaction:
        assert transaction.linked(ISSUER, "sub", "1") == "other"
        assert transaction.linked(ISSUER, "preferred_username", "1") == "li.ming"
        assert transaction.linked("https://else.test", "sub", "1") is None
        transaction.unlink(ISSUER, "sub", "1")
        assert transaction.linked(ISSUER, "sub", "1") is None


def test_failures_are_counted_and_forgotten(store: IdentityStore) -> None:
    old = FailedLogins(count=3, last_at=builders.NOW - DAY)
    new = FailedLogins(count=7, last_at=builders.NOW)
    with store.transaction() as transaction:
        for key, failed in {"a": old, "b": old, "c": new}.items():
            assert transaction.failed_logins(key) is None
            transaction.save_failed_logins(key, failed)
        transaction.save_failed_logins("b", new)
        transaction.save_failed_logins("c", None)
        transaction.save_failed_logins("never there", None)

    with store.transaction() as transaction:
        transaction.forget(sessions_before=builders.NOW, failures_before=builders.NOW)
        found = [transaction.failed_logins(key) for key in ("a", "b", "c")]
        assert found == [None, new, None]


def test_failures_that_happen_at_once_are_all_counted(store: IdentityStore) -> None:
    start = threading.Barrier(4)

    def count() -> None:
        start.wait()
        with store.transaction() as transaction:
            failed = transaction.failed_logins("key")
            number = failed.count + 1 if failed else 1
            transaction.save_failed_logins("key", FailedLogins(count=number, last_at=builders.NOW))

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with store.transaction() as transaction:
        assert transaction.failed_logins("key") == FailedLogins(count=4, last_at=builders.NOW)


def test_authorisations_are_kept_and_end(store: IdentityStore) -> None:
    authorisation = OperatorAuthorisation(
        id="a1",
        organisation="centre",
        jurisdiction=builders.JURISDICTION,
        valid_from=builders.TODAY,
        valid_until=builders.TODAY + DAY,
        scope=frozenset({ApiScope.GRANTS, ApiScope.CATALOG}),
        document="县政数〔2026〕1号",
    )
    with store.transaction() as transaction:
        transaction.save_authorisation(authorisation)
        transaction.save_authorisation(replace(authorisation, id="A2"))
        transaction.save_authorisation(replace(authorisation, revoked=True))

    with store.transaction() as transaction:
        assert list(transaction.authorisations()) == [
            replace(authorisation, id="A2"),
            replace(authorisation, revoked=True),
        ]
