"""The control plane's state."""

import datetime as dt
import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.rows import TupleRow
from psycopg.types.json import Jsonb

from bus.adapters.postgres.documents import from_document, to_document
from bus.adapters.postgres.pool import Postgres
from bus.adapters.postgres.statements import statements
from bus.domain.access import Source
from bus.domain.catalog import LiveCatalog, LiveEntry, LiveGrant
from bus.domain.entry import CatalogEntry
from bus.domain.grant import Grant, GrantState
from bus.domain.names import POLICY_TOPIC, dead_letter_topic, source_topic, view_topic
from bus.domain.organisation import Organisation
from bus.domain.policy import WriterSchema
from bus.domain.principal import Principal, PrincipalKind
from bus.domain.subscription import Incarnation, Subscription
from bus.domain.view import View
from bus.ports import CatalogTransaction

_CATALOG = "catalog"
_DATA_PLANE = "data_plane"
_POLICY = "policy"


class PostgresCatalogStore:
    """See `bus.ports.CatalogStore`."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    @contextmanager
    def transaction(self) -> Iterator[CatalogTransaction]:
        with self._postgres.transaction() as connection:
            connection.execute(statements(_CATALOG)["lock"])
            yield PostgresCatalogTransaction(connection)

    @contextmanager
    def snapshot(self) -> Iterator[CatalogTransaction]:
        with self._postgres.transaction() as connection:
            connection.execute(statements(_CATALOG)["snapshot"])
            yield PostgresCatalogTransaction(connection)


class PostgresCatalogTransaction:
    """See `bus.ports.CatalogTransaction`."""

    def __init__(self, connection: psycopg.Connection[TupleRow]) -> None:
        self._connection = connection

    def live(self, resources: Collection[str] | None = None) -> LiveCatalog:
        asked = None if resources is None else list(resources)
        organisations = self._organisations(asked)
        entries = [
            LiveEntry(entry=from_document(CatalogEntry, content), version=version, retired=retired)
            for version, retired, content in self._rows(_CATALOG, "entries", resources=asked)
        ]
        grants = [live_grant(row) for row in self._rows(_CATALOG, "grants", resources=asked)]
        return LiveCatalog(
            organisations={each.code: each for each in organisations},
            entries={each.entry.resource: each for each in entries},
            grants={each.grant.id: each for each in grants},
        )

    def grant(self, grant: str) -> LiveGrant | None:
        rows = self._rows(_CATALOG, "grant", id=grant)
        return live_grant(rows[0]) if rows else None

    def grant_version(self, grant: str, version: int) -> Grant | None:
        rows = self._rows(_CATALOG, "grant_version", id=grant, version=version)
        return from_document(Grant, rows[0][0]) if rows else None

    def governed(self) -> frozenset[str]:
        return frozenset(code for (code,) in self._rows(_CATALOG, "governed"))

    def organisation(self, code: str) -> Organisation | None:
        rows = self._rows(_CATALOG, "organisation", code=code)
        return from_document(Organisation, rows[0][0]) if rows else None

    def organisations(self) -> Sequence[Organisation]:
        return self._organisations(None)

    def _organisations(self, resources: list[str] | None) -> list[Organisation]:
        return [
            from_document(Organisation, content)
            for (content,) in self._rows(_CATALOG, "organisations", resources=resources)
        ]

    def provided(self, providers: Collection[str]) -> Sequence[CatalogEntry]:
        rows = self._rows(_CATALOG, "provided", providers=list(providers))
        return [from_document(CatalogEntry, content) for (content,) in rows]

    def sources(self) -> Sequence[Source]:
        return [
            Source(
                provider,
                source_topic(jurisdiction, provider, resource, generation),
                dead_letter_topic(jurisdiction, resource),
            )
            for jurisdiction, provider, resource, generation in self._rows(_CATALOG, "sources")
        ]

    def active_organisations(self) -> Sequence[str]:
        return [code for (code,) in self._rows(_CATALOG, "active_organisations")]

    def over(self, today: dt.date) -> Sequence[str]:
        return [resource for (resource,) in self._rows(_CATALOG, "over", today=today)]

    def save_organisation(self, organisation: Organisation) -> None:
        self._execute(
            _CATALOG,
            "save_organisation",
            code=organisation.code,
            content=to_document(organisation),
        )

    def save_entry(self, entry: CatalogEntry, *, version: int, schema_id: int) -> None:
        self._execute(_CATALOG, "save_resource", resource=entry.resource, version=version)
        self._execute(
            _CATALOG,
            "save_entry_version",
            resource=entry.resource,
            version=version,
            generation=entry.generation,
            schema_id=schema_id,
            content=to_document(entry),
        )

    def retire_entry(self, resource: str) -> None:
        self._execute(_CATALOG, "retire_resource", resource=resource)

    def save_grant(self, grant: Grant, *, version: int, state: GrantState) -> None:
        self._execute(
            _CATALOG,
            "save_grant",
            id=grant.id,
            version=version,
            state=str(state),
            resource=grant.resource,
            consumer=grant.consumer,
            valid_until=grant.valid_until,
        )
        self._execute(
            _CATALOG, "save_grant_version", id=grant.id, version=version, content=to_document(grant)
        )

    def schema_id(self, text: str) -> int:
        digest = hashlib.sha256(text.encode()).digest()
        rows = self._rows(_CATALOG, "find_schema", digest=digest)
        rows = rows or self._rows(_CATALOG, "add_schema", text=text, digest=digest)
        found: int = rows[0][0]
        return found

    def add_to_subject(self, subject: str, schema_id: int) -> None:
        self._execute(_CATALOG, "add_to_subject", subject=subject, schema_id=schema_id)

    def writer_schemas(self, resource: str, generation: int) -> Sequence[WriterSchema]:
        rows = self._rows(_CATALOG, "writer_schemas", resource=resource, generation=generation)
        return [WriterSchema(*row) for row in rows]

    def incarnations(self, resources: Collection[str] | None = None) -> Sequence[Incarnation]:
        asked = None if resources is None else list(resources)
        return [
            _incarnation(row) for row in self._rows(_DATA_PLANE, "incarnations", resources=asked)
        ]

    def filling(self) -> Sequence[Incarnation]:
        return [_incarnation(row) for row in self._rows(_DATA_PLANE, "filling")]

    def open_incarnation(self, view: View, *, partitions: int) -> Incarnation:
        ((number,),) = self._rows(_DATA_PLANE, "next_incarnation", view_id=view.id)
        incarnation = Incarnation(
            view=view,
            number=number,
            topic=view_topic(view.jurisdiction, view.resource, view.id, number),
            partitions=partitions,
        )
        self._execute(
            _DATA_PLANE,
            "open_incarnation",
            topic=incarnation.topic,
            view_id=view.id,
            number=number,
            view=to_document(view),
            partitions=partitions,
        )
        return incarnation

    def mark_live(self, topic: str, fill_end: Mapping[int, int]) -> None:
        self._execute(_DATA_PLANE, "mark_live", topic=topic, fill_end=Jsonb(dict(fill_end)))

    def end_incarnation(self, topic: str, at: dt.datetime) -> None:
        self._execute(_DATA_PLANE, "end_incarnation", topic=topic, at=at)

    def expired_topics(self, before: dt.datetime) -> Sequence[str]:
        return [topic for (topic,) in self._rows(_DATA_PLANE, "expired_topics", before=before)]

    def topic_deleted(self, topic: str, at: dt.datetime) -> None:
        self._execute(_DATA_PLANE, "topic_deleted", topic=topic, at=at)

    def subscriptions(self, resources: Collection[str] | None = None) -> Sequence[Subscription]:
        asked = None if resources is None else list(resources)
        return [
            Subscription(
                id=id_,
                principal=principal,
                ended=ended,
                topic=topic,
                next_topic=next_topic,
                blocked=blocked,
            )
            for id_, principal, ended, topic, next_topic, blocked in self._rows(
                _DATA_PLANE, "subscriptions", resources=asked
            )
        ]

    def save_subscription(self, subscription: Subscription) -> None:
        self._execute(
            _DATA_PLANE,
            "save_subscription",
            id=subscription.id,
            principal=subscription.principal,
            ended=subscription.ended,
            topic=subscription.topic,
            next_topic=subscription.next_topic,
            blocked=subscription.blocked,
        )

    def principals(self, names: Collection[str] | None = None) -> Mapping[str, Principal]:
        asked = None if names is None else list(names)
        found = [principal_of(row) for row in self._rows(_DATA_PLANE, "principals", names=asked)]
        return {principal.name: principal for principal in found}

    def save_principal(self, principal: Principal) -> None:
        self._execute(
            _DATA_PLANE,
            "save_principal",
            name=principal.name,
            kind=str(principal.kind),
            owner=principal.owner,
            salt=principal.salt,
            iterations=principal.iterations,
            stored_key=principal.stored_key,
            enabled=principal.enabled,
        )

    def policy_objects(self, ids: Collection[str] | None = None) -> Mapping[str, bytes]:
        asked = None if ids is None else list(ids)
        return {
            object_id: bytes(value)
            for object_id, value in self._rows(_POLICY, "policy_objects", ids=asked)
        }

    def publish_policy(self, changes: Mapping[str, bytes | None]) -> int:
        ((version,),) = self._rows(_POLICY, "next_policy_version")
        for object_id, value in changes.items():
            if value is None:
                self._execute(_POLICY, "remove_policy_object", object_id=object_id)
            else:
                self._execute(_POLICY, "save_policy_object", object_id=object_id, value=value)
            self._execute(
                _POLICY,
                "queue",
                policy_version=version,
                topic=POLICY_TOPIC,
                key=object_id,
                value=value,
            )
        number: int = version
        return number

    def _rows(self, file: str, statement: str, /, **parameters: object) -> list[TupleRow]:
        return self._connection.execute(statements(file)[statement], parameters).fetchall()

    def _execute(self, file: str, statement: str, /, **parameters: object) -> None:
        self._connection.execute(statements(file)[statement], parameters)


def live_grant(row: Sequence[Any]) -> LiveGrant:
    """Return the grant of a row: its version, its state, its content."""
    version, state, content = row
    return LiveGrant(grant=from_document(Grant, content), version=version, state=GrantState(state))


def _incarnation(row: Sequence[Any]) -> Incarnation:
    topic, number, view, partitions, live, fill_end = row
    return Incarnation(
        view=from_document(View, view),
        number=number,
        topic=topic,
        partitions=partitions,
        live=live,
        fill_end={int(partition): end for partition, end in fill_end.items()},
    )


def principal_of(row: Sequence[Any]) -> Principal:
    """Return the principal of a row of the statements `principal` and `principals`."""
    name, kind, owner, salt, iterations, stored_key, enabled = row
    return Principal(
        name=name,
        kind=PrincipalKind(kind),
        owner=owner,
        salt=bytes(salt),
        iterations=iterations,
        stored_key=bytes(stored_key),
        enabled=enabled,
    )
