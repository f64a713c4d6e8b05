"""The control plane's HTTP application over the store in memory, and clients that call it."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI
from fastapi.testclient import TestClient

from bus.adapters.avro.compatibility import incompatibilities
from bus.adapters.memory.catalog_reader import MemoryCatalogReader, MemorySchemaRegistry
from bus.adapters.memory.idempotency import MemoryKeptAnswers
from bus.control.app import make_app
from bus.domain.access import OPERATOR
from bus.domain.catalog import Catalog
from bus.domain.identity import Role
from bus.domain.names import provider_principal, subscription_principal
from bus.domain.principal import PrincipalKind
from tests import builders
from tests.identity_fakes import IdentityWorld, bearer
from tests.live_platform import wait_until
from tests.stream_builders import ControlPlane

PROVIDER = provider_principal(builders.PROVIDER)
CONSUMER = provider_principal(builders.CONSUMER)
SUBSCRIBER = subscription_principal(builders.GRANT)


class ControlHTTP:
    """A control plane with `builders.catalog()` in force, and its HTTP application."""

    def __init__(self) -> None:
        self.plane = ControlPlane()
        self.reader = MemoryCatalogReader(self.plane.store)
        self.schemas = MemorySchemaRegistry(self.plane.store)
        self.answers = MemoryKeptAnswers(self.plane.clock)
        self.identity = IdentityWorld(clock=self.plane.clock)
        self.not_ready: str | None = None
        self.app: FastAPI = make_app(
            reader=self.reader,
            schemas=self.schemas,
            incompatibilities=incompatibilities,
            answers=self.answers,
            identity=self.identity.parts,
            not_ready=lambda: self.not_ready,
        )
        self.passwords: dict[str, str] = {OPERATOR: builders.PASSWORD}
        with self.plane.store.transaction() as transaction:
            transaction.save_principal(builders.principal(OPERATOR, PrincipalKind.SERVICE))
        self.apply(builders.catalog())

    def apply(self, declared: Catalog) -> None:
        """Put a catalog into force; keep the passwords of new accounts."""
        self.passwords |= self.plane.apply(declared).passwords

    def fill(self) -> None:
        """Note that the view of the grant is filled, and where it ends."""
        self.plane.changes.mark_live({self.plane.subscription().topic: {0: 42}})

    def nobody(self) -> TestClient:
        """Return a client without credentials."""
        # As a server does it: an error inside is an answer, not an exception in the client.
        return TestClient(self.app, raise_server_exceptions=False)

    def client(self, principal: str) -> TestClient:
        """Return a client that logs in as `principal`."""
        client = self.nobody()
        client.auth = (principal, self.passwords[principal])
        return client

    def acting(self, account: str, organisation: str, *roles: Role) -> TestClient:
        """Return a client that shows a token of an account, which is made for it."""
        client = self.nobody()
        client.headers.update(bearer(self.identity.token(account, organisation, *roles)))
        return client

    @contextmanager
    def served(self) -> Iterator[str]:
        """Serve on a loopback port, for clients that bring their own HTTP; yields the address."""
        listener = socket.create_server(("127.0.0.1", 0))
        config = uvicorn.Config(self.app, log_config=None, access_log=False, lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],), name="control-http")
        thread.start()
        try:
            wait_until(lambda: server.started, "the server listens")
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
            listener.close()
