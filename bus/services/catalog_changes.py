"""
Plan and apply changes of the catalog.

`plan` says what would happen, `apply` makes it happen: in one transaction of the store the new
state, the subscriptions and the compiled policy, with Kafka brought in line around it. Later the
same steps serve single decisions (approve, activate, revoke) instead of whole folders.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from bus.domain.avro_schema import source_schema
from bus.domain.catalog import Catalog, CatalogFault, catalog_faults, governed_faults
from bus.domain.changes import (
    AmendGrant,
    Change,
    EndGrant,
    GiveGrant,
    PublishEntry,
    RetireEntry,
    SaveOrganisation,
    difference,
)
from bus.domain.grant import GrantState
from bus.domain.names import provider_principal, value_subject
from bus.domain.principal import PrincipalKind
from bus.errors import FilterInvalid, NotFound
from bus.ports import CatalogStore, CatalogTransaction, Clock, EventCodec, TopicAdmin
from bus.services.access import Access
from bus.services.data_plane import Refreshed, refresh
from bus.views.row_filter import FilterCompiler, filter_types
from bus.views.schema_tree import parse_schema

#: (new schema, older schemas) -> why records of the older ones could not be read with the new one.
Incompatibilities = Callable[[str, Iterable[str]], list[str]]

#: Of how many principals what differs is put right in one transaction: others wait for it.
_AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class CatalogPlan:
    """What applying a declared catalog would do, or why it is refused."""

    changes: tuple[Change, ...]
    faults: tuple[CatalogFault, ...]


@dataclass(frozen=True, slots=True)
class Applied:
    """What applying a declared catalog has done."""

    plan: CatalogPlan
    policy_version: int | None
    passwords: dict[str, str]
    """Of accounts that were created: shown or written once, stored nowhere."""


class CatalogChanges:
    """The use cases of `onesource catalog`."""

    def __init__(
        self,
        *,
        store: CatalogStore,
        topics: TopicAdmin,
        access: Access,
        codec: EventCodec,
        clock: Clock,
        compile_filter: FilterCompiler,
        incompatibilities: Incompatibilities,
    ) -> None:
        self._store = store
        self._topics = topics
        self._access = access
        self._codec = codec
        self._clock = clock
        self._compile_filter = compile_filter
        self._incompatibilities = incompatibilities

    def plan(self, declared: Catalog) -> CatalogPlan:
        """Return what `apply` would do with `declared`. Changes nothing."""
        with self._store.transaction() as transaction:
            return self._plan(transaction, declared)

    def apply(self, declared: Catalog) -> Applied:
        """
        Make the catalog in force equal to `declared`.

        If the plan has faults nothing is changed; the caller looks at `Applied.plan`.
        """
        with self._store.transaction() as transaction:
            plan = self._plan(transaction, declared)
            if plan.faults:
                return Applied(plan, None, {})
            passwords = self._carry_out(transaction, plan.changes)
            refreshed = self._settle(transaction, passwords)
        self.reconcile()
        return Applied(plan, refreshed.policy_version, passwords)

    def end_expired_grants(self) -> Sequence[str]:
        """End the grants whose last day is over; return their ids."""
        today = self._clock.now().date()
        with self._store.snapshot() as snapshot:
            resources = snapshot.over(today)
        if not resources:
            return []
        with self._store.transaction() as transaction:
            governed = transaction.governed()
            over = [
                EndGrant(grant, GrantState.EXPIRED)
                for grant, entry in transaction.live(resources).active_grants()
                if grant.valid_until < today and entry.jurisdiction not in governed
            ]
            if over:
                self._carry_out(transaction, over)
                self._settle(transaction, {}, resources)
        return [each.grant.id for each in over]

    def mark_live(self, ends: dict[str, dict[int, int]]) -> None:
        """Note that incarnations are filled, and move on the subscriptions that waited for them."""
        with self._store.transaction() as transaction:
            filling = {each.topic: each for each in transaction.filling()}
            filled = [filling[topic] for topic in ends if topic in filling]
            for incarnation in filled:
                transaction.mark_live(incarnation.topic, ends[incarnation.topic])
            resources = sorted({each.view.resource for each in filled})
            moved = self._settle(transaction, {}, resources).changed
        if moved:
            with self._store.transaction() as transaction:
                ids = {each.id for each in moved}
                standing = transaction.subscriptions(resources)
                self._access.give_subscriptions([each for each in standing if each.id in ids])

    def release_narrowed(self) -> None:
        """Let those read on who lost a part of their access a while ago."""
        if self._access.has_narrowed():
            with self._store.transaction():
                self._access.release_narrowed()

    def reissue(self, principal: str) -> str:
        """
        Give an existing account a new password and return it; the old one ends at once.

        Raise `NotFound` if there is no such account.
        """
        with self._store.transaction() as transaction:
            known = transaction.principals([principal]).get(principal)
            if known is None:
                raise NotFound(f"there is no account {principal!r}")
            return self._access.issue(transaction, known.name, known.kind, known.owner)

    def reconcile(self) -> None:
        """
        Give and take away in Kafka whatever differs from the state in the store.

        What differs is found without holding anybody up; only what is put right takes the lock.
        """
        with self._store.snapshot() as snapshot:
            differing = self._access.differing(snapshot)
        for start in range(0, len(differing), _AT_ONCE):
            only = differing[start : start + _AT_ONCE]
            with self._store.transaction() as transaction:
                self._access.cut(transaction, only)
                self._access.give(transaction, only)

    def _plan(self, transaction: CatalogTransaction, declared: Catalog) -> CatalogPlan:
        governed = transaction.governed()
        live = transaction.live().without(governed)
        faults = [*catalog_faults(declared), *self._filter_faults(declared)]
        faults += governed_faults(declared, governed)
        changes: list[Change] = []
        for found in difference(live, declared, self._clock.now().date()):
            if isinstance(found, CatalogFault):
                faults.append(found)
            else:
                changes.append(found)
        if not faults:
            faults += self._compatibility_faults(transaction, changes)
        return CatalogPlan(tuple(changes), tuple(faults))

    def _filter_faults(self, declared: Catalog) -> Iterable[CatalogFault]:
        for grant in declared.grants.values():
            entry = declared.entries.get(grant.resource)
            if entry is None or grant.row_filter is None or any(entry.faults()):
                continue
            schema = source_schema(entry.jurisdiction, entry.resource, entry.items)
            try:
                self._compile_filter(grant.row_filter, filter_types(parse_schema(schema)))
            except FilterInvalid as error:
                yield CatalogFault("grant", grant.id, ("rows",), error.code, error.reason)

    def _compatibility_faults(
        self, transaction: CatalogTransaction, changes: Iterable[Change]
    ) -> Iterable[CatalogFault]:
        for change in changes:
            if not isinstance(change, PublishEntry) or change.new_generation:
                continue
            entry = change.entry
            new = source_schema(entry.jurisdiction, entry.resource, entry.items)
            older = transaction.writer_schemas(entry.resource, entry.generation)
            for reason in self._incompatibilities(new, [schema.text for schema in older]):
                yield CatalogFault(
                    "entry",
                    entry.resource,
                    ("items",),
                    "SCHEMA_INCOMPATIBLE",
                    f"older records could not be read: {reason}. Make new items nullable, or "
                    f"set `generation: {entry.generation + 1}` and publish anew",
                )

    def _carry_out(
        self, transaction: CatalogTransaction, changes: Iterable[Change]
    ) -> dict[str, str]:
        """Write `changes` to the store; return the passwords of new organisations' accounts."""
        passwords: dict[str, str] = {}
        for change in changes:
            match change:
                case SaveOrganisation(organisation):
                    transaction.save_organisation(organisation)
                    name = provider_principal(organisation.code)
                    if organisation.active and name not in transaction.principals([name]):
                        passwords[name] = self._access.issue(
                            transaction, name, PrincipalKind.ORGANISATION, organisation.code
                        )
                case PublishEntry(entry, version):
                    schema_id = transaction.schema_id(
                        source_schema(entry.jurisdiction, entry.resource, entry.items)
                    )
                    transaction.save_entry(entry, version=version, schema_id=schema_id)
                    transaction.add_to_subject(value_subject(entry.source_topic), schema_id)
                case RetireEntry(resource):
                    transaction.retire_entry(resource)
                case GiveGrant(grant):
                    transaction.save_grant(grant, version=1, state=GrantState.ACTIVE)
                case AmendGrant(grant, version):
                    transaction.save_grant(grant, version=version, state=GrantState.ACTIVE)
                case EndGrant(grant, state):
                    held = transaction.grant(grant.id)
                    if held is not None:
                        transaction.save_grant(grant, version=held.version, state=state)
        return passwords

    def _settle(
        self,
        transaction: CatalogTransaction,
        passwords: dict[str, str],
        resources: Collection[str] | None = None,
    ) -> Refreshed:
        """Bring the data plane (of `resources`) in line: topics and accounts, old access is cut."""
        refreshed = refresh(transaction, self._codec, self._clock, resources)
        existing = self._topics.existing("os.")
        self._topics.ensure([spec for spec in refreshed.topics if spec.name not in existing])
        subscriptions = refreshed.changed if resources is not None else transaction.subscriptions()
        names = [each.principal for each in subscriptions]
        known = transaction.principals(names) if names else {}
        for subscription in subscriptions:
            if subscription.principal not in known:
                passwords[subscription.principal] = self._access.issue(
                    transaction,
                    subscription.principal,
                    PrincipalKind.SUBSCRIPTION,
                    subscription.id,
                )
        if resources is None:
            self._access.cut(transaction)
        else:
            self._access.cut_subscriptions(transaction, refreshed.changed)
        return refreshed
