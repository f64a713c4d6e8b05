"""Reads of the control plane's state in memory: descriptors and the schema registry."""

from collections.abc import Sequence

from bus.adapters.memory.catalog_store import MemoryCatalogStore
from bus.domain.policy import WriterSchema
from bus.domain.principal import Principal, PrincipalKind
from bus.ports import Delivery, Publication
from bus.ports.registry import SubjectVersion


class MemoryCatalogReader:
    """See `bus.ports.CatalogReader`."""

    def __init__(self, store: MemoryCatalogStore) -> None:
        self._store = store

    def principal(self, name: str) -> Principal | None:
        return self._store.state.principals.get(name)

    def delivery(self, subscription: str) -> Delivery | None:
        state = self._store.state
        found = state.subscriptions.get(subscription)
        if found is None:
            return None
        held = state.grants[subscription]
        live = state.entries[held.grant.resource]
        return Delivery(
            subscription=found,
            grant=held.grant,
            grant_version=held.version,
            state=held.state,
            entry=live.entry,
            entry_version=live.version,
            incarnation=state.incarnations[found.topic],
        )

    def publication(self, resource: str) -> Publication | None:
        state = self._store.state
        live = state.entries.get(resource)
        if live is None or live.retired:
            return None
        _, schema_id = state.entry_versions[resource, live.version]
        return Publication(
            entry=live.entry,
            version=live.version,
            schema=WriterSchema(schema_id, live.version, state.schemas[schema_id - 1]),
        )

    def topics_of(self, principal: Principal) -> frozenset[str]:
        state = self._store.state
        match principal.kind:
            case PrincipalKind.SUBSCRIPTION:
                found = state.subscriptions.get(principal.owner)
                return frozenset() if found is None or found.ended else frozenset(found.topics())
            case PrincipalKind.ORGANISATION:
                return frozenset(
                    live.entry.source_topic
                    for live in state.entries.values()
                    if not live.retired and live.entry.provider == principal.owner
                )
            case PrincipalKind.SERVICE:
                return frozenset()


class MemorySchemaRegistry:
    """See `bus.ports.SchemaRegistry`."""

    def __init__(self, store: MemoryCatalogStore) -> None:
        self._store = store

    def schema_text(self, schema_id: int) -> str | None:
        schemas = self._store.state.schemas
        return schemas[schema_id - 1] if 0 < schema_id <= len(schemas) else None

    def subject_versions(self, subject: str) -> Sequence[SubjectVersion]:
        state = self._store.state
        return [
            SubjectVersion(subject, version, schema_id, state.schemas[schema_id - 1])
            for version, schema_id in enumerate(state.subjects.get(subject, ()), start=1)
        ]

    def subjects_of(self, schema_id: int) -> Sequence[SubjectVersion]:
        return [
            version
            for subject in self.subjects()
            for version in self.subject_versions(subject)
            if version.schema_id == schema_id
        ]

    def subjects(self) -> Sequence[str]:
        return sorted(self._store.state.subjects)
