"""The seams of identity: where accounts are kept, passwords checked, sessions and logins proved."""

import datetime as dt
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from bus.domain.accounts import Account, ApiToken, FailedLogins, OperatorAuthorisation
from bus.domain.audit_record import AuditRecord


class IdentityTransaction(Protocol):
    """Reads and changes of accounts, whole or not at all."""

    def account(self, name: str) -> Account | None:
        """Return an account; None if there is none."""
        ...

    def accounts(self) -> Sequence[Account]:
        """Return all accounts, by name."""
        ...

    def lock(self) -> None:
        """Make this the only transaction that changes accounts until it ends."""
        ...

    def add_account(self, account: Account) -> bool:
        """Add an account; tell whether the name was free."""
        ...

    def save_account(self, account: Account) -> None:
        """Replace what is known of an account."""
        ...

    def password_hash(self, account: str) -> str | None:
        """Return what an account's password can be checked with; None if it has none."""
        ...

    def save_password_hash(self, account: str, password_hash: str) -> None:
        """Give an account a password, or another one."""
        ...

    def sessions_from(self, account: str) -> dt.datetime | None:
        """Return since when sessions of an account count; None if all do."""
        ...

    def end_sessions(self, account: str, before: dt.datetime) -> None:
        """End the sessions of an account that began before then."""
        ...

    def session_ended(self, session: str) -> bool:
        """Tell whether a session was ended."""
        ...

    def end_session(self, session: str, expires_at: dt.datetime) -> None:
        """End a session; that is remembered until it would have expired."""
        ...

    def token(self, token_id: str) -> ApiToken | None:
        """Return a token; None if there is none."""
        ...

    def tokens(self, account: str) -> Sequence[ApiToken]:
        """Return the tokens of an account, revoked ones too, by expiry."""
        ...

    def save_token(self, token: ApiToken) -> None:
        """Add or replace a token."""
        ...

    def linked(self, issuer: str, claim: str, value: str) -> str | None:
        """Return the account that is linked to whom an issuer calls so; None if there is none."""
        ...

    def link(self, issuer: str, claim: str, value: str, account: str) -> None:
        """Link whom an issuer calls so to an account; it is linked to no other any more."""
        ...

    def unlink(self, issuer: str, claim: str, value: str) -> None:
        """Forget a link."""
        ...

    def failed_logins(self, key: str) -> FailedLogins | None:
        """Return the failures of an account or an address, and let nobody else count meanwhile."""
        ...

    def save_failed_logins(self, key: str, failed: FailedLogins | None) -> None:
        """Note the failures; None forgets them."""
        ...

    def authorisations(self) -> Sequence[OperatorAuthorisation]:
        """Return all operator authorisations, revoked ones too."""
        ...

    def save_authorisation(self, authorisation: OperatorAuthorisation) -> None:
        """Add or replace an operator authorisation."""
        ...

    def record(self, record: AuditRecord) -> None:
        """Write down what is done or refused; it stays only if the transaction commits."""
        ...

    def forget(self, *, sessions_before: dt.datetime, failures_before: dt.datetime) -> None:
        """Remove what no longer matters: sessions expired before then, failures older than then."""
        ...


class IdentityStore(Protocol):
    """Where accounts are kept."""

    def transaction(self) -> AbstractContextManager[IdentityTransaction]:
        """Open a transaction that commits unless the block raises."""
        ...


class PasswordHasher(Protocol):
    """Makes and checks what is kept of a password; slow on purpose."""

    def hashed(self, password: str) -> str:
        """Return what to keep."""
        ...

    def accepts(self, password_hash: str | None, password: str) -> bool:
        """Tell whether the password is right; takes as long if there is none to compare with."""
        ...

    def outdated(self, password_hash: str) -> bool:
        """Tell whether a password should be hashed anew, with the parameters of today."""
        ...


class TokenRefused(Exception):
    """A token proves nothing; the message says why, for the log, and never holds the token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What a session's token says."""

    id: str
    account: str
    began_at: dt.datetime
    expires_at: dt.datetime


class SessionTokens(Protocol):
    """Our own tokens, signed with the key of this installation."""

    def issue(self, session: Session) -> str:
        """Return the token of a session."""
        ...

    def verify(self, token: str, now: dt.datetime) -> Session:
        """Return the session; raise `TokenRefused` unless the token is ours, and good now."""
        ...


class SubjectClaim(StrEnum):
    """By which claim an issuer's subject is linked to an account."""

    SUB = "sub"
    """Never given to somebody else."""
    USERNAME = "preferred_username"
    """Known before the first login, which replaces it by `sub`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalSubject:
    """Whom an identity provider has recognised."""

    issuer: str
    subject: str
    username: str | None = None


class BearerIssuer(Protocol):
    """Checks bearer tokens of an outside issuer."""

    @property
    def issuer(self) -> str:
        """The issuer's address, as it is in its tokens."""
        ...

    def verify(self, token: str, now: dt.datetime) -> ExternalSubject:
        """
        Return whom the token is about.

        Raise `TokenRefused` unless it is the issuer's, for us and good now; raise
        `IssuerUnavailable` if the issuer's keys cannot be had.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginAttempt:
    """What must be the same at the end of a log-in as at its begin."""

    state: str
    nonce: str
    verifier: str


class LoginProvider(Protocol):
    """An OpenID provider where people log in."""

    @property
    def issuer(self) -> str:
        """The provider's address, as it is in its tokens."""
        ...

    def authorisation_address(self, attempt: LoginAttempt, redirect_to: str) -> str:
        """Return where to send the person; raise `IssuerUnavailable`."""
        ...

    def subject(
        self, code: str, attempt: LoginAttempt, redirect_to: str, now: dt.datetime
    ) -> ExternalSubject:
        """
        Return who came back with `code`.

        Raise `TokenRefused` unless the provider says so, to us, for this attempt; raise
        `IssuerUnavailable`.
        """
        ...
