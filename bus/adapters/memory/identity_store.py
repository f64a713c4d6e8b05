"""Accounts in memory."""

import copy
import datetime as dt
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from bus.domain.accounts import Account, ApiToken, FailedLogins, OperatorAuthorisation
from bus.domain.audit_record import AuditRecord
from bus.ports.identity import IdentityTransaction


@dataclass
class _State:
    accounts: dict[str, Account] = field(default_factory=dict)
    password_hashes: dict[str, str] = field(default_factory=dict)
    sessions_from: dict[str, dt.datetime] = field(default_factory=dict)
    ended_sessions: dict[str, dt.datetime] = field(default_factory=dict)
    tokens: dict[str, ApiToken] = field(default_factory=dict)
    links: dict[tuple[str, str, str], str] = field(default_factory=dict)
    failed_logins: dict[str, FailedLogins] = field(default_factory=dict)
    authorisations: dict[str, OperatorAuthorisation] = field(default_factory=dict)
    records: list[AuditRecord] = field(default_factory=list)


class MemoryIdentityStore:
    """See `bus.ports.identity.IdentityStore`."""

    def __init__(self) -> None:
        self._state = _State()
        self._lock = threading.RLock()

    @property
    def records(self) -> Sequence[AuditRecord]:
        """What has been written down."""
        return tuple(self._state.records)

    @contextmanager
    def transaction(self) -> Iterator[IdentityTransaction]:
        with self._lock:
            # All values are frozen, so copies of what holds them are enough.
            state = _State(**{name: copy.copy(each) for name, each in vars(self._state).items()})
            yield MemoryIdentityTransaction(state)
            self._state = state


class MemoryIdentityTransaction:
    """See `bus.ports.identity.IdentityTransaction`."""

    def __init__(self, state: _State) -> None:
        self._state = state

    def account(self, name: str) -> Account | None:
        return self._state.accounts.get(name)

    def accounts(self) -> Sequence[Account]:
        return sorted(self._state.accounts.values(), key=lambda account: account.name)

    def lock(self) -> None:
        """Do nothing: transactions in memory are serial."""

    def add_account(self, account: Account) -> bool:
        if account.name in self._state.accounts:
            return False
        self._state.accounts[account.name] = account
        return True

    def save_account(self, account: Account) -> None:
        self._state.accounts[account.name] = account

    def password_hash(self, account: str) -> str | None:
        return self._state.password_hashes.get(account)

    def save_password_hash(self, account: str, password_hash: str) -> None:
        self._state.password_hashes[account] = password_hash

    def sessions_from(self, account: str) -> dt.datetime | None:
        return self._state.sessions_from.get(account)

    def end_sessions(self, account: str, before: dt.datetime) -> None:
        self._state.sessions_from[account] = before

    def session_ended(self, session: str) -> bool:
        return session in self._state.ended_sessions

    def end_session(self, session: str, expires_at: dt.datetime) -> None:
        self._state.ended_sessions[session] = expires_at

    def token(self, token_id: str) -> ApiToken | None:
        return self._state.tokens.get(token_id)

    def tokens(self, account: str) -> Sequence[ApiToken]:
        found = [each for each in self._state.tokens.values() if each.account == account]
        return sorted(found, key=lambda token: (token.expires_at, token.id))

    def save_token(self, token: ApiToken) -> None:
        self._state.tokens[token.id] = token

    def linked(self, issuer: str, claim: str, value: str) -> str | None:
        return self._state.links.get((issuer, claim, value))

    def link(self, issuer: str, claim: str, value: str, account: str) -> None:
        self._state.links[issuer, claim, value] = account

    def unlink(self, issuer: str, claim: str, value: str) -> None:
        self._state.links.pop((issuer, claim, value), None)

    def failed_logins(self, key: str) -> FailedLogins | None:
        return self._state.failed_logins.get(key)

    def save_failed_logins(self, key: str, failed: FailedLogins | None) -> None:
        if failed is None:
            self._state.failed_logins.pop(key, None)
        else:
            self._state.failed_logins[key] = failed

    def authorisations(self) -> Sequence[OperatorAuthorisation]:
        return sorted(self._state.authorisations.values(), key=lambda each: each.id)

    def save_authorisation(self, authorisation: OperatorAuthorisation) -> None:
        self._state.authorisations[authorisation.id] = authorisation

    def record(self, record: AuditRecord) -> None:
        self._state.records.append(record)

    def forget(self, *, sessions_before: dt.datetime, failures_before: dt.datetime) -> None:
        state = self._state
        state.ended_sessions = {
            session: at for session, at in state.ended_sessions.items() if at >= sessions_before
        }
        state.failed_logins = {
            key: each
            for key, each in state.failed_logins.items()
            if each.last_at >= failures_before
        }
