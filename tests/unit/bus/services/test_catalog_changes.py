"""Unit tests of `bus.services.catalog_changes`: what a catalog does, and what forbids it."""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from bus.domain.catalog import Catalog
from bus.domain.changes import AmendGrant, EndGrant, GiveGrant, PublishEntry, SaveOrganisation
from bus.domain.entry import CatalogEntry
from bus.domain.grant import GrantState
from bus.domain.items import DataItem, ItemType, Nullable, Scalar
from bus.domain.names import source_topic
from bus.domain.organisation import Organisation, Zone
from bus.domain.view import Treatment
from bus.errors import BrokerUnavailable, StoreUnavailable
from bus.ports import CatalogTransaction
from tests import builders
from tests.stream_builders import ControlPlane

SUBSCRIBER = f"sub-{builders.GRANT}"
PROVIDER = f"org-{builders.PROVIDER}"
CONSUMER = f"org-{builders.CONSUMER}"


@pytest.fixture
def control() -> ControlPlane:
    """Return a control plane in which nothing has been declared yet."""
    return ControlPlane()


def state_of(control: ControlPlane) -> object:
    """Return everything that a catalog change may change, comparable."""
    return (
        control.store.state,
        control.topics.existing("os."),
        control.admin.rules(),
        dict(control.admin.passwords),
        set(control.admin.throttled()),
    )


def codes(control: ControlPlane, declared: Catalog) -> list[str]:
    """Return the codes of what forbids a catalog."""
    return [fault.code for fault in control.changes.plan(declared).faults]


# --- The first catalog ----------------------------------------------------------------------------


def test_a_first_catalog_is_put_into_force(control: ControlPlane) -> None:
    applied = control.apply(builders.catalog())

    with control.store.transaction() as transaction:
        live = transaction.live()
    assert live == builders.live_catalog()
    assert [type(change) for change in applied.plan.changes] == [
        SaveOrganisation,
        SaveOrganisation,
        PublishEntry,
        GiveGrant,
    ]
    assert applied.policy_version == 1


def test_topics_exist_before_anybody_is_told_of_them(control: ControlPlane) -> None:
    control.apply(builders.catalog(entries=[builders.entry(partitions=3)]))

    topic = control.subscription().topic
    assert control.topics.existing("os.src.") == {"os.src.cn.statistics.divisions.1": 3}
    assert control.topics.existing("os.view.") == {topic: 1}
    assert control.topics.existing("os.dlq.") == {"os.dlq.cn.divisions": 1}


def test_every_new_account_gets_a_password_of_its_own_once(control: ControlPlane) -> None:
    applied = control.apply(builders.catalog())
    again = control.apply(builders.catalog())

    assert set(applied.passwords) == {PROVIDER, CONSUMER, SUBSCRIBER}
    assert len(set(applied.passwords.values())) == 3
    assert control.admin.passwords == applied.passwords
    assert again.passwords == {}
    with control.store.transaction() as transaction:
        principals = transaction.principals()
    for name, password in applied.passwords.items():
        assert principals[name].accepts(password)
        assert password not in repr(principals[name])


def test_a_provider_writes_its_own_source_topic_and_a_subscriber_reads_its_own_view(
    control: ControlPlane,
) -> None:
    """R-110, invariant 5: a consumer's account cannot read what the provider writes."""
    control.apply(builders.catalog())

    rules = control.admin.rules()
    writes = {
        (principal, rule.name)
        for principal, allowed in rules.items()
        for rule in allowed
        if rule.operation == "write"
    }
    assert writes == {(PROVIDER, "os.src.cn.statistics.divisions.1")}
    assert control.readable(SUBSCRIBER) == {control.subscription().topic}
    assert control.readable(CONSUMER) == set()


def test_planning_changes_nothing(control: ControlPlane) -> None:
    before = state_of(control)

    plan = control.changes.plan(builders.catalog())

    assert len(plan.changes) == 4
    assert state_of(control) == before


def test_applying_twice_changes_nothing(control: ControlPlane) -> None:
    control.apply(builders.catalog())
    before = state_of(control)

    again = control.apply(builders.catalog())

    assert again.plan.changes == ()
    assert again.policy_version is None
    assert state_of(control) == before


# --- Grants ---------------------------------------------------------------------------------------


def test_a_revoked_grant_loses_access_at_once_and_its_view_ends(control: ControlPlane) -> None:
    """Invariant 6: the account may do nothing, and fetches that are parked return nothing."""
    control.apply(builders.catalog())
    topic = control.subscription().topic

    applied = control.apply(builders.catalog(grants=[]))

    assert [change for change in applied.plan.changes if isinstance(change, EndGrant)] == [
        EndGrant(builders.grant(), GrantState.REVOKED)
    ]
    assert SUBSCRIBER not in control.admin.rules()
    assert control.admin.throttled() == {SUBSCRIBER}
    assert control.subscription().ended
    assert control.incarnations() == {}
    assert topic in control.topics.existing("os.view.")


def test_a_revocation_that_fails_halfway_is_done_the_second_time(
    control: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    control.apply(builders.catalog())

    def away(_: str) -> None:
        raise BrokerUnavailable("no quota can be set")

    with monkeypatch.context() as failing:
        failing.setattr(control.admin, "throttle", away)
        with pytest.raises(BrokerUnavailable):
            control.changes.apply(builders.catalog(grants=[]))
    still_active = not control.subscription().ended
    control.apply(builders.catalog(grants=[]))

    assert still_active
    assert SUBSCRIBER not in control.admin.rules()
    assert control.admin.throttled() == {SUBSCRIBER}


def test_access_is_cut_before_the_change_is_committed_and_given_after(
    control: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash in between leaves too little allowed, never too much."""
    control.apply(builders.catalog())
    transaction = control.store.transaction
    at_commit: list[set[str]] = []

    @contextmanager
    def watched() -> Iterator[CatalogTransaction]:
        with transaction() as begun:
            yield begun
            at_commit.append(control.readable(SUBSCRIBER))

    monkeypatch.setattr(control.store, "transaction", watched)

    control.apply(builders.catalog(grants=[builders.grant(items=("code",))]))

    assert at_commit[0] == set()
    assert control.readable(SUBSCRIBER) == {control.subscription().topic}


def test_nothing_is_given_if_the_change_is_not_committed(
    control: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    control.apply(builders.catalog(grants=[]))
    transaction = control.store.transaction

    @contextmanager
    def lost() -> Iterator[CatalogTransaction]:
        with transaction() as begun:
            yield begun
            raise StoreUnavailable("lost at commit")

    with monkeypatch.context() as failing:
        failing.setattr(control.store, "transaction", lost)
        with pytest.raises(StoreUnavailable):
            control.changes.apply(builders.catalog())
    control.changes.reconcile()

    assert SUBSCRIBER not in control.admin.rules()
    assert control.outbox.pending_versions() == 1


def test_a_revoked_grant_is_never_given_again(control: ControlPlane) -> None:
    control.apply(builders.catalog())
    control.apply(builders.catalog(grants=[]))

    assert codes(control, builders.catalog()) == ["GRANT_ENDED"]


def test_a_grant_counts_from_its_first_day_on(control: ControlPlane) -> None:
    later = builders.grant(valid_from=builders.TODAY + dt.timedelta(days=1))
    before = control.apply(builders.catalog(grants=[later]))
    control.clock.sleep(24 * 3600)

    on_the_day = control.apply(builders.catalog(grants=[later]))

    assert not any(isinstance(change, GiveGrant) for change in before.plan.changes)
    assert on_the_day.plan.changes == (GiveGrant(later),)


def test_a_grant_ends_after_its_last_day(control: ControlPlane) -> None:
    """Invariant 6."""
    last = builders.grant(valid_until=builders.TODAY)
    control.apply(builders.catalog(grants=[last]))
    on_the_last_day = control.changes.end_expired_grants()
    control.clock.sleep(15 * 3600)

    over = control.changes.end_expired_grants()

    assert on_the_last_day == []
    assert over == [builders.GRANT]
    assert SUBSCRIBER not in control.admin.rules()
    assert control.admin.throttled() == {SUBSCRIBER}
    with control.store.transaction() as transaction:
        assert transaction.live().grants[builders.GRANT].state is GrantState.EXPIRED
    assert control.changes.end_expired_grants() == []


def test_an_expired_grant_that_is_still_declared_stays_expired(control: ControlPlane) -> None:
    last = builders.grant(valid_until=builders.TODAY)
    control.apply(builders.catalog(grants=[last]))
    control.clock.sleep(15 * 3600)

    applied = control.apply(builders.catalog(grants=[last]))

    assert applied.plan.changes == (EndGrant(last, GrantState.EXPIRED),)


def test_a_new_version_of_a_grant_with_the_same_view_moves_nothing(control: ControlPlane) -> None:
    control.apply(builders.catalog())
    before = control.subscription()
    longer = builders.grant(valid_until=dt.date(2027, 12, 31))

    applied = control.apply(builders.catalog(grants=[longer]))

    assert applied.plan.changes == (AmendGrant(longer, 2, same_view=True, widens=True),)
    assert applied.policy_version is None
    assert control.subscription() == before


# --- Entries --------------------------------------------------------------------------------------


def with_item(item_type: ItemType | None = None) -> CatalogEntry:
    """Return the entry with one item more, `mayor`: text that may be missing, by default."""
    entry = builders.entry()
    mayor = builders.item("mayor", item_type or Nullable(Scalar.STRING))
    return replace(entry, items=(*entry.items, mayor))


def test_a_new_entry_version_is_published_with_its_schema(control: ControlPlane) -> None:
    control.apply(builders.catalog())

    applied = control.apply(builders.catalog(entries=[with_item()]))

    assert applied.plan.changes == (PublishEntry(with_item(), 2, new_generation=False),)
    with control.store.transaction() as transaction:
        schemas = transaction.writer_schemas(builders.RESOURCE, 1)
    assert [schema.entry_version for schema in schemas] == [1, 2]
    assert schemas[1].text == builders.schema_of(with_item())


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        (with_item(Scalar.STRING), "mayor"),
        (
            builders.entry(items=[builders.key_item(), builders.item("name", Scalar.LONG)]),
            "type",
        ),
        (
            builders.entry(
                items=[
                    builders.key_item(),
                    builders.item("name"),
                    builders.item("district"),
                    builders.item("population", Nullable(Scalar.INT)),
                ]
            ),
            "",
        ),
    ],
    ids=["a new item that may not be missing", "text becomes a number", "long becomes int"],
)
def test_an_entry_that_cannot_read_older_records_is_refused(
    control: ControlPlane, entry: CatalogEntry, complaint: str
) -> None:
    """BACKWARD_TRANSITIVE by Apache avro's judgement (design.md §4)."""
    control.apply(builders.catalog())
    before = state_of(control)

    applied = control.changes.apply(builders.catalog(entries=[entry]))

    (fault,) = applied.plan.faults
    assert (fault.kind, fault.id, fault.path) == ("entry", builders.RESOURCE, ("items",))
    assert fault.code == "SCHEMA_INCOMPATIBLE"
    assert complaint in fault.message
    assert "generation: 2" in fault.message
    assert state_of(control) == before


def test_compatibility_is_asked_of_all_older_versions_and_not_only_of_the_last(
    control: ControlPlane,
) -> None:
    def versioned(*items: DataItem) -> Catalog:
        entry = builders.entry(items=[builders.key_item(), *items])
        return builders.catalog(entries=[entry], grants=[builders.grant(items=("code",))])

    control.apply(versioned(builders.item("n", Nullable(Scalar.INT))))
    control.apply(versioned())

    found = codes(control, versioned(builders.item("n", Nullable(Scalar.STRING))))

    assert found == ["SCHEMA_INCOMPATIBLE"]


def test_an_incompatible_entry_may_be_published_as_a_new_generation(control: ControlPlane) -> None:
    control.apply(builders.catalog())
    old = control.subscription().topic
    newer = replace(with_item(Scalar.STRING), generation=2, partitions=2)

    applied = control.apply(builders.catalog(entries=[newer]))

    new = control.subscription().topic
    assert applied.plan.changes[0] == PublishEntry(newer, 2, new_generation=True)
    assert control.topics.existing("os.src.")["os.src.cn.statistics.divisions.2"] == 2
    assert new != old
    assert control.readable(SUBSCRIBER) == {new}
    assert old not in control.incarnations()
    assert control.readable(PROVIDER) == {newer.source_topic, newer.dead_letter_topic}


def test_an_entry_that_is_not_declared_any_more_is_retired_after_its_grants(
    control: ControlPlane,
) -> None:
    control.apply(builders.catalog())

    applied = control.apply(builders.catalog(entries=[], grants=[]))

    assert [type(change).__name__ for change in applied.plan.changes] == ["EndGrant", "RetireEntry"]
    assert control.objects() == {}
    assert control.readable(PROVIDER) == set()
    assert codes(control, builders.catalog(grants=[])) == ["RESOURCE_RETIRED"]


def test_an_organisation_that_is_not_declared_any_more_loses_its_rights(
    control: ControlPlane,
) -> None:
    control.apply(builders.catalog())
    only_the_provider = [builders.organisation(builders.PROVIDER)]

    control.apply(builders.catalog(organisations=only_the_provider, grants=[]))

    assert CONSUMER not in control.admin.rules()
    assert PROVIDER in control.admin.rules()


def test_an_organisation_that_comes_back_keeps_its_account(control: ControlPlane) -> None:
    first = control.apply(builders.catalog())
    only_the_provider = [builders.organisation(builders.PROVIDER)]
    control.apply(builders.catalog(organisations=only_the_provider, grants=[]))

    again = control.apply(builders.catalog(grants=[]))

    assert again.passwords == {}
    assert control.admin.passwords[CONSUMER] == first.passwords[CONSUMER]
    assert CONSUMER in control.admin.rules()


# --- What forbids a catalog -----------------------------------------------------------------------


def organisations(**changed: Organisation) -> list[Organisation]:
    """Return the provider and the consumer, with some changed."""
    known = {
        "provider": builders.organisation(builders.PROVIDER),
        "consumer": builders.organisation(builders.CONSUMER),
    }
    return list({**known, **changed}.values())


@pytest.mark.parametrize(
    ("declared", "code"),
    [
        (builders.catalog(grants=[builders.grant(row_filter='nam == "x"')]), "FILTER_INVALID"),
        (builders.catalog(grants=[builders.grant(row_filter="name == 7")]), "FILTER_INVALID"),
        (builders.catalog(grants=[builders.grant(row_filter="name")]), "FILTER_INVALID"),
        (builders.catalog(grants=[builders.grant(row_filter="1 ==")]), "FILTER_INVALID"),
        (
            builders.catalog(grants=[builders.grant(row_filter=f'name == "{"x" * 4096}"')]),
            "FILTER_INVALID",
        ),
        (builders.catalog(grants=[builders.grant(items=("name",))]), "KEY_ITEMS_REQUIRED"),
        (builders.catalog(grants=[builders.grant(items=("code", "x"))]), "ITEM_UNKNOWN"),
        (
            builders.catalog(
                grants=[
                    builders.grant(
                        treatments={"code": Treatment.KEEP, "population": Treatment.HMAC}
                    )
                ]
            ),
            "TREATMENT_NOT_FOR_TYPE",
        ),
        (builders.catalog(grants=[builders.grant(resource="unknown")]), "RESOURCE_UNKNOWN"),
        (builders.catalog(grants=[builders.grant(consumer="unknown")]), "ORGANISATION_UNKNOWN"),
        (
            builders.catalog(
                entries=[
                    builders.entry(groups=[builders.item_group(internal=builders.not_shared())])
                ]
            ),
            "NOT_SHARED",
        ),
        (
            builders.catalog(
                entries=[
                    builders.entry(groups=[builders.item_group(internal=builders.conditional())])
                ]
            ),
            "DECISION_REQUIRED",
        ),
        (
            builders.catalog(
                organisations=organisations(
                    consumer=builders.organisation(builders.CONSUMER, zone=Zone.INTERNAL)
                )
            ),
            "ZONE_MISMATCH",
        ),
        (
            builders.catalog(
                organisations=organisations(
                    consumer=builders.organisation(builders.CONSUMER, active=False)
                )
            ),
            "ORGANISATION_INACTIVE",
        ),
        (
            builders.catalog(entries=[builders.entry(items=[builders.item("name")])], grants=[]),
            "DEFINITION_INVALID",
        ),
    ],
)
def test_a_catalog_with_faults_changes_nothing(
    control: ControlPlane, declared: Catalog, code: str
) -> None:
    """R-113, R-052, R-053, R-065: the default is deny."""
    control.apply(builders.catalog(grants=[]))
    before = state_of(control)

    applied = control.changes.apply(declared)

    assert code in [fault.code for fault in applied.plan.faults]
    assert applied.policy_version is None
    assert applied.passwords == {}
    assert state_of(control) == before


def test_a_second_source_of_an_item_is_refused_and_names_the_first(control: ControlPlane) -> None:
    """R-150, R-157, invariant 5: known by the element's code, whatever the column is called."""
    first = builders.entry(items=[builders.key_item(), builders.item("name", element="e-1")])
    second = builders.entry(
        "streets", items=[builders.key_item(), builders.item("title", element="e-1")]
    )
    control.apply(builders.catalog(entries=[first], grants=[]))

    plan = control.changes.plan(builders.catalog(entries=[first, second], grants=[]))

    (fault,) = plan.faults
    assert (fault.code, fault.id) == ("ONE_SOURCE_CONFLICT", "streets")
    assert fault.path == ("items", "title", "element")
    assert fault.message.startswith("divisions is the one source of element 'e-1'")


def test_a_resource_changes_hands_only_with_a_new_generation(control: ControlPlane) -> None:
    """R-155, invariant 5: at no instant do two organisations write one source topic."""
    control.apply(builders.catalog(grants=[]))
    taken = replace(builders.entry(), provider=builders.CONSUMER)

    same = codes(control, builders.catalog(entries=[taken], grants=[]))
    control.apply(builders.catalog(entries=[replace(taken, generation=2)], grants=[]))

    new_topic = source_topic(builders.JURISDICTION, builders.CONSUMER, builders.RESOURCE, 2)
    assert same == ["GENERATION_REQUIRED"]
    assert control.readable(PROVIDER) == set()
    assert new_topic in control.readable(CONSUMER)


def test_faults_of_filters_name_the_grant_and_the_reason(control: ControlPlane) -> None:
    declared = builders.catalog(grants=[builders.grant(row_filter='nam == "x"')])

    (fault,) = control.changes.plan(declared).faults

    assert (fault.kind, fault.id, fault.path) == ("grant", builders.GRANT, ("rows",))
    assert "nam" in fault.message


def test_a_filter_over_an_item_that_a_new_version_drops_is_refused(control: ControlPlane) -> None:
    filtered = builders.grant(row_filter='district == "1101"')
    control.apply(builders.catalog(grants=[filtered]))
    entry = builders.entry()
    without = replace(entry, items=tuple(i for i in entry.items if i.name != "district"))

    assert codes(control, builders.catalog(entries=[without], grants=[filtered])) == [
        "FILTER_INVALID"
    ]


# --- Accounts -------------------------------------------------------------------------------------


def test_a_new_password_ends_the_old_one(control: ControlPlane) -> None:
    old = control.apply(builders.catalog()).passwords[SUBSCRIBER]

    new = control.changes.reissue(SUBSCRIBER)

    with control.store.transaction() as transaction:
        principal = transaction.principals()[SUBSCRIBER]
    assert principal.accepts(new)
    assert not principal.accepts(old)
    assert control.admin.passwords[SUBSCRIBER] == new
