"""
Valid domain values for tests: one function a kind, with keyword overrides.

The values belong together. `entry()` is published by `organisation(PROVIDER)`, `grant()` gives it
to `organisation(CONSUMER)`; `view()` is what that grant allows, `incarnation()` a life of that view
and `subscription()` its delivery; `catalog()` declares all of it, `live_catalog()` has it in force.
For a field without an override use `dataclasses.replace`.
"""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence

from bus.domain.avro_schema import source_schema
from bus.domain.catalog import Catalog, LiveCatalog, LiveEntry, LiveGrant
from bus.domain.dead_letter import DeadLetter, dead_letter
from bus.domain.entry import CatalogEntry, Category, DeliveryMode
from bus.domain.grant import Grant, GrantState
from bus.domain.items import DataItem, ItemType, Nullable, Scalar
from bus.domain.names import subscription_principal, view_topic
from bus.domain.organisation import Level, Organisation, Zone
from bus.domain.policy import Policy, ResourcePolicy, ViewPolicy, WriterSchema
from bus.domain.principal import Principal, PrincipalKind, make_principal
from bus.domain.pseudonyms import PseudonymKey
from bus.domain.share import ItemGroup, LegalBasis, Purpose, Scope, ShareClass, ShareRule
from bus.domain.subscription import Incarnation, Subscription
from bus.domain.view import Treatment, View, make_view
from bus.ports import Delivery, Publication
from tests.pseudonym_secrets import PSEUDONYMS

JURISDICTION = "cn"
PROVIDER = "statistics"
CONSUMER = "housing"
RESOURCE = "divisions"
GROUP = "base"
GRANT = "divisions-housing"
PASSWORD = "correct horse battery staple"  # noqa: S105 (opens nothing)
NOW = dt.datetime(2026, 1, 5, 9, tzinfo=dt.UTC)
"""A Monday on which `grant()` is in force; what `ManualClock` starts with."""
TODAY = NOW.date()


# --- Organisations --------------------------------------------------------------------------------


def organisation(
    code: str = PROVIDER,
    *,
    jurisdiction: str = JURISDICTION,
    title_zh: str = "统计局",
    title_en: str = "Bureau of Statistics",
    level: Level = Level.CITY,
    zone: Zone = Zone.EXTERNAL,
    active: bool = True,
) -> Organisation:
    """Return an active organisation."""
    return Organisation(
        code=code,
        jurisdiction=jurisdiction,
        title_zh=title_zh,
        title_en=title_en,
        level=level,
        zone=zone,
        active=active,
    )


# --- Entries --------------------------------------------------------------------------------------


def item(
    name: str = "name",
    item_type: ItemType = Scalar.STRING,
    *,
    key: bool = False,
    group: str = GROUP,
    element: str | None = None,
    reference: bool = False,
) -> DataItem:
    """Return a data item: text that is no key, by default."""
    return DataItem(
        name=name,
        title_zh=f"数据项 {name}",
        title_en=f"Item {name}",
        type=item_type,
        group=group,
        key=key,
        element=element,
        reference=reference,
    )


def key_item(
    name: str = "code", item_type: ItemType = Scalar.STRING, *, group: str = GROUP
) -> DataItem:
    """Return a key item."""
    return item(name, item_type, key=True, group=group)


def unconditional() -> ShareRule:
    """Return the rule 无条件共享."""
    return ShareRule(share_class=ShareClass.UNCONDITIONAL)


def conditional(
    *,
    condition: str | None = "within the requester's own district",
    audience: str | None = "departments of the city",
    purposes: Iterable[Purpose] = (Purpose.WORK_REFERENCE, Purpose.DATA_VERIFICATION),
) -> ShareRule:
    """Return a complete rule 有条件共享."""
    return ShareRule(
        share_class=ShareClass.CONDITIONAL,
        condition=condition,
        audience=audience,
        purposes=frozenset(purposes),
    )


def not_shared() -> ShareRule:
    """Return a complete rule 不予共享."""
    basis = LegalBasis(type="LAW", citation="Statistics Law", article="9")
    return ShareRule(share_class=ShareClass.NOT_SHARED, legal_basis=basis)


def item_group(
    name: str = GROUP,
    *,
    internal: ShareRule | None = None,
    external: ShareRule | None = None,
) -> ItemGroup:
    """Return an item group: without any rule given, unconditional in the internal scope only."""
    if internal is None and external is None:
        internal = unconditional()
    rules = {Scope.INTERNAL: internal, Scope.EXTERNAL: external}
    return ItemGroup(
        name=name,
        title_zh=f"信息项组 {name}",
        title_en=f"Group {name}",
        rules={scope: rule for scope, rule in rules.items() if rule is not None},
    )


def entry(
    resource: str = RESOURCE,
    *,
    jurisdiction: str = JURISDICTION,
    provider: str = PROVIDER,
    category: Category = Category.BASE,
    update_limit_days: int = 30,
    delivery_modes: Iterable[DeliveryMode] = (DeliveryMode.KAFKA, DeliveryMode.FRONT_END),
    generation: int = 1,
    partitions: int = 1,
    groups: Sequence[ItemGroup] | None = None,
    items: Sequence[DataItem] | None = None,
) -> CatalogEntry:
    """Return an entry without faults: items code (the key), name, district, population (long?)."""
    if groups is None:
        groups = (item_group(),)
    if items is None:
        items = (
            key_item("code"),
            item("name"),
            item("district"),
            item("population", Nullable(Scalar.LONG)),
        )
    return CatalogEntry(
        resource=resource,
        jurisdiction=jurisdiction,
        provider=provider,
        title_zh="区划",
        title_en="Divisions",
        category=category,
        classification="基础信息/区划",
        format="one record a division",
        update_limit_days=update_limit_days,
        usage_requirement="for government work",
        delivery_modes=frozenset(delivery_modes),
        generation=generation,
        partitions=partitions,
        groups=tuple(groups),
        items=tuple(items),
    )


def schema_of(of: CatalogEntry) -> str:
    """Return the text of the schema that records of an entry are written with."""
    return source_schema(of.jurisdiction, of.resource, of.items)


# --- Grants and views -----------------------------------------------------------------------------


def grant(
    code: str = GRANT,
    *,
    resource: str = RESOURCE,
    consumer: str = CONSUMER,
    scope: Scope = Scope.INTERNAL,
    purpose: Purpose = Purpose.WORK_REFERENCE,
    row_filter: str | None = None,
    items: Iterable[str] = ("code", "name"),
    treatments: Mapping[str, Treatment] | None = None,
    mode: DeliveryMode = DeliveryMode.KAFKA,
    valid_from: dt.date = dt.date(2026, 1, 1),
    valid_until: dt.date = dt.date(2026, 12, 31),
    decided_by: str | None = None,
) -> Grant:
    """Return a grant of `items` as they are, or of items with `treatments`."""
    return Grant(
        id=code,
        resource=resource,
        consumer=consumer,
        scope=scope,
        purpose=purpose,
        duty="urban housing support",
        row_filter=row_filter,
        treatments=dict.fromkeys(items, Treatment.KEEP) if treatments is None else treatments,
        mode=mode,
        valid_from=valid_from,
        valid_until=valid_until,
        decided_by=decided_by,
    )


def view(
    *,
    jurisdiction: str = JURISDICTION,
    resource: str = RESOURCE,
    generation: int = 1,
    row_filter: str | None = None,
    items: Iterable[str] | Mapping[str, Treatment] = ("code", "name"),
    pseudonyms_for: PseudonymKey = PSEUDONYMS,
) -> View:
    """Return the view that keeps `items` as they are, or treats them as it says."""
    return make_view(
        jurisdiction=jurisdiction,
        resource=resource,
        generation=generation,
        row_filter=row_filter,
        treatments=items if isinstance(items, Mapping) else dict.fromkeys(items, Treatment.KEEP),
        pseudonyms_for=pseudonyms_for,
    )


def incarnation(
    of: View | None = None,
    *,
    number: int = 1,
    partitions: int = 1,
    live: bool = True,
    fill_end: Mapping[int, int] | None = None,
) -> Incarnation:
    """Return a life of a view, filled by default."""
    of = of or view()
    return Incarnation(
        view=of,
        number=number,
        topic=view_topic(of.jurisdiction, of.resource, of.id, number),
        partitions=partitions,
        live=live,
        fill_end=fill_end if fill_end is not None else ({0: 0} if live else {}),
    )


def subscription(
    code: str = GRANT,
    *,
    principal: str | None = None,
    ended: bool = False,
    topic: str | None = None,
    next_topic: str | None = None,
) -> Subscription:
    """Return the open subscription of a grant, delivered from `incarnation()`."""
    return Subscription(
        id=code,
        principal=principal or subscription_principal(code),
        ended=ended,
        topic=topic or incarnation().topic,
        next_topic=next_topic,
    )


# --- The catalog as a whole -----------------------------------------------------------------------


def catalog(
    *,
    organisations: Iterable[Organisation] | None = None,
    entries: Iterable[CatalogEntry] | None = None,
    grants: Iterable[Grant] | None = None,
) -> Catalog:
    """Return a declared catalog without faults: two organisations, one entry, one grant."""
    if organisations is None:
        organisations = (organisation(PROVIDER), organisation(CONSUMER))
    if entries is None:
        entries = (entry(),)
    if grants is None:
        grants = (grant(),)
    return Catalog(
        organisations={each.code: each for each in organisations},
        entries={each.resource: each for each in entries},
        grants={each.id: each for each in grants},
    )


def live_entry(
    of: CatalogEntry | None = None, *, version: int = 1, retired: bool = False
) -> LiveEntry:
    """Return an entry in force."""
    return LiveEntry(entry=of or entry(), version=version, retired=retired)


def live_grant(
    of: Grant | None = None, *, version: int = 1, state: GrantState = GrantState.ACTIVE
) -> LiveGrant:
    """Return a grant in force."""
    return LiveGrant(grant=of or grant(), version=version, state=state)


def live_catalog(
    *,
    organisations: Iterable[Organisation] | None = None,
    entries: Iterable[LiveEntry] | None = None,
    grants: Iterable[LiveGrant] | None = None,
) -> LiveCatalog:
    """Return what is in force once `catalog()` has been applied."""
    if organisations is None:
        organisations = (organisation(PROVIDER), organisation(CONSUMER))
    if entries is None:
        entries = (live_entry(),)
    if grants is None:
        grants = (live_grant(),)
    return LiveCatalog(
        organisations={each.code: each for each in organisations},
        entries={each.entry.resource: each for each in entries},
        grants={each.grant.id: each for each in grants},
    )


def principal(
    name: str = f"org-{PROVIDER}",
    kind: PrincipalKind = PrincipalKind.ORGANISATION,
    *,
    owner: str | None = None,
    password: str = PASSWORD,
) -> Principal:
    """Return an account with `password`; its owner is what follows the prefix of its name."""
    return make_principal(name, kind, owner or name.partition("-")[2], password)


def delivery(
    *,
    of: Subscription | None = None,
    to: Grant | None = None,
    grant_version: int = 1,
    state: GrantState = GrantState.ACTIVE,
    on: CatalogEntry | None = None,
    entry_version: int = 1,
    life: Incarnation | None = None,
) -> Delivery:
    """Return everything about a subscription: its grant (`to`), entry (`on`) and view (`life`)."""
    to, on = to or grant(), on or entry()
    life = life or incarnation(to.view(on))
    return Delivery(
        subscription=of or subscription(to.id, topic=life.topic),
        grant=to,
        grant_version=grant_version,
        state=state,
        entry=on,
        entry_version=entry_version,
        incarnation=life,
    )


def publication(
    of: CatalogEntry | None = None, *, version: int = 1, schema_id: int = 1
) -> Publication:
    """Return what the provider of an entry needs to publish."""
    of = of or entry()
    return Publication(
        entry=of, version=version, schema=writer_schema(schema_id, entry_version=version, of=of)
    )


# --- What the data plane is told ------------------------------------------------------------------


def writer_schema(
    number: int = 1, *, entry_version: int = 1, of: CatalogEntry | None = None
) -> WriterSchema:
    """Return the schema of an entry under the id `number`."""
    return WriterSchema(number, entry_version, schema_of(of or entry()))


def resource_policy(
    of: CatalogEntry | None = None, *, schemas: Sequence[WriterSchema] | None = None
) -> ResourcePolicy:
    """Return what the router is told of an entry."""
    of = of or entry()
    return ResourcePolicy(
        jurisdiction=of.jurisdiction,
        resource=of.resource,
        provider=of.provider,
        generation=of.generation,
        topic=of.source_topic,
        partitions=of.partitions,
        dead_letter_topic=of.dead_letter_topic,
        key_items=tuple(each.name for each in of.key_items),
        schemas=(writer_schema(of=of),) if schemas is None else tuple(schemas),
    )


def view_policy(
    of: Incarnation | None = None, *, projections: Mapping[int, int] | None = None
) -> ViewPolicy:
    """Return what the router is told of a view: schema 1 becomes schema 2, by default."""
    of = of or incarnation()
    return ViewPolicy(
        view=of.view,
        incarnation=of.number,
        topic=of.topic,
        partitions=of.partitions,
        projections={1: 2} if projections is None else projections,
    )


def policy(
    *,
    version: int = 1,
    resources: Iterable[ResourcePolicy] | None = None,
    views: Iterable[ViewPolicy] | None = None,
) -> Policy:
    """Return a whole version of the policy: one resource with one view."""
    if resources is None:
        resources = (resource_policy(),)
    if views is None:
        views = (view_policy(),)
    return Policy(
        version=version,
        resources={each.topic: each for each in resources},
        views={each.topic: each for each in views},
    )


def letter(
    *,
    code: str = "TRUNCATED",
    position: int = 7,
    positions: int = 1,
    key: bytes | None = b"110101",
    value: bytes | None = b"\x00\x00\x00\x00\x01",
) -> DeadLetter:
    """Return the dead letter of a record of `entry()`."""
    return dead_letter(
        code=code,
        reason="the record ends before its time",
        topic=entry().source_topic,
        partition=0,
        position=position,
        accepted_at=NOW,
        key=key,
        value=value,
        positions=positions,
    )
