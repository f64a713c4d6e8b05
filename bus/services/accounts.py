"""
Accounts, their tokens and operator authorisations, as administrators and the authority keep them.

Who may not know of an account is told that there is none.
"""

import datetime as dt
import secrets
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from bus.domain.accounts import (
    FIRST_ADMINISTRATOR,
    PLATFORM,
    Account,
    AccountKind,
    ApiScope,
    ApiToken,
    OperatorAuthorisation,
    check_password,
    new_token,
)
from bus.domain.identity import Actor, Role
from bus.errors import Forbidden, NotFound, Refused, StateConflict
from bus.ports import Clock
from bus.ports.identity import IdentityStore, IdentityTransaction, PasswordHasher, SubjectClaim
from bus.services.identity import Authenticated, audit_record


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedToken:
    """A new token with its text, which is shown this once."""

    token: ApiToken
    text: str


class Accounts:
    """Keeps accounts."""

    def __init__(self, *, store: IdentityStore, hasher: PasswordHasher, clock: Clock) -> None:
        self._store = store
        self._hasher = hasher
        self._clock = clock

    # --- accounts ---------------------------------------------------------------------------------

    def create(self, by: Actor, account: Account, password: str | None = None) -> None:
        """
        Add an account.

        Raise `Forbidden` unless `by` administers its jurisdiction, `StateConflict` if the name is
        taken, `Refused` if the password is weak or the account a service's.
        """
        _administers(by, account.jurisdiction)
        kept = None if password is None else self._hashed(account, password)
        with self._changing() as transaction:
            if not transaction.add_account(account):
                raise StateConflict(f"there is an account {account.name!r}", code="ACCOUNT_EXISTS")
            if kept is not None:
                transaction.save_password_hash(account.name, kept)
            self._note(transaction, by, "account.created", account.name, _described(account))

    def create_first_administrator(self, password: str) -> bool:
        """Make the account of the first start; tell whether there was none."""
        account = Account(
            name=FIRST_ADMINISTRATOR,
            organisation=PLATFORM,
            jurisdiction=PLATFORM,
            kind=AccountKind.PERSON,
            roles=frozenset({Role.ADMINISTRATOR}),
        )
        with self._changing() as transaction:
            if not transaction.add_account(account):
                return False
            transaction.save_password_hash(account.name, self._hashed(account, password))
            self._note(
                transaction, account.actor(), "account.created", account.name, _described(account)
            )
        return True

    def all(self, by: Actor) -> Sequence[Account]:
        """Return the accounts that `by` may know of: all of its jurisdiction, or its own."""
        with self._store.transaction() as transaction:
            return [each for each in transaction.accounts() if _sees(by, each)]

    def get(self, by: Actor, name: str) -> Account:
        """Return an account; raise `NotFound` if there is none, or `by` may not know."""
        with self._store.transaction() as transaction:
            return _visible(transaction, by, name)

    def set_roles(self, by: Actor, name: str, roles: frozenset[Role]) -> Account:
        """Give an account these roles and no others; they hold from its next request on."""
        with self._changing() as transaction:
            account = _administered(transaction, by, name)
            changed = replace(account, roles=roles)
            self._save(transaction, by, account, changed)
        return changed

    def set_active(self, by: Actor, name: str, *, active: bool) -> Account:
        """Close an account or open it again; closing ends its sessions."""
        with self._changing() as transaction:
            account = _administered(transaction, by, name)
            changed = replace(account, active=active)
            self._save(transaction, by, account, changed)
            if not active:
                transaction.end_sessions(name, self._clock.now())
        return changed

    def set_password(
        self, by: Authenticated, name: str, password: str, *, current: str | None = None
    ) -> None:
        """
        Give an account another password; that ends its sessions.

        Whoever changes the own one must say the current. Raise as `create` does.
        """
        kept: str | None
        with self._store.transaction() as transaction:
            if name == by.actor.account:
                account = _visible(transaction, by.actor, name)
            else:
                account = _administered(transaction, by.actor, name)
            kept = transaction.password_hash(name)
        if name == by.actor.account and not (
            kept is not None and self._hasher.accepts(kept, current or "")
        ):
            raise Forbidden("the current password is wrong", code="PASSWORD_WRONG")
        new = self._hashed(account, password)
        with self._changing() as transaction:
            transaction.save_password_hash(name, new)
            transaction.end_sessions(name, self._clock.now())
            self._note(transaction, by.actor, "account.password_set", name)

    def link(self, by: Actor, name: str, issuer: str, claim: SubjectClaim, value: str) -> None:
        """Let whom `issuer` calls so log in as this account."""
        with self._changing() as transaction:
            account = _administered(transaction, by, name)
            holder = transaction.linked(issuer, claim, value)
            if holder not in (None, name):
                raise StateConflict("it is linked to another account", code="SUBJECT_LINKED")
            if account.kind is AccountKind.SERVICE and claim is not SubjectClaim.SUB:
                raise Refused("a service is linked by `sub`", code="ACCOUNT_INVALID")
            transaction.link(issuer, claim, value, name)
            self._note(transaction, by, "account.linked", name, {"issuer": issuer, "claim": claim})

    def unlink(self, by: Actor, name: str, issuer: str, claim: SubjectClaim, value: str) -> None:
        """Let whom `issuer` calls so log in no more."""
        with self._changing() as transaction:
            _administered(transaction, by, name)
            if transaction.linked(issuer, claim, value) != name:
                raise NotFound("there is no such link")
            transaction.unlink(issuer, claim, value)
            transaction.end_sessions(name, self._clock.now())
            self._note(
                transaction, by, "account.unlinked", name, {"issuer": issuer, "claim": claim}
            )

    # --- tokens -----------------------------------------------------------------------------------

    def issue_token(
        self,
        by: Authenticated,
        name: str,
        scopes: Collection[ApiScope],
        *,
        expires_at: dt.datetime,
        title: str = "",
    ) -> IssuedToken:
        """
        Return a new token of an account.

        People make their own, administrators those of services: a person's would let them decide in
        that person's name. No token makes one that is good for more than itself, or for itself.
        """
        with self._changing() as transaction:
            account = _visible(transaction, by.actor, name)
            own = name == by.actor.account
            if own and by.session is None:
                raise Forbidden("log in: a token makes no token for its own account")
            if not own and account.kind is AccountKind.PERSON:
                raise Forbidden("people make their tokens themselves")
            if not own:
                _administers(by.actor, account.jurisdiction)
            if not set(scopes) <= by.scopes:
                raise Forbidden("the new token would be good for more than yours")
            if not account.active:
                raise StateConflict(f"the account {name!r} is not active", code="ACCOUNT_INACTIVE")
            token, text = new_token(
                name, scopes, now=self._clock.now(), expires_at=expires_at, title=title
            )
            transaction.save_token(token)
            self._note(
                transaction,
                by.actor,
                "token.issued",
                token.id,
                _token_described(token),
                kind="token",
            )
        return IssuedToken(token=token, text=text)

    def tokens(self, by: Actor, name: str) -> Sequence[ApiToken]:
        """Return the tokens of an account."""
        with self._store.transaction() as transaction:
            return transaction.tokens(_visible(transaction, by, name).name)

    def revoke_token(self, by: Actor, name: str, token_id: str) -> None:
        """End a token; doing it again changes nothing."""
        with self._changing() as transaction:
            _visible(transaction, by, name)
            token = transaction.token(token_id)
            if token is None or token.account != name:
                raise NotFound(f"the account {name!r} has no token {token_id!r}")
            transaction.save_token(replace(token, revoked=True))
            self._note(
                transaction, by, "token.revoked", token.id, _token_described(token), kind="token"
            )

    # --- operators --------------------------------------------------------------------------------

    def authorise_operator(
        self,
        by: Actor,
        *,
        organisation: str,
        valid_from: dt.date,
        valid_until: dt.date,
        scope: frozenset[ApiScope],
        document: str = "",
    ) -> OperatorAuthorisation:
        """Let an organisation operate; raise `Forbidden` unless `by` is the authority (R-010)."""
        _is_authority(by)
        authorisation = OperatorAuthorisation(
            id=secrets.token_hex(8),
            organisation=organisation,
            jurisdiction=by.jurisdiction,
            valid_from=valid_from,
            valid_until=valid_until,
            scope=scope,
            document=document,
        )
        with self._changing() as transaction:
            transaction.save_authorisation(authorisation)
            self._note_authorisation(transaction, by, "operator.authorised", authorisation)
        return authorisation

    def revoke_authorisation(self, by: Actor, authorisation_id: str) -> OperatorAuthorisation:
        """End an authorisation before its time."""
        _is_authority(by)
        with self._changing() as transaction:
            for each in transaction.authorisations():
                if (each.id, each.jurisdiction) == (authorisation_id, by.jurisdiction):
                    ended = replace(each, revoked=True)
                    transaction.save_authorisation(ended)
                    self._note_authorisation(
                        transaction, by, "operator.authorisation_revoked", ended
                    )
                    return ended
        raise NotFound(f"there is no authorisation {authorisation_id!r}")

    def authorisations(self, by: Actor) -> Sequence[OperatorAuthorisation]:
        """Return the authorisations of a jurisdiction: all to who supervises, else the own ones."""
        supervises = by.roles & {Role.AUTHORITY, Role.AUDITOR, Role.ADMINISTRATOR, Role.SECURITY}
        with self._store.transaction() as transaction:
            return [
                each
                for each in transaction.authorisations()
                if by.jurisdiction in (each.jurisdiction, PLATFORM)
                and (supervises or each.organisation == by.organisation)
            ]

    # --- inside -----------------------------------------------------------------------------------

    @contextmanager
    def _changing(self) -> Iterator[IdentityTransaction]:
        """Open a transaction that no other change runs beside."""
        with self._store.transaction() as transaction:
            transaction.lock()
            yield transaction

    def _hashed(self, account: Account, password: str) -> str:
        if account.kind is AccountKind.SERVICE:
            raise Refused("a service has tokens, no password", code="ACCOUNT_INVALID")
        check_password(account.name, password)
        return self._hasher.hashed(password)

    def _save(
        self, transaction: IdentityTransaction, by: Actor, before: Account, after: Account
    ) -> None:
        if by.account == after.name:
            raise Forbidden("nobody changes the own roles, or closes the own account")
        transaction.save_account(after)
        if _administrates(before) and not any(map(_administrates, transaction.accounts())):
            raise StateConflict("it is the last active administrator", code="LAST_ADMINISTRATOR")
        self._note(transaction, by, "account.changed", after.name, _described(after))

    def _note_authorisation(
        self,
        transaction: IdentityTransaction,
        by: Actor,
        action: str,
        authorisation: OperatorAuthorisation,
    ) -> None:
        details = {
            "organisation": authorisation.organisation,
            "valid_from": authorisation.valid_from.isoformat(),
            "valid_until": authorisation.valid_until.isoformat(),
            "scope": ",".join(sorted(authorisation.scope)),
        }
        self._note(
            transaction, by, action, authorisation.id, details, kind="operator_authorisation"
        )

    def _note(
        self,
        transaction: IdentityTransaction,
        by: Actor,
        action: str,
        subject: str,
        details: Mapping[str, str] | None = None,
        *,
        kind: str = "account",
    ) -> None:
        transaction.record(
            audit_record(
                by,
                self._clock.now(),
                action=action,
                subject_kind=kind,
                subject=subject,
                details=details,
            )
        )


def _administers(by: Actor, jurisdiction: str) -> None:
    if Role.ADMINISTRATOR not in by.roles or by.jurisdiction not in (PLATFORM, jurisdiction):
        raise Forbidden("administrators of the jurisdiction do this")


def _is_authority(by: Actor) -> None:
    if Role.AUTHORITY not in by.roles:
        raise Forbidden("the competent authority authorises operators")


def _sees(by: Actor, account: Account) -> bool:
    administers = Role.ADMINISTRATOR in by.roles and by.jurisdiction in (
        PLATFORM,
        account.jurisdiction,
    )
    return administers or account.name == by.account


def _visible(transaction: IdentityTransaction, by: Actor, name: str) -> Account:
    account = transaction.account(name)
    if account is None or not _sees(by, account):
        raise NotFound(f"there is no account {name!r}, or it is not yours to see")
    return account


def _administered(transaction: IdentityTransaction, by: Actor, name: str) -> Account:
    account = _visible(transaction, by, name)
    _administers(by, account.jurisdiction)
    return account


def _administrates(account: Account) -> bool:
    return account.active and Role.ADMINISTRATOR in account.roles


def _described(account: Account) -> dict[str, str]:
    return {
        "organisation": account.organisation,
        "jurisdiction": account.jurisdiction,
        "kind": account.kind,
        "roles": ",".join(sorted(account.roles)),
        "active": str(account.active).lower(),
    }


def _token_described(token: ApiToken) -> dict[str, str]:
    return {
        "account": token.account,
        "scopes": ",".join(sorted(token.scopes)),
        "expires_at": token.expires_at.isoformat(),
    }
