"""
Accounts, tokens and sessions in memory, for tests of whatever asks who acts.

`IdentityWorld().token("statistics-head", "statistics", Role.DEPARTMENT)` makes an account with an
API token in one line; `bearer(token)` is the header to send.
"""

import datetime as dt
from collections.abc import Collection, Sequence
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bus.adapters.jose.session_tokens import SignedSessionTokens
from bus.adapters.memory.clock import ManualClock
from bus.adapters.memory.identity_store import MemoryIdentityStore
from bus.control.identity import IdentityParts
from bus.domain.accounts import ALL_SCOPES, Account, AccountKind, ApiScope, new_token
from bus.domain.audit_record import AuditRecord
from bus.domain.identity import Role
from bus.ports import Clock
from bus.ports.identity import BearerIssuer, LoginProvider
from bus.services.accounts import Accounts
from bus.services.identity import Identity

JURISDICTION = "cn"


class QuickPasswords:
    """`bus.ports.identity.PasswordHasher` without the slowness; counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def hashed(self, password: str) -> str:
        return f"hash of {password}"

    def accepts(self, password_hash: str | None, password: str) -> bool:
        self.asked += 1
        return password_hash == self.hashed(password)

    def outdated(self, password_hash: str) -> bool:
        return False


class IdentityWorld:
    """Everything that identity is made of, with what has been recorded."""

    def __init__(
        self,
        *,
        store: MemoryIdentityStore | None = None,
        clock: Clock | None = None,
        issuer: BearerIssuer | None = None,
        provider: LoginProvider | None = None,
        public_url: str = "http://testserver",
    ) -> None:
        self.store = store or MemoryIdentityStore()
        self.clock = clock or ManualClock()
        self.passwords = QuickPasswords()
        self.sessions = SignedSessionTokens(Ed25519PrivateKey.generate())
        shared: dict[str, Any] = {
            "store": self.store,
            "hasher": self.passwords,
            "clock": self.clock,
        }
        self.identity = Identity(**shared, sessions=self.sessions, issuer=issuer)
        self.accounts = Accounts(**shared)
        self.parts = IdentityParts(
            identity=self.identity,
            accounts=self.accounts,
            clock=self.clock,
            cookie_secret="signs the cookies of a test",
            public_url=public_url,
            provider=provider,
        )

    @property
    def records(self) -> Sequence[AuditRecord]:
        """What has been recorded."""
        return self.store.records

    def account(
        self,
        name: str,
        organisation: str,
        *roles: Role,
        jurisdiction: str = JURISDICTION,
        kind: AccountKind = AccountKind.SERVICE,
        password: str | None = None,
    ) -> Account:
        """Add an account, or replace it."""
        account = Account(
            name=name,
            organisation=organisation,
            jurisdiction=jurisdiction,
            kind=kind,
            roles=frozenset(roles),
        )
        with self.store.transaction() as transaction:
            if not transaction.add_account(account):
                transaction.save_account(account)
            if password is not None:
                transaction.save_password_hash(name, self.passwords.hashed(password))
        return account

    def token(
        self,
        name: str,
        organisation: str,
        *roles: Role,
        jurisdiction: str = JURISDICTION,
        scopes: Collection[ApiScope] = ALL_SCOPES,
        days: float = 30,
    ) -> str:
        """Add an account, and return the text of an API token of it."""
        self.account(name, organisation, *roles, jurisdiction=jurisdiction)
        now = self.clock.now()
        token, text = new_token(name, scopes, now=now, expires_at=now + dt.timedelta(days=days))
        with self.store.transaction() as transaction:
            transaction.save_token(token)
        return text


def bearer(token: str) -> dict[str, str]:
    """Return the header that shows a token."""
    return {"Authorization": f"Bearer {token}"}
