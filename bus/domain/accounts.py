"""
Accounts, their tokens, and what lets an operator act (requirements §4, R-005, R-010).

A name says who acts; roles say in which capacity. What an account may do with one resource is not
decided here: it follows from its organisation, for each resource anew (R-006).
"""

import datetime as dt
import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from bus.domain.identity import EXCLUSIVE_ROLES, Actor, Role
from bus.domain.names import is_code
from bus.errors import Refused

#: The organisation and the jurisdiction of accounts that belong to the platform as a whole.
PLATFORM = "platform"
#: The account that is made at the first start.
FIRST_ADMINISTRATOR = "admin"

_NAME = re.compile(r"[a-z][a-z0-9]*([._-][a-z0-9]+)*")
_NAME_MAX_LENGTH = 64
_DISPLAY_NAME_MAX_LENGTH = 100
_TOKEN = re.compile(r"os1_([0-9a-f]{16})_([A-Za-z0-9_-]{43})")
_ID_BYTES = 8
_SECRET_BYTES = 32
#: A forgotten token must not open the door for ever.
TOKEN_MAX_DAYS = 366
PASSWORD_MIN_LENGTH = 12
PASSWORD_MAX_LENGTH = 256


class AccountKind(StrEnum):
    """What is behind an account."""

    PERSON = "person"
    """Logs in with a password, or at the identity provider."""
    SERVICE = "service"
    """A program: has tokens, but no password."""


class ApiScope(StrEnum):
    """What a token is good for, and what an operator is authorised for: a group of routes."""

    READ = "read"
    """To look at whatever the account may see."""
    CATALOG = "catalog"
    """To change organisations, entries, source assignments, onboarding."""
    REQUESTS = "requests"
    """To submit and decide requests, agreements, disagreements, demands."""
    GRANTS = "grants"
    """To activate, suspend and end grants and subscriptions."""
    SUPERVISION = "supervision"
    """To file, verify, notify, rectify, evaluate."""
    AUDIT = "audit"
    """To read the audit log."""
    ACCOUNTS = "accounts"
    """To manage accounts, tokens and operator authorisations."""


#: What whoever logged in may use; tokens usually have less.
ALL_SCOPES = frozenset(ApiScope)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Somebody who may log in, for one organisation."""

    name: str
    organisation: str
    jurisdiction: str
    kind: AccountKind
    roles: frozenset[Role]
    display_name: str = ""
    active: bool = True

    def __post_init__(self) -> None:
        """Refuse what no account may be."""
        if not is_account_name(self.name):
            raise Refused(
                f"{self.name!r} cannot name an account: lower-case letters, digits and single "
                f"dots, dashes and underscores between them, at most {_NAME_MAX_LENGTH}",
                code="ACCOUNT_INVALID",
            )
        for code in (self.organisation, self.jurisdiction):
            if not is_code(code):
                raise Refused(f"{code!r} is not a code", code="ACCOUNT_INVALID")
        if len(self.display_name) > _DISPLAY_NAME_MAX_LENGTH or not (
            self.display_name.isprintable()
        ):
            raise Refused("the display name is too long", code="ACCOUNT_INVALID")
        check_roles(self.roles)

    def actor(self, trace_id: str = "") -> Actor:
        """Return who acts when this account does."""
        return Actor(
            account=self.name,
            organisation=self.organisation,
            jurisdiction=self.jurisdiction,
            roles=self.roles,
            trace_id=trace_id,
        )


def is_account_name(text: str) -> bool:
    """Tell whether `text` may name an account."""
    return len(text) <= _NAME_MAX_LENGTH and _NAME.fullmatch(text) is not None


def check_roles(roles: frozenset[Role]) -> None:
    """Raise `Refused` ROLES_EXCLUSIVE if one account must not have all of these (R-005)."""
    alone = sorted(roles & EXCLUSIVE_ROLES)
    if alone and len(roles) > 1:
        raise Refused(
            f"an account with the role {alone[0]} has no other: who runs the platform, or audits "
            "it, decides nothing on it",
            code="ROLES_EXCLUSIVE",
        )


def check_password(account: str, password: str) -> None:
    """Raise `Refused` PASSWORD_WEAK for what is too easily guessed, or too long."""
    if not PASSWORD_MIN_LENGTH <= len(password) <= PASSWORD_MAX_LENGTH:
        raise Refused(
            f"a password has {PASSWORD_MIN_LENGTH} to {PASSWORD_MAX_LENGTH} characters",
            code="PASSWORD_WEAK",
        )
    if account in password.lower() or len(set(password)) < PASSWORD_MIN_LENGTH // 2:
        raise Refused(
            "a password neither holds the account's name nor repeats a few characters",
            code="PASSWORD_WEAK",
        )


# --- Tokens ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiToken:
    """A secret that proves an account, for some scopes and some time; its digest is kept."""

    id: str
    account: str
    digest: bytes = field(repr=False)
    scopes: frozenset[ApiScope]
    expires_at: dt.datetime
    title: str = ""
    revoked: bool = False

    def accepts(self, secret: str, now: dt.datetime) -> bool:
        """Tell whether `secret` is this token's, and the token still good; in constant time."""
        same = hmac.compare_digest(_digest(secret), self.digest)
        return same and not self.revoked and now < self.expires_at


def new_token(
    account: str,
    scopes: Iterable[ApiScope],
    *,
    now: dt.datetime,
    expires_at: dt.datetime,
    title: str = "",
) -> tuple[ApiToken, str]:
    """
    Return a fresh token and its text, which is nowhere else.

    Raise `Refused` TOKEN_INVALID if it had no scope, were over at once, or were good for too long.
    """
    held = frozenset(scopes)
    if not held:
        raise Refused("a token has at least one scope", code="TOKEN_INVALID")
    if not now < expires_at <= now + dt.timedelta(days=TOKEN_MAX_DAYS):
        raise Refused(
            f"a token expires in the future, and within {TOKEN_MAX_DAYS} days", code="TOKEN_INVALID"
        )
    if len(title) > _DISPLAY_NAME_MAX_LENGTH or not title.isprintable():
        raise Refused("the title is too long", code="TOKEN_INVALID")
    token_id, secret = secrets.token_hex(_ID_BYTES), secrets.token_urlsafe(_SECRET_BYTES)
    token = ApiToken(
        id=token_id,
        account=account,
        digest=_digest(secret),
        scopes=held,
        expires_at=expires_at,
        title=title,
    )
    return token, f"os1_{token_id}_{secret}"


def token_parts(text: str) -> tuple[str, str] | None:
    """Return id and secret of a token's text; None if it is none."""
    found = _TOKEN.fullmatch(text)
    return None if found is None else (found[1], found[2])


def _digest(secret: str) -> bytes:
    # 256 random bits need neither salt nor stretching.
    return hashlib.sha256(secret.encode()).digest()


# --- Operators ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorAuthorisation:
    """What the authority lets an organisation do as operator, from one day through another."""

    id: str
    organisation: str
    jurisdiction: str
    valid_from: dt.date
    valid_until: dt.date
    scope: frozenset[ApiScope]
    document: str = ""
    """Number or title of the paper that it stands on."""
    revoked: bool = False

    def __post_init__(self) -> None:
        """Refuse what authorises nobody."""
        if self.valid_until < self.valid_from or not self.scope:
            raise Refused(
                "an authorisation has a scope, and does not end before it begins",
                code="AUTHORISATION_INVALID",
            )

    def covers(self, actor: Actor, scope: ApiScope, today: dt.date) -> bool:
        """Tell whether `actor` may do things of `scope` on this day; looking is always in it."""
        return (
            not self.revoked
            and (self.organisation, self.jurisdiction) == (actor.organisation, actor.jurisdiction)
            and self.valid_from <= today <= self.valid_until
            and (scope is ApiScope.READ or scope in self.scope)
        )


def authorised(
    authorisations: Iterable[OperatorAuthorisation], actor: Actor, scope: ApiScope, today: dt.date
) -> bool:
    """
    Tell whether `actor` may act today as far as R-010 is concerned.

    Only operators need an authorisation; without one that covers the scope they may not even look.
    """
    if Role.OPERATOR not in actor.roles:
        return True
    return any(each.covers(actor, scope, today) for each in authorisations)


# --- Log-ins --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedLogins:
    """How often logging in has failed, for one account or from one address."""

    count: int
    last_at: dt.datetime

    def blocked_until(self, free: int) -> dt.datetime:
        """Return until when nobody is let try again; after `free` failures the wait doubles."""
        over = self.count - free
        if over < 0:
            return self.last_at
        seconds = min(2.0 ** min(over, 16), _LONGEST_BLOCK.total_seconds())
        return self.last_at + dt.timedelta(seconds=seconds)


_LONGEST_BLOCK = dt.timedelta(minutes=15)
#: Failures are forgotten after this long without another.
FAILURES_FORGOTTEN = dt.timedelta(hours=12)
#: An account may be tried this often in a row without waiting.
FREE_TRIES_ACCOUNT = 5
#: From one address people of a whole building may come.
FREE_TRIES_ADDRESS = 20
