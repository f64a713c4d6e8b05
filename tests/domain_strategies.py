"""Random domain values (all of them valid), for property tests."""

import datetime as dt
from typing import Any

from hypothesis import strategies as st

from bus.domain import names
from bus.domain.dead_letter import DeadLetter, dead_letter
from bus.domain.entry import CatalogEntry, Category, DeliveryMode
from bus.domain.grant import Grant
from bus.domain.items import (
    ArrayType,
    DataItem,
    DecimalType,
    EnumType,
    FixedType,
    ItemType,
    MapType,
    Nullable,
    RecordField,
    RecordReference,
    RecordType,
    Scalar,
)
from bus.domain.organisation import Level, Organisation, Zone
from bus.domain.policy import (
    PolicyHeartbeat,
    PolicyVersion,
    ResourcePolicy,
    ViewPolicy,
    WriterSchema,
)
from bus.domain.pseudonyms import PseudonymKey
from bus.domain.record_key import KEY_SCALARS
from bus.domain.router_state import Phase, RouterState
from bus.domain.share import ItemGroup, LegalBasis, Purpose, Scope, ShareClass, ShareRule
from bus.domain.view import Treatment, View
from bus.ports import BusEvent

#: Text as YAML, JSON and Postgres can all hold it.
TEXTS = st.text(
    st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=["Cs"]),
    min_size=1,
    max_size=12,
)
CODES = st.from_regex(r"[a-z][a-z0-9]{0,5}(-[a-z0-9]{1,4}){0,2}", fullmatch=True)
ITEM_NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,8}", fullmatch=True).filter(names.is_item_name)
INTS = st.integers(0, (1 << 31) - 1)
LONGS = st.integers(0, (1 << 63) - 1)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
#: Kafka's times are milliseconds.
INSTANTS = st.integers(0, 1 << 42).map(lambda each: _EPOCH + dt.timedelta(milliseconds=each))
_SCALARS: st.SearchStrategy[ItemType] = st.sampled_from(sorted(Scalar))
_SYMBOLS = st.lists(
    st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,6}", fullmatch=True),
    min_size=1,
    max_size=4,
    unique=True,
)


@st.composite
def item_types(draw: st.DrawFn, name: str, depth: int = 0) -> ItemType:
    """Draw a type for an item called `name`; the names of nested types begin with it."""
    if depth >= 3:
        return draw(_SCALARS)
    inside = f"{name}_{depth}"
    match draw(st.integers(0, 8)):
        case 0:
            precision = draw(st.integers(1, 38))
            return DecimalType(precision, draw(st.integers(0, precision)))
        case 1:
            return EnumType(f"{inside}_symbols", tuple(draw(_SYMBOLS)))
        case 2:
            return FixedType(f"{inside}_bytes", draw(st.integers(1, 64)))
        case 3:
            return ArrayType(draw(item_types(name, depth + 1)))
        case 4:
            return MapType(draw(item_types(name, depth + 1)))
        case 5:
            inner = draw(item_types(name, depth + 1))
            return inner if isinstance(inner, Nullable) else Nullable(inner)
        case 6:
            field = RecordField("x", draw(item_types(name, depth + 1)))
            itself = RecordField("y", ArrayType(RecordReference(f"{inside}_record")))
            return RecordType(f"{inside}_record", (field, itself))
        case _:
            return draw(_SCALARS)


@st.composite
def items(draw: st.DrawFn, name: str, group: str) -> DataItem:
    """Draw an item that is no key."""
    return DataItem(
        name=name,
        title_zh=draw(TEXTS),
        title_en=draw(TEXTS),
        type=draw(item_types(name)),
        group=group,
        element=draw(st.none() | TEXTS),
        reference=draw(st.booleans()),
    )


@st.composite
def share_rules(draw: st.DrawFn) -> ShareRule:
    """Draw a complete rule of any class."""
    match draw(st.sampled_from(ShareClass)):
        case ShareClass.UNCONDITIONAL:
            purposes = draw(st.frozensets(st.sampled_from(Purpose)))
            return ShareRule(share_class=ShareClass.UNCONDITIONAL, purposes=purposes)
        case ShareClass.CONDITIONAL:
            return ShareRule(
                share_class=ShareClass.CONDITIONAL,
                condition=draw(TEXTS),
                audience=draw(TEXTS),
                purposes=draw(st.frozensets(st.sampled_from(Purpose), min_size=1)),
            )
        case _:
            basis = LegalBasis(draw(TEXTS), draw(TEXTS), draw(TEXTS))
            return ShareRule(share_class=ShareClass.NOT_SHARED, legal_basis=basis)


@st.composite
def entries(draw: st.DrawFn) -> CatalogEntry:
    """Draw an entry without faults."""
    key, *others = draw(st.lists(ITEM_NAMES, min_size=1, max_size=4, unique=True))
    key_item = DataItem(
        name=key,
        title_zh=draw(TEXTS),
        title_en=draw(TEXTS),
        type=draw(st.sampled_from(sorted(KEY_SCALARS))),
        group="base",
        key=True,
        element=draw(st.none() | TEXTS),
    )
    rules = st.dictionaries(st.sampled_from(Scope), share_rules(), min_size=1)
    group = ItemGroup(name="base", title_zh=draw(TEXTS), title_en=draw(TEXTS), rules=draw(rules))
    return CatalogEntry(
        resource=draw(CODES),
        jurisdiction=draw(CODES),
        provider=draw(CODES),
        title_zh=draw(TEXTS),
        title_en=draw(TEXTS),
        category=draw(st.sampled_from(Category)),
        classification=draw(TEXTS),
        format=draw(TEXTS),
        update_limit_days=draw(st.integers(1, 400)),
        usage_requirement=draw(TEXTS),
        delivery_modes=draw(st.frozensets(st.sampled_from(DeliveryMode), min_size=1)),
        generation=draw(st.integers(1, 9)),
        partitions=draw(st.integers(1, 256)),
        groups=(group,),
        items=(key_item, *(draw(items(name, "base")) for name in others)),
    )


@st.composite
def organisations(draw: st.DrawFn) -> Organisation:
    """Draw an organisation."""
    return Organisation(
        code=draw(CODES),
        jurisdiction=draw(CODES),
        title_zh=draw(TEXTS),
        title_en=draw(TEXTS),
        level=draw(st.sampled_from(Level)),
        zone=draw(st.sampled_from(Zone)),
        active=draw(st.booleans()),
        pseudonym_key=draw(st.integers(1, 99)),
    )


def treatments() -> st.SearchStrategy[dict[str, Treatment]]:
    """Return a strategy of item treatments."""
    return st.dictionaries(ITEM_NAMES, st.sampled_from(Treatment), max_size=4)


@st.composite
def grants(draw: st.DrawFn) -> Grant:
    """Draw a grant of nothing in particular."""
    return Grant(
        id=draw(CODES),
        resource=draw(CODES),
        consumer=draw(CODES),
        scope=draw(st.sampled_from(Scope)),
        purpose=draw(st.sampled_from(Purpose)),
        duty=draw(TEXTS),
        row_filter=draw(st.none() | TEXTS),
        treatments=draw(treatments()),
        mode=draw(st.sampled_from(DeliveryMode)),
        valid_from=draw(st.dates()),
        valid_until=draw(st.dates()),
        decided_by=draw(st.none() | CODES),
    )


@st.composite
def views(draw: st.DrawFn) -> View:
    """Draw a view."""
    how = draw(treatments())
    key = draw(st.builds(PseudonymKey, CODES, st.integers(1, 99)))
    return View(
        jurisdiction=draw(CODES),
        resource=draw(CODES),
        generation=draw(INTS),
        row_filter=draw(st.none() | TEXTS),
        treatments=how,
        pseudonyms_for=key if Treatment.HMAC in how.values() else None,
    )


@st.composite
def resource_policies(draw: st.DrawFn) -> ResourcePolicy:
    """Draw what the router is told of a resource."""
    return ResourcePolicy(
        jurisdiction=draw(CODES),
        resource=draw(CODES),
        provider=draw(CODES),
        generation=draw(INTS),
        topic=draw(TEXTS),
        partitions=draw(INTS),
        dead_letter_topic=draw(TEXTS),
        key_items=tuple(draw(st.lists(ITEM_NAMES, max_size=3))),
        schemas=tuple(draw(st.lists(st.builds(WriterSchema, INTS, INTS, TEXTS), max_size=3))),
    )


@st.composite
def view_policies(draw: st.DrawFn) -> ViewPolicy:
    """Draw what the router is told of a view."""
    return ViewPolicy(
        view=draw(views()),
        incarnation=draw(INTS),
        topic=draw(TEXTS),
        partitions=draw(INTS),
        projections=draw(st.dictionaries(INTS, INTS, max_size=3)),
    )


@st.composite
def dead_letters(draw: st.DrawFn) -> DeadLetter:
    """Draw a dead letter."""
    given: dict[str, Any] = {
        "code": draw(TEXTS),
        "reason": draw(TEXTS),
        "topic": draw(TEXTS),
        "partition": draw(INTS),
        "position": draw(LONGS),
        "positions": draw(LONGS),
        "accepted_at": draw(INSTANTS),
        "key": draw(st.none() | st.binary(max_size=20)),
        "value": draw(st.none() | st.binary(max_size=20)),
    }
    return dead_letter(**given)


def router_states() -> st.SearchStrategy[RouterState]:
    """Return a strategy of the router's state records."""
    return st.builds(
        RouterState,
        phase=st.sampled_from(Phase),
        policy_version=LONGS,
        start=LONGS,
        next=LONGS,
    )


def bus_events() -> st.SearchStrategy[BusEvent]:
    """Return a strategy of every kind of event of the bus."""
    return st.one_of(
        resource_policies(),
        view_policies(),
        LONGS.map(PolicyVersion),
        LONGS.map(PolicyHeartbeat),
        router_states(),
        dead_letters(),
    )
