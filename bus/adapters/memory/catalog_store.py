"""The control plane's state in memory."""

import copy
import datetime as dt
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from bus.domain.access import Source, source_of
from bus.domain.catalog import LiveCatalog, LiveEntry, LiveGrant
from bus.domain.entry import CatalogEntry
from bus.domain.grant import Grant, GrantState
from bus.domain.names import POLICY_TOPIC, view_topic
from bus.domain.organisation import Organisation
from bus.domain.policy import WriterSchema
from bus.domain.principal import Principal
from bus.domain.subscription import Incarnation, Subscription
from bus.domain.view import View
from bus.ports import CatalogTransaction, OutboxRow


@dataclass
class _State:
    organisations: dict[str, Organisation] = field(default_factory=dict)
    entries: dict[str, LiveEntry] = field(default_factory=dict)
    #: (resource, version) -> (generation, schema id)
    entry_versions: dict[tuple[str, int], tuple[int, int]] = field(default_factory=dict)
    grants: dict[str, LiveGrant] = field(default_factory=dict)
    grant_versions: dict[tuple[str, int], Grant] = field(default_factory=dict)
    schemas: list[str] = field(default_factory=list)
    subjects: dict[str, list[int]] = field(default_factory=dict)
    incarnations: dict[str, Incarnation] = field(default_factory=dict)
    ended: dict[str, dt.datetime] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    subscriptions: dict[str, Subscription] = field(default_factory=dict)
    principals: dict[str, Principal] = field(default_factory=dict)
    policy: dict[str, bytes] = field(default_factory=dict)
    version: int = 0
    outbox: list[OutboxRow] = field(default_factory=list)


class MemoryCatalogStore:
    """See `bus.ports.CatalogStore`."""

    def __init__(self) -> None:
        self.state = _State()

    @contextmanager
    def transaction(self) -> Iterator[CatalogTransaction]:
        changed = copy.deepcopy(self.state)
        yield MemoryCatalogTransaction(changed)
        self.state = changed

    @contextmanager
    def snapshot(self) -> Iterator[CatalogTransaction]:
        yield MemoryCatalogTransaction(copy.deepcopy(self.state))


class MemoryCatalogTransaction:
    """See `bus.ports.CatalogTransaction`."""

    def __init__(self, state: _State) -> None:
        self._state = state

    def live(self, resources: Collection[str] | None = None) -> LiveCatalog:
        entries, grants = self._state.entries, self._state.grants
        organisations = self._state.organisations
        if resources is not None:
            entries = {code: each for code, each in entries.items() if code in resources}
            about = [each for each in grants.values() if each.grant.resource in resources]
            concerned = {each.grant.consumer for each in about}
            concerned |= {each.entry.provider for each in entries.values()}
            organisations = {
                code: each for code, each in organisations.items() if code in concerned
            }
            grants = {each.grant.id: each for each in about if not each.state.ended}
        return LiveCatalog(
            organisations=dict(organisations), entries=dict(entries), grants=dict(grants)
        )

    def grant(self, grant: str) -> LiveGrant | None:
        return self._state.grants.get(grant)

    def grant_version(self, grant: str, version: int) -> Grant | None:
        return self._state.grant_versions.get((grant, version))

    def governed(self) -> frozenset[str]:
        return frozenset()

    def organisation(self, code: str) -> Organisation | None:
        return self._state.organisations.get(code)

    def organisations(self) -> Sequence[Organisation]:
        return [each for _, each in sorted(self._state.organisations.items())]

    def provided(self, providers: Collection[str]) -> Sequence[CatalogEntry]:
        return [
            held.entry
            for _, held in sorted(self._state.entries.items())
            if not held.retired and held.entry.provider in providers
        ]

    def sources(self) -> Sequence[Source]:
        return [
            source_of(held.entry)
            for _, held in sorted(self._state.entries.items())
            if not held.retired
        ]

    def active_organisations(self) -> Sequence[str]:
        return sorted(code for code, each in self._state.organisations.items() if each.active)

    def over(self, today: dt.date) -> Sequence[str]:
        return sorted(
            {
                held.grant.resource
                for held in self._state.grants.values()
                if held.state is GrantState.ACTIVE and held.grant.valid_until < today
            }
        )

    def save_organisation(self, organisation: Organisation) -> None:
        self._state.organisations[organisation.code] = organisation

    def save_entry(self, entry: CatalogEntry, *, version: int, schema_id: int) -> None:
        self._state.entries[entry.resource] = LiveEntry(entry=entry, version=version, retired=False)
        self._state.entry_versions[entry.resource, version] = (entry.generation, schema_id)

    def retire_entry(self, resource: str) -> None:
        self._state.entries[resource] = replace(self._state.entries[resource], retired=True)

    def save_grant(self, grant: Grant, *, version: int, state: GrantState) -> None:
        self._state.grants[grant.id] = LiveGrant(grant=grant, version=version, state=state)
        self._state.grant_versions.setdefault((grant.id, version), grant)

    def schema_id(self, text: str) -> int:
        if text not in self._state.schemas:
            self._state.schemas.append(text)
        return self._state.schemas.index(text) + 1

    def add_to_subject(self, subject: str, schema_id: int) -> None:
        versions = self._state.subjects.setdefault(subject, [])
        if schema_id not in versions:
            versions.append(schema_id)

    def writer_schemas(self, resource: str, generation: int) -> Sequence[WriterSchema]:
        newest: dict[int, int] = {}
        for (code, version), (of, schema_id) in self._state.entry_versions.items():
            if (code, of) == (resource, generation):
                newest[schema_id] = max(version, newest.get(schema_id, 0))
        return sorted(
            (
                WriterSchema(schema_id, version, self._state.schemas[schema_id - 1])
                for schema_id, version in newest.items()
            ),
            key=lambda schema: schema.entry_version,
        )

    def incarnations(self, resources: Collection[str] | None = None) -> Sequence[Incarnation]:
        return [
            each
            for topic, each in sorted(self._state.incarnations.items())
            if topic not in self._state.ended
            and (resources is None or each.view.resource in resources)
        ]

    def filling(self) -> Sequence[Incarnation]:
        return [each for each in self.incarnations() if not each.live]

    def open_incarnation(self, view: View, *, partitions: int) -> Incarnation:
        lives = [each for each in self._state.incarnations.values() if each.view.id == view.id]
        number = len(lives) + 1
        incarnation = Incarnation(
            view=view,
            number=number,
            topic=view_topic(view.jurisdiction, view.resource, view.id, number),
            partitions=partitions,
        )
        self._state.incarnations[incarnation.topic] = incarnation
        return incarnation

    def mark_live(self, topic: str, fill_end: Mapping[int, int]) -> None:
        self._state.incarnations[topic] = replace(
            self._state.incarnations[topic], live=True, fill_end=dict(fill_end)
        )

    def end_incarnation(self, topic: str, at: dt.datetime) -> None:
        self._state.ended.setdefault(topic, at)

    def expired_topics(self, before: dt.datetime) -> Sequence[str]:
        return sorted(
            topic
            for topic, at in self._state.ended.items()
            if at < before and topic not in self._state.deleted
        )

    def topic_deleted(self, topic: str, at: dt.datetime) -> None:
        self._state.deleted.add(topic)

    def subscriptions(self, resources: Collection[str] | None = None) -> Sequence[Subscription]:
        return [
            each
            for _, each in sorted(self._state.subscriptions.items())
            if resources is None or self._state.grants[each.id].grant.resource in resources
        ]

    def save_subscription(self, subscription: Subscription) -> None:
        self._state.subscriptions[subscription.id] = subscription

    def principals(self, names: Collection[str] | None = None) -> Mapping[str, Principal]:
        return {
            name: each
            for name, each in self._state.principals.items()
            if names is None or name in names
        }

    def save_principal(self, principal: Principal) -> None:
        self._state.principals[principal.name] = principal

    def policy_objects(self, ids: Collection[str] | None = None) -> Mapping[str, bytes]:
        return {
            object_id: value
            for object_id, value in self._state.policy.items()
            if ids is None or object_id in ids
        }

    def publish_policy(self, changes: Mapping[str, bytes | None]) -> int:
        self._state.version += 1
        for object_id, value in changes.items():
            if value is None:
                self._state.policy.pop(object_id, None)
            else:
                self._state.policy[object_id] = value
            self._state.outbox.append(
                OutboxRow(
                    sequence=len(self._state.outbox) + 1,
                    policy_version=self._state.version,
                    topic=POLICY_TOPIC,
                    key=object_id,
                    value=value,
                )
            )
        return self._state.version


class MemoryOutbox:
    """See `bus.ports.Outbox`."""

    def __init__(self, store: MemoryCatalogStore) -> None:
        self._store = store

    def next_version(self) -> Sequence[OutboxRow]:
        rows = self._store.state.outbox
        if not rows:
            return []
        oldest = min(row.policy_version for row in rows)
        return [row for row in rows if row.policy_version == oldest]

    def mark_published(self, through_version: int) -> None:
        self._store.state.outbox = [
            row for row in self._store.state.outbox if row.policy_version > through_version
        ]

    def newest_version(self) -> int:
        return self._store.state.version

    def pending_versions(self) -> int:
        return len({row.policy_version for row in self._store.state.outbox})


class MemoryRelayLock:
    """See `bus.ports.RelayLock`; one for each replica, over one shared holder."""

    def __init__(self, holder: list["MemoryRelayLock"]) -> None:
        self._holder = holder

    def acquire(self) -> bool:
        if not self._holder:
            self._holder.append(self)
        return self.held()

    def held(self) -> bool:
        return self._holder == [self]

    def release(self) -> None:
        if self.held():
            self._holder.clear()
