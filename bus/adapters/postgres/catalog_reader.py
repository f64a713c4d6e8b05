"""Reads of the control plane's state for the HTTP endpoints."""

from bus.adapters.postgres.catalog_store import principal_of
from bus.adapters.postgres.documents import from_document
from bus.adapters.postgres.pool import Postgres
from bus.adapters.postgres.statements import statements
from bus.domain.entry import CatalogEntry
from bus.domain.grant import Grant, GrantState
from bus.domain.policy import WriterSchema
from bus.domain.principal import Principal, PrincipalKind
from bus.domain.subscription import Incarnation, Subscription
from bus.domain.view import View
from bus.ports import Delivery, Publication

_READS = "reads"


class PostgresCatalogReader:
    """See `bus.ports.CatalogReader`."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    def principal(self, name: str) -> Principal | None:
        with self._postgres.transaction() as connection:
            row = connection.execute(
                statements("data_plane")["principal"], {"name": name}
            ).fetchone()
        return None if row is None else principal_of(row)

    def delivery(self, subscription: str) -> Delivery | None:
        with self._postgres.transaction() as connection:
            row = connection.execute(
                statements(_READS)["delivery"], {"id": subscription}
            ).fetchone()
        if row is None:
            return None
        principal, ended, topic, next_topic, blocked, grant_version, state, grant, *rest = row
        entry_version, entry, number, view, partitions, live, fill_end = rest
        return Delivery(
            subscription=Subscription(
                id=subscription,
                principal=principal,
                ended=ended,
                topic=topic,
                next_topic=next_topic,
                blocked=blocked,
            ),
            grant=from_document(Grant, grant),
            grant_version=grant_version,
            state=GrantState(state),
            entry=from_document(CatalogEntry, entry),
            entry_version=entry_version,
            incarnation=Incarnation(
                view=from_document(View, view),
                number=number,
                topic=topic,
                partitions=partitions,
                live=live,
                fill_end={int(partition): end for partition, end in fill_end.items()},
            ),
        )

    def publication(self, resource: str) -> Publication | None:
        with self._postgres.transaction() as connection:
            row = connection.execute(
                statements(_READS)["publication"], {"resource": resource}
            ).fetchone()
        if row is None:
            return None
        version, entry, schema_id, text = row
        return Publication(
            entry=from_document(CatalogEntry, entry),
            version=version,
            schema=WriterSchema(schema_id, version, text),
        )

    def topics_of(self, principal: Principal) -> frozenset[str]:
        with self._postgres.transaction() as connection:
            if principal.kind is PrincipalKind.SUBSCRIPTION:
                rows = connection.execute(
                    statements(_READS)["subscription_topics"], {"id": principal.owner}
                ).fetchall()
                return frozenset(topic for row in rows for topic in row if topic is not None)
            if principal.kind is PrincipalKind.ORGANISATION:
                rows = connection.execute(
                    statements(_READS)["provided_entries"], {"provider": principal.owner}
                ).fetchall()
                return frozenset(from_document(CatalogEntry, row[0]).source_topic for row in rows)
        return frozenset()
