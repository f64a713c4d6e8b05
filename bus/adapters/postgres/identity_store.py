"""Accounts, tokens, sessions that were ended, and operator authorisations."""

import datetime as dt
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.rows import TupleRow

from bus.adapters.postgres.audit_log import PostgresAuditLog
from bus.adapters.postgres.pool import Postgres
from bus.adapters.postgres.statements import statements
from bus.domain.accounts import (
    Account,
    AccountKind,
    ApiScope,
    ApiToken,
    FailedLogins,
    OperatorAuthorisation,
)
from bus.domain.audit_record import AuditRecord
from bus.domain.identity import Role
from bus.ports.identity import IdentityTransaction

_IDENTITY = "identity"


class PostgresIdentityStore:
    """See `bus.ports.identity.IdentityStore`."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    @contextmanager
    def transaction(self) -> Iterator[IdentityTransaction]:
        with self._postgres.transaction() as connection:
            yield PostgresIdentityTransaction(connection)


class PostgresIdentityTransaction:
    """See `bus.ports.identity.IdentityTransaction`."""

    def __init__(self, connection: psycopg.Connection[TupleRow]) -> None:
        self._connection = connection

    def account(self, name: str) -> Account | None:
        row = self._row("account", name=name)
        return None if row is None else _account(row)

    def accounts(self) -> Sequence[Account]:
        return [_account(row) for row in self._rows("accounts")]

    def lock(self) -> None:
        self._execute("lock")

    def add_account(self, account: Account) -> bool:
        return self._execute("add_account", **_columns(account)).rowcount == 1

    def save_account(self, account: Account) -> None:
        self._execute("save_account", **_columns(account))

    def password_hash(self, account: str) -> str | None:
        found: str | None = self._value("password_hash", account=account)
        return found

    def save_password_hash(self, account: str, password_hash: str) -> None:
        self._execute("save_password_hash", account=account, password_hash=password_hash)

    def sessions_from(self, account: str) -> dt.datetime | None:
        found: dt.datetime | None = self._value("sessions_from", account=account)
        return found

    def end_sessions(self, account: str, before: dt.datetime) -> None:
        self._execute("end_sessions", account=account, before=before)

    def session_ended(self, session: str) -> bool:
        return self._row("session_ended", session=session) is not None

    def end_session(self, session: str, expires_at: dt.datetime) -> None:
        self._execute("end_session", session=session, expires_at=expires_at)

    def token(self, token_id: str) -> ApiToken | None:
        row = self._row("token", id=token_id)
        return None if row is None else _token(row)

    def tokens(self, account: str) -> Sequence[ApiToken]:
        return [_token(row) for row in self._rows("tokens", account=account)]

    def save_token(self, token: ApiToken) -> None:
        self._execute(
            "save_token",
            id=token.id,
            account=token.account,
            digest=token.digest,
            scopes=sorted(map(str, token.scopes)),
            expires_at=token.expires_at,
            title=token.title,
            revoked=token.revoked,
        )

    def linked(self, issuer: str, claim: str, value: str) -> str | None:
        found: str | None = self._value("linked", issuer=issuer, claim=claim, value=value)
        return found

    def link(self, issuer: str, claim: str, value: str, account: str) -> None:
        self._execute("link", issuer=issuer, claim=claim, value=value, account=account)

    def unlink(self, issuer: str, claim: str, value: str) -> None:
        self._execute("unlink", issuer=issuer, claim=claim, value=value)

    def failed_logins(self, key: str) -> FailedLogins | None:
        self._execute("lock_failures", key=key)
        row = self._row("failed_logins", key=key)
        return None if row is None else FailedLogins(count=row[0], last_at=row[1])

    def save_failed_logins(self, key: str, failed: FailedLogins | None) -> None:
        if failed is None:
            self._execute("forget_failed_logins", key=key)
        else:
            self._execute("save_failed_logins", key=key, count=failed.count, last_at=failed.last_at)

    def authorisations(self) -> Sequence[OperatorAuthorisation]:
        return [
            OperatorAuthorisation(
                id=authorisation_id,
                organisation=organisation,
                jurisdiction=jurisdiction,
                valid_from=valid_from,
                valid_until=valid_until,
                scope=frozenset(map(ApiScope, scope)),
                document=document,
                revoked=revoked,
            )
            for (
                authorisation_id,
                organisation,
                jurisdiction,
                valid_from,
                valid_until,
                scope,
                document,
                revoked,
            ) in self._rows("authorisations")
        ]

    def save_authorisation(self, authorisation: OperatorAuthorisation) -> None:
        self._execute(
            "save_authorisation",
            id=authorisation.id,
            organisation=authorisation.organisation,
            jurisdiction=authorisation.jurisdiction,
            valid_from=authorisation.valid_from,
            valid_until=authorisation.valid_until,
            scope=sorted(map(str, authorisation.scope)),
            document=authorisation.document,
            revoked=authorisation.revoked,
        )

    def record(self, record: AuditRecord) -> None:
        PostgresAuditLog(self._connection).append(record)

    def forget(self, *, sessions_before: dt.datetime, failures_before: dt.datetime) -> None:
        self._execute("forget_sessions", before=sessions_before)
        self._execute("forget_failures", before=failures_before)

    def _execute(self, name: str, /, **values: Any) -> psycopg.Cursor[TupleRow]:  # noqa: ANN401
        return self._connection.execute(statements(_IDENTITY)[name], values)

    def _rows(self, name: str, /, **values: Any) -> list[TupleRow]:  # noqa: ANN401
        return self._execute(name, **values).fetchall()

    def _row(self, name: str, /, **values: Any) -> TupleRow | None:  # noqa: ANN401
        return self._execute(name, **values).fetchone()

    def _value(self, name: str, /, **values: Any) -> Any:  # noqa: ANN401
        row = self._row(name, **values)
        return None if row is None else row[0]


def _columns(account: Account) -> dict[str, object]:
    return {
        "name": account.name,
        "organisation": account.organisation,
        "jurisdiction": account.jurisdiction,
        "kind": str(account.kind),
        "roles": sorted(map(str, account.roles)),
        "display_name": account.display_name,
        "active": account.active,
    }


def _account(row: TupleRow) -> Account:
    name, organisation, jurisdiction, kind, roles, display_name, active = row
    return Account(
        name=name,
        organisation=organisation,
        jurisdiction=jurisdiction,
        kind=AccountKind(kind),
        roles=frozenset(map(Role, roles)),
        display_name=display_name,
        active=active,
    )


def _token(row: TupleRow) -> ApiToken:
    token_id, account, digest, scopes, expires_at, title, revoked = row
    return ApiToken(
        id=token_id,
        account=account,
        digest=bytes(digest),
        scopes=frozenset(map(ApiScope, scopes)),
        expires_at=expires_at,
        title=title,
        revoked=revoked,
    )
