"""Who may ask control: accounts in Postgres, sessions of our own, an identity provider if set."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from bus.adapters.credentials_files import ensure_credentials
from bus.adapters.jose.bearer_issuer import OutsideBearerIssuer
from bus.adapters.jose.fetch import IssuerClient
from bus.adapters.jose.issuer_keys import IssuerKeys
from bus.adapters.jose.login_provider import OpenIDLogin
from bus.adapters.jose.session_tokens import (
    KEY_FILE_NAME,
    SignedSessionTokens,
    derived_secret,
    ensure_session_key,
)
from bus.adapters.passwords import Argon2Passwords
from bus.adapters.postgres.identity_store import PostgresIdentityStore
from bus.adapters.postgres.pool import Postgres
from bus.adapters.system_clock import SystemClock
from bus.bootstrap.connections import postgres_settings
from bus.control.identity import IdentityParts
from bus.domain.access import OPERATOR
from bus.domain.accounts import FIRST_ADMINISTRATOR, PLATFORM
from bus.domain.identity import Actor, Role
from bus.ports import Clock
from bus.services.accounts import Accounts
from bus.services.identity import Authenticated, Identity
from bus.settings import OIDCSettings, Settings

_KEYS_FOLDER = "keys"
#: Whoever runs commands on the platform's machine.
LOCAL_ADMINISTRATOR = Actor(
    account=OPERATOR,
    organisation=PLATFORM,
    jurisdiction=PLATFORM,
    roles=frozenset({Role.ADMINISTRATOR}),
)


def session_key_path(settings: Settings) -> Path:
    """Return where the key is that signs sessions."""
    return settings.identity.key_file or settings.state_folder / _KEYS_FOLDER / KEY_FILE_NAME


@contextmanager
def identity(settings: Settings, postgres: Postgres, clock: Clock) -> Iterator[IdentityParts]:
    """Return what control knows people with, and let go of the identity provider at the end."""
    if settings.oidc is None:
        yield _parts(settings, postgres, clock)
        return
    client = IssuerClient(settings.oidc.issuer, ca_file=settings.oidc.ca_file)
    with closing(client):
        yield _parts(settings, postgres, clock, settings.oidc, client)


@contextmanager
def local_accounts(settings: Settings) -> Iterator[tuple[Accounts, Authenticated]]:
    """
    Return the accounts for the command line, and as whom it keeps them.

    Whoever can read the connection string could change the tables themselves; so it is recorded.
    """
    postgres = Postgres(postgres_settings(settings).dsn.get_secret_value(), most=1)
    store = PostgresIdentityStore(postgres)
    accounts = Accounts(store=store, hasher=Argon2Passwords(), clock=SystemClock())
    with closing(postgres):
        yield accounts, Authenticated(actor=LOCAL_ADMINISTRATOR)


def ensure_first_administrator(postgres: Postgres, credentials: Path) -> None:
    """
    Make the first administrator's account, its password in a file in `credentials`.

    Once there is such an account nothing is made or written: the password may be another by now.
    """
    store = PostgresIdentityStore(postgres)
    with store.transaction() as transaction:
        if transaction.account(FIRST_ADMINISTRATOR) is not None:
            return
    accounts = Accounts(store=store, hasher=Argon2Passwords(), clock=SystemClock())
    # The file comes first: after a crash between the two it holds the password that will be used.
    password = ensure_credentials(credentials, FIRST_ADMINISTRATOR).password
    accounts.create_first_administrator(password.get_secret_value())


def _parts(
    settings: Settings,
    postgres: Postgres,
    clock: Clock,
    oidc: OIDCSettings | None = None,
    client: IssuerClient | None = None,
) -> IdentityParts:
    store = PostgresIdentityStore(postgres)
    hasher = Argon2Passwords()
    key = ensure_session_key(session_key_path(settings))
    issuer = provider = None
    if oidc is not None and client is not None:
        keys = IssuerKeys(client, clock, oidc.algorithms)
        if oidc.audience is not None:
            issuer = OutsideBearerIssuer(keys, audience=oidc.audience)
        if oidc.client_id is not None:
            secret = oidc.client_secret
            provider = OpenIDLogin(
                client,
                keys,
                client_id=oidc.client_id,
                client_secret=None if secret is None else secret.get_secret_value(),
            )
    return IdentityParts(
        identity=Identity(
            store=store,
            hasher=hasher,
            sessions=SignedSessionTokens(key),
            clock=clock,
            issuer=issuer,
        ),
        accounts=Accounts(store=store, hasher=hasher, clock=clock),
        clock=clock,
        cookie_secret=derived_secret(key, "login cookie"),
        public_url=_public_url(settings),
        provider=provider,
    )


def _public_url(settings: Settings) -> str:
    if settings.identity.public_url is not None:
        return settings.identity.public_url
    if settings.control is not None:
        return settings.control.url
    return f"http://{settings.http.host}:{settings.http.port}"
