"""Unit tests of `bus.services.data_plane`: incarnations, subscriptions and policy of a catalog."""

from dataclasses import replace

import pytest

from bus.domain.avro_schema import view_schema
from bus.domain.catalog import Catalog
from bus.domain.entry import CatalogEntry
from bus.domain.grant import Grant
from bus.domain.items import Nullable, Scalar
from bus.domain.policy import ResourcePolicy, ViewPolicy
from bus.domain.pseudonyms import PseudonymKey
from bus.domain.view import Treatment
from bus.errors import Refused
from bus.services import data_plane
from bus.services.data_plane import refresh
from tests import builders
from tests.stream_builders import ControlPlane

OTHER = "divisions-other"


@pytest.fixture
def control() -> ControlPlane:
    """Return a control plane in which one grant of code and name is in force, its view live."""
    made = ControlPlane()
    made.apply(builders.catalog())
    live(made, made.subscription().topic)
    return made


def live(control: ControlPlane, topic: str) -> None:
    """Let an incarnation be filled."""
    control.changes.mark_live({topic: {0: 10}})


def give(control: ControlPlane, *grants: Grant, entry: CatalogEntry | None = None) -> None:
    """Put a catalog with exactly these grants into force."""
    control.apply(builders.catalog(entries=[entry or builders.entry()], grants=grants))


def readable(control: ControlPlane, grant: str = builders.GRANT) -> set[str]:
    """Return the topics that a subscriber may read."""
    return control.readable(f"sub-{grant}")


def schema_text(control: ControlPlane, schema_id: int) -> str:
    """Return the text of a schema by its id."""
    return control.store.state.schemas[schema_id - 1]


def view_of(control: ControlPlane, grant: str = builders.GRANT) -> ViewPolicy:
    """Return what the policy says of the view that a grant is delivered from."""
    found = control.objects()[f"view/{control.subscription(grant).topic}"]
    assert isinstance(found, ViewPolicy)
    return found


# --- Giving and sharing ---------------------------------------------------------------------------


def test_a_grant_is_delivered_from_an_incarnation_of_its_view(control: ControlPlane) -> None:
    incarnation = control.incarnation_of()

    assert incarnation.view == builders.view()
    assert incarnation.topic == f"os.view.cn.divisions.{builders.view().id}.1"
    assert incarnation.fill_end == {0: 10}
    assert control.subscription() == builders.subscription(topic=incarnation.topic)


def test_grants_with_equal_views_share_one_incarnation(control: ControlPlane) -> None:
    """The bus writes once a view, not once a subscriber (design.md §5)."""
    give(control, builders.grant(), builders.grant(OTHER))

    assert control.subscription().topic == control.subscription(OTHER).topic
    assert len(control.incarnations()) == 1
    assert readable(control) == readable(control, OTHER)


PSEUDONYMOUS = {"code": Treatment.KEEP, "name": Treatment.HMAC}


def pseudonymous(*, version: int = 1) -> Catalog:
    """Return a catalog with equal grants of pseudonyms: two of housing, one of tourism."""
    return builders.catalog(
        organisations=[
            builders.organisation(builders.PROVIDER),
            replace(builders.organisation(builders.CONSUMER), pseudonym_key=version),
            builders.organisation("tourism"),
        ],
        grants=[
            builders.grant(treatments=PSEUDONYMOUS),
            builders.grant(OTHER, treatments=PSEUDONYMOUS),
            builders.grant("theirs", consumer="tourism", treatments=PSEUDONYMOUS),
        ],
    )


def test_equal_grants_with_pseudonyms_share_a_view_within_an_organisation_only(
    control: ControlPlane,
) -> None:
    """docs/adr/0024: an organisation joins what it is given, and cannot compare with another."""
    control.apply(pseudonymous())

    assert view_of(control).view.pseudonyms_for == PseudonymKey("housing", 1)
    assert view_of(control, "theirs").view.pseudonyms_for == PseudonymKey("tourism", 1)
    assert readable(control) == readable(control, OTHER)
    assert readable(control) & readable(control, "theirs") == set()


def test_a_new_key_moves_its_organisation_to_a_new_view_at_once(control: ControlPlane) -> None:
    """The old pseudonyms are cut; nobody else's view changes."""
    control.apply(pseudonymous())
    live(control, control.subscription().topic)
    old, theirs = readable(control), control.subscription("theirs").topic

    control.apply(pseudonymous(version=2))

    assert view_of(control).view.pseudonyms_for == PseudonymKey("housing", 2)
    assert readable(control) & old == set()
    assert control.subscription("theirs").topic == theirs


def test_white_space_and_order_make_no_other_view(control: ControlPlane) -> None:
    first = builders.grant(row_filter='district == "1101"', items=("code", "name"))
    second = builders.grant(OTHER, row_filter='  district == "1101"\n', items=("name", "code"))

    give(control, first, second)

    assert control.subscription().topic == control.subscription(OTHER).topic


def test_grants_with_different_views_have_topics_of_their_own(control: ControlPlane) -> None:
    give(control, builders.grant(), builders.grant(OTHER, items=("code",)))

    assert readable(control) & readable(control, OTHER) == set()
    assert len(control.incarnations()) == 2


def test_a_shared_view_goes_on_while_one_grant_uses_it(control: ControlPlane) -> None:
    give(control, builders.grant(), builders.grant(OTHER))
    topic = control.subscription().topic

    give(control, builders.grant(OTHER))
    after_one = set(control.incarnations())
    give(control)

    assert after_one == {topic}
    assert control.incarnations() == {}


def test_an_equal_view_that_is_given_again_is_a_new_incarnation_with_a_new_topic(
    control: ControlPlane,
) -> None:
    """A topic name is never used again (design.md §5)."""
    first = control.subscription().topic
    give(control)

    give(control, builders.grant(OTHER))

    second = control.incarnation_of(OTHER)
    assert second.number == 2
    assert second.topic != first
    assert not second.live
    assert readable(control, OTHER) == {second.topic}


# --- How much there can be ------------------------------------------------------------------------


def test_no_more_resources_are_published_than_a_router_can_follow(
    control: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_plane, "MAX_RESOURCES", 1)
    before = control.objects()
    second = builders.entry(OTHER)

    with pytest.raises(Refused, match="2 resources") as refusal:
        control.apply(builders.catalog(entries=[builders.entry(), second]))

    assert refusal.value.code == "CATALOG_FULL"
    assert control.objects() == before


def test_a_full_catalog_still_changes(
    control: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_plane, "MAX_RESOURCES", 1)

    give(control, builders.grant(), builders.grant(OTHER))

    assert control.subscription().topic == control.subscription(OTHER).topic


# --- Narrowing ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "narrower",
    [
        builders.grant(items=("code",)),
        builders.grant(row_filter='district == "1101"'),
        builders.grant(items=("code", "district")),
    ],
    ids=["an item less", "rows less", "another item instead"],
)
def test_a_narrower_grant_cuts_the_old_access_and_moves_at_once(
    control: ControlPlane, narrower: Grant
) -> None:
    """Invariant 2: the old view is not waited on for as much as a second."""
    old = control.subscription().topic

    give(control, narrower)

    moved = control.subscription()
    assert moved.topic != old
    assert moved.next_topic is None
    assert readable(control) == {moved.topic}
    assert set(control.incarnations()) == {moved.topic}


def test_a_filter_that_differs_in_text_counts_as_narrower(control: ControlPlane) -> None:
    give(control, builders.grant(row_filter='district == "1101"'))
    old = control.subscription().topic
    live(control, old)

    give(control, builders.grant(row_filter='district == "1101" || true'))

    assert old not in control.subscription().topics()


def test_narrowing_one_of_two_grants_leaves_the_other_one_where_it_is(
    control: ControlPlane,
) -> None:
    give(control, builders.grant(), builders.grant(OTHER))
    shared = control.subscription().topic

    give(control, builders.grant(items=("code",)), builders.grant(OTHER))

    assert readable(control, OTHER) == {shared}
    assert shared not in readable(control)
    assert control.incarnations()[shared].live


# --- Widening -------------------------------------------------------------------------------------

WIDER = builders.grant(items=("code", "name", "district"))


def test_a_wider_grant_stays_on_the_old_view_until_the_new_one_is_live(
    control: ControlPlane,
) -> None:
    old = control.subscription().topic

    give(control, WIDER)
    waiting = control.subscription()
    both = readable(control)
    new = waiting.next_topic or ""
    live(control, new)

    assert (waiting.topic, both) == (old, {old, new})
    assert control.subscription() == builders.subscription(topic=new)
    assert readable(control) == {new}
    assert set(control.incarnations()) == {new}


def test_all_rows_instead_of_some_is_wider(control: ControlPlane) -> None:
    give(control, builders.grant(row_filter='district == "1101"'))
    old = control.subscription().topic

    give(control, builders.grant())

    assert control.subscription().topic == old
    assert control.subscription().next_topic is not None


def test_a_wider_view_that_is_live_already_is_not_waited_for(control: ControlPlane) -> None:
    give(control, builders.grant(), replace(WIDER, id=OTHER))
    live(control, control.subscription(OTHER).topic)

    give(control, WIDER, replace(WIDER, id=OTHER))

    assert control.subscription().topic == control.subscription(OTHER).topic
    assert control.subscription().next_topic is None


def test_a_widening_that_is_taken_back_ends_the_view_that_was_being_filled(
    control: ControlPlane,
) -> None:
    old = control.subscription().topic
    give(control, WIDER)
    half_filled = control.subscription().next_topic

    give(control, builders.grant())

    assert control.subscription() == builders.subscription(topic=old)
    assert half_filled not in control.incarnations()
    assert readable(control) == {old}


def test_a_widening_that_is_widened_again_waits_on_the_first_view(control: ControlPlane) -> None:
    old = control.subscription().topic
    give(control, WIDER)
    first_try = control.subscription().next_topic
    widest = builders.grant(items=("code", "name", "district", "population"))

    give(control, widest)

    assert control.subscription().topic == old
    assert control.subscription().next_topic not in {None, first_try}
    assert first_try not in control.incarnations()


def test_a_grant_that_is_revoked_while_it_waits_loses_both_views(control: ControlPlane) -> None:
    give(control, WIDER)

    give(control)

    assert readable(control) == set()
    assert control.incarnations() == {}
    ended = control.subscription()
    assert ended.ended
    assert ended.next_topic is None
    assert ended.topics() == ()


# --- Entry versions -------------------------------------------------------------------------------


def test_a_new_item_of_an_entry_reaches_no_existing_view(control: ControlPlane) -> None:
    """Invariant 2, field-notes B9.14: default deny."""
    before = control.subscription()
    entry = builders.entry()
    secret = builders.item("secret", Nullable(Scalar.STRING))
    newer = replace(entry, items=(*entry.items[:1], secret, *entry.items[1:]))

    give(control, builders.grant(), entry=newer)

    view = view_of(control)
    resource = control.objects()[f"resource/{builders.JURISDICTION}/{builders.RESOURCE}"]
    assert isinstance(resource, ResourcePolicy)
    assert control.subscription() == before
    assert view.view == builders.view()
    assert len(resource.schemas) == 2
    for writer in resource.schemas:
        projected = schema_text(control, view.projections[writer.id])
        assert projected == view_schema(writer.text, {"code", "name"})
        assert "secret" not in projected


def test_every_writer_schema_has_its_own_projection(control: ControlPlane) -> None:
    entry = builders.entry()
    items = [replace(i, type=Nullable(i.type)) if i.name == "name" else i for i in entry.items]

    give(control, builders.grant(), entry=replace(entry, items=tuple(items)))

    view = view_of(control)
    assert len(view.projections) == 2
    assert len(set(view.projections.values())) == 2
    subject = control.store.state.subjects[view.subject]
    assert sorted(subject) == sorted(view.projections.values())


def test_projections_that_are_equal_share_a_schema(control: ControlPlane) -> None:
    entry = builders.entry()
    newer = replace(entry, items=(*entry.items, builders.item("x", Nullable(Scalar.INT))))

    give(control, builders.grant(), entry=newer)

    assert len(view_of(control).projections) == 2
    assert len(set(view_of(control).projections.values())) == 1


def test_a_change_of_the_entry_that_no_record_shows_changes_no_policy_of_views(
    control: ControlPlane,
) -> None:
    before = control.store.state.policy[f"view/{control.subscription().topic}"]

    give(control, builders.grant(), entry=builders.entry(update_limit_days=7))

    assert control.store.state.policy[f"view/{control.subscription().topic}"] == before


# --- The policy -----------------------------------------------------------------------------------


def test_the_policy_says_what_the_router_must_know_of_a_resource(control: ControlPlane) -> None:
    found = control.objects()["resource/cn/divisions"]

    assert found == builders.resource_policy()


def test_the_policy_holds_the_views_in_force_and_no_others(control: ControlPlane) -> None:
    give(control, builders.grant(), builders.grant(OTHER, items=("code",)))
    topics = set(control.incarnations())
    with_two = {each for each in control.objects() if each.startswith("view/")}
    give(control)

    assert with_two == {f"view/{topic}" for topic in topics}
    assert set(control.objects()) == {"resource/cn/divisions"}


def test_a_version_holds_only_what_has_changed(control: ControlPlane) -> None:
    control.outbox.mark_published(control.outbox.newest_version())
    old = control.subscription().topic

    give(control, builders.grant(items=("code",)))

    rows = {row.key: row.value for row in control.outbox.next_version()}
    assert set(rows) == {f"view/{old}", f"view/{control.subscription().topic}"}
    assert rows[f"view/{old}"] is None


def test_the_objects_of_the_policy_are_the_same_bytes_after_a_reload(
    control: ControlPlane,
) -> None:
    """Otherwise each start would publish a version that changes nothing."""
    give(control, builders.grant(row_filter='district == "1101"'), builders.grant(OTHER))
    stored = dict(control.store.state.policy)

    reloaded = {
        object_id: control.codec.encode(control.codec.decode(value))
        for object_id, value in stored.items()
    }
    with control.store.transaction() as transaction:
        again = refresh(transaction, control.codec, control.clock)

    assert reloaded == stored
    assert again.policy_version is None


def test_what_is_published_is_what_is_stored(control: ControlPlane) -> None:
    give(control, builders.grant(), builders.grant(OTHER, items=("code",)))
    control.relay().step()

    policy = control.policy()

    objects = control.objects().values()
    assert policy.version == control.outbox.newest_version()
    assert set(policy.resources.values()) == {e for e in objects if isinstance(e, ResourcePolicy)}
    assert policy.views == {e.topic: e for e in objects if isinstance(e, ViewPolicy)}


def test_a_refresh_names_all_topics_that_must_exist(control: ControlPlane) -> None:
    give(control, WIDER)

    with control.store.transaction() as transaction:
        refreshed = refresh(transaction, control.codec, control.clock)

    entry = builders.entry()
    specs = {spec.name: spec for spec in refreshed.topics}
    assert set(specs) == {
        entry.source_topic,
        entry.dead_letter_topic,
        *control.subscription().topics(),
    }
    assert specs[entry.source_topic].config["message.timestamp.type"] == "LogAppendTime"
    assert specs[control.subscription().topic].config["cleanup.policy"] == "compact"
