"""
Who acts: logging in, and what a request's token proves (design.md §10).

Every log-in and every refusal is recorded, but neither a password nor a token, nor the name that
somebody tried who is not known: it may be a password typed into the wrong field.
"""

import datetime as dt
import ipaddress
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from bus.domain.accounts import (
    ALL_SCOPES,
    FAILURES_FORGOTTEN,
    FREE_TRIES_ACCOUNT,
    FREE_TRIES_ADDRESS,
    Account,
    ApiScope,
    FailedLogins,
    authorised,
    is_account_name,
    token_parts,
)
from bus.domain.audit_record import DONE, AuditRecord
from bus.domain.identity import Actor, Role
from bus.errors import Forbidden, TooManyAttempts, Unauthenticated
from bus.ports import Clock
from bus.ports.identity import (
    BearerIssuer,
    ExternalSubject,
    IdentityStore,
    IdentityTransaction,
    PasswordHasher,
    Session,
    SessionTokens,
    SubjectClaim,
    TokenRefused,
)

SESSION_LENGTH = dt.timedelta(hours=1)
#: No token of ours is longer, and hardly one of anybody else.
MAX_TOKEN_CHARACTERS = 8192
#: Somebody without a right token is recorded once in this time, however often they try.
_RECORD_AGAIN = dt.timedelta(minutes=1)
_MOST_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Authenticated:
    """Who asks, and what the means of proof are good for."""

    actor: Actor
    scopes: frozenset[ApiScope] = ALL_SCOPES
    session: Session | None = None
    """The session of a log-in; None if a token of another kind was shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedIn:
    """A new session with its token."""

    token: str
    session: Session
    actor: Actor


class Identity:
    """Logs people in and finds out who asks."""

    def __init__(
        self,
        *,
        store: IdentityStore,
        hasher: PasswordHasher,
        sessions: SessionTokens,
        clock: Clock,
        issuer: BearerIssuer | None = None,
    ) -> None:
        self._store = store
        self._hasher = hasher
        self._sessions = sessions
        self._clock = clock
        self._issuer = issuer
        self._last_recorded: dict[str, dt.datetime] = {}

    # --- tokens -----------------------------------------------------------------------------------

    def bearer(self, token: str, *, address: str = "", trace_id: str = "") -> Authenticated:
        """
        Return whom a token proves: an API token, a session's, or one of the outside issuer.

        Raise `Unauthenticated`, always with the same words. The account is read each time, so that
        a change of its roles holds at once.
        """
        try:
            if len(token) > MAX_TOKEN_CHARACTERS or not token.isascii():
                raise TokenRefused("it is too long, or no token")
            if token_parts(token) is not None:
                return self._by_api_token(token, trace_id)
            return self._by_signed_token(token, trace_id)
        except TokenRefused as refused:
            self._refuse("token.refused", address, str(refused))
            raise Unauthenticated("log in, or show a token that is good") from None

    def _by_api_token(self, text: str, trace_id: str) -> Authenticated:
        token_id, secret = token_parts(text) or ("", "")
        with self._store.transaction() as transaction:
            token = transaction.token(token_id)
            if token is None or not token.accepts(secret, self._clock.now()):
                raise TokenRefused("an API token is unknown, revoked or expired")
            account = _active(transaction, token.account)
        return Authenticated(actor=account.actor(trace_id), scopes=token.scopes)

    def _by_signed_token(self, text: str, trace_id: str) -> Authenticated:
        try:
            session = self._sessions.verify(text, self._clock.now())
        except TokenRefused:
            if self._issuer is None:
                raise
            subject = self._issuer.verify(text, self._clock.now())
            with self._store.transaction() as transaction:
                return Authenticated(actor=self._linked(transaction, subject).actor(trace_id))
        with self._store.transaction() as transaction:
            since = transaction.sessions_from(session.account)
            if transaction.session_ended(session.id) or (since and session.began_at < since):
                raise TokenRefused("the session was ended")
            account = _active(transaction, session.account)
        return Authenticated(actor=account.actor(trace_id), session=session)

    def permit(self, who: Authenticated, scope: ApiScope) -> None:
        """
        Raise `Forbidden` unless the token is good for `scope`, and an operator authorised (R-010).

        What the roles allow is decided by whoever knows the resource.
        """
        if scope not in who.scopes:
            self._note_alone(who.actor, "access.refused", scope, outcome="SCOPE_MISSING")
            raise Forbidden(f"the token is not good for {scope}", code="SCOPE_MISSING")
        if Role.OPERATOR not in who.actor.roles:
            return
        with self._store.transaction() as transaction:
            authorisations = transaction.authorisations()
        if not authorised(authorisations, who.actor, scope, self._clock.now().date()):
            self._note_alone(who.actor, "access.refused", scope, outcome="OPERATOR_NOT_AUTHORISED")
            raise Forbidden(
                f"no authorisation in force lets this operator do anything of {scope}",
                code="OPERATOR_NOT_AUTHORISED",
            )

    # --- sessions ---------------------------------------------------------------------------------

    def log_in(self, name: str, password: str, *, address: str = "") -> LoggedIn:
        """
        Open a session of a local account.

        Raise `Unauthenticated`, in the same words and after the same time whatever is wrong; raise
        `TooManyAttempts`, before anything is looked at, after too many failures.
        """
        keys = _failure_keys(name, address)
        self._count_attempt(keys)
        with self._store.transaction() as transaction:
            account = transaction.account(name) if is_account_name(name) else None
            kept = None if account is None else transaction.password_hash(name)
        right = self._hasher.accepts(kept, password)
        if account is None or kept is None or not right or not account.active:
            if account is None:
                self._refuse("session.refused", address, "an account that there is not")
            else:
                self._note_alone(account.actor(), "session.refused", name, outcome="UNAUTHORISED")
            raise Unauthenticated("account or password are wrong")
        with self._store.transaction() as transaction:
            for key in keys:
                transaction.save_failed_logins(
                    key,
                    None
                    if key.startswith("account:")
                    else _one_less(transaction.failed_logins(key)),
                )
            if self._hasher.outdated(kept):
                transaction.save_password_hash(name, self._hasher.hashed(password))
            return self._open(transaction, account, means="password")

    def log_in_external(self, subject: ExternalSubject) -> LoggedIn:
        """
        Open a session for somebody whom the identity provider has recognised.

        Raise `Forbidden` ACCOUNT_UNKNOWN if an administrator has not linked them to an account.
        """
        try:
            with self._store.transaction() as transaction:
                account = self._linked(transaction, subject)
                return self._open(transaction, account, means=subject.issuer)
        except TokenRefused:
            self._refuse("session.refused", subject.issuer, "a subject that is not linked")
            raise Forbidden(
                "nobody has linked you to an account here: ask an administrator",
                code="ACCOUNT_UNKNOWN",
            ) from None

    def refuse_login(self, *, address: str, reason: str) -> None:
        """Record that somebody did not come back from the identity provider as they should."""
        self._refuse("session.refused", address, reason)

    def log_out(self, who: Authenticated) -> None:
        """End the session that was shown, if it was one."""
        if who.session is None:
            return
        with self._store.transaction() as transaction:
            transaction.end_session(who.session.id, who.session.expires_at)
            self._note(transaction, who.actor, "session.ended", who.actor.account)

    def _open(self, transaction: IdentityTransaction, account: Account, *, means: str) -> LoggedIn:
        now = self._clock.now()
        session = Session(
            id=secrets.token_hex(16),
            account=account.name,
            began_at=now,
            expires_at=now + SESSION_LENGTH,
        )
        token = self._sessions.issue(session)
        transaction.forget(sessions_before=now, failures_before=now - FAILURES_FORGOTTEN)
        self._note(
            transaction,
            account.actor(),
            "session.opened",
            account.name,
            details={"means": means},
        )
        return LoggedIn(token=token, session=session, actor=account.actor())

    def _linked(self, transaction: IdentityTransaction, subject: ExternalSubject) -> Account:
        """
        Return the account of an outside subject.

        A link by user name is good for the first time only: it becomes one by `sub`, which no
        provider gives to somebody else later.
        """
        name = transaction.linked(subject.issuer, SubjectClaim.SUB, subject.subject)
        if name is not None:
            return _active(transaction, name)
        by_name = (subject.issuer, SubjectClaim.USERNAME, subject.username or "")
        name = transaction.linked(*by_name)
        if name is None:
            raise TokenRefused("the subject is not linked to an account")
        account = _active(transaction, name)
        transaction.unlink(*by_name)
        transaction.link(subject.issuer, SubjectClaim.SUB, subject.subject, name)
        details = {"issuer": subject.issuer, "claim": str(SubjectClaim.SUB)}
        self._note(transaction, account.actor(), "account.linked", name, details=details)
        return account

    def _count_attempt(self, keys: Mapping[str, int]) -> None:
        """Count before looking, so that attempts at the same time cannot slip through."""
        now = self._clock.now()
        with self._store.transaction() as transaction:
            failures = {key: _recent(transaction.failed_logins(key), now) for key in sorted(keys)}
            until = max(
                (each.blocked_until(keys[key]) for key, each in failures.items() if each),
                default=now,
            )
            if until > now:
                raise TooManyAttempts(int((until - now).total_seconds()) + 1)
            for key, each in failures.items():
                count = each.count if each else 0
                transaction.save_failed_logins(key, FailedLogins(count=count + 1, last_at=now))

    # --- records ----------------------------------------------------------------------------------

    def _note_alone(self, actor: Actor, action: str, subject: str, *, outcome: str) -> None:
        with self._store.transaction() as transaction:
            self._note(transaction, actor, action, subject, outcome=outcome)

    def _note(
        self,
        transaction: IdentityTransaction,
        actor: Actor,
        action: str,
        subject: str,
        *,
        outcome: str = DONE,
        details: Mapping[str, str] | None = None,
    ) -> None:
        transaction.record(
            audit_record(
                actor,
                self._clock.now(),
                action=action,
                subject_kind="scope" if action.startswith("access") else "account",
                subject=subject,
                outcome=outcome,
                details=details,
            )
        )

    def _refuse(self, action: str, address: str, reason: str) -> None:
        """Record that somebody unknown was refused; not each time, or they could fill the log."""
        now = self._clock.now()
        key = f"{action} {_network(address)}"
        last = self._last_recorded.get(key)
        if last is not None and now - last < _RECORD_AGAIN:
            return
        if len(self._last_recorded) >= _MOST_REMEMBERED:
            self._last_recorded.clear()
        self._last_recorded[key] = now
        nobody = Actor(account="", organisation="", jurisdiction="", roles=frozenset())
        record = audit_record(
            nobody,
            now,
            action=action,
            subject_kind="address",
            subject=address,
            outcome="UNAUTHORISED",
            details={"reason": reason},
        )
        with self._store.transaction() as transaction:
            transaction.record(record)


def audit_record(
    actor: Actor,
    at: dt.datetime,
    *,
    action: str,
    subject_kind: str,
    subject: str,
    outcome: str = DONE,
    details: Mapping[str, str] | None = None,
) -> AuditRecord:
    """Return the record of what `actor` did."""
    return AuditRecord(
        at=at,
        jurisdiction=actor.jurisdiction,
        account=actor.account,
        organisation=actor.organisation,
        role=",".join(sorted(actor.roles)),
        action=action,
        subject_kind=subject_kind,
        subject=subject,
        outcome=outcome,
        trace_id=actor.trace_id,
        details=dict(details or {}),
    )


def _active(transaction: IdentityTransaction, name: str) -> Account:
    account = transaction.account(name)
    if account is None or not account.active:
        raise TokenRefused("the account is not active")
    return account


def _failure_keys(name: str, address: str) -> dict[str, int]:
    """Return what failures are counted under, and how many are free of waiting."""
    keys = {f"address:{_network(address)}": FREE_TRIES_ADDRESS}
    if is_account_name(name):
        # Unknown names are counted as known ones are, or waiting would tell which are known.
        keys[f"account:{name}"] = FREE_TRIES_ACCOUNT
    return keys


def _network(address: str) -> str:
    """Return what one attacker cannot change at will: of an IPv6 address, its first half."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    return str(ipaddress.ip_network((found, 64), strict=False))


def _recent(failed: FailedLogins | None, now: dt.datetime) -> FailedLogins | None:
    return None if failed is None or now - failed.last_at > FAILURES_FORGOTTEN else failed


def _one_less(failed: FailedLogins | None) -> FailedLogins | None:
    """Take back the attempt that was counted before it was known to be right."""
    if failed is None or failed.count <= 1:
        return None
    return FailedLogins(count=failed.count - 1, last_at=failed.last_at)
