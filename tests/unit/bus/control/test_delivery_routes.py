"""Unit tests of `bus.control.delivery_routes`: what publishers and subscribers are told."""

from dataclasses import replace

import pytest

from bus.domain.access import OPERATOR
from bus.domain.grant import GrantState
from bus.domain.share import Scope, ShareClass
from bus.domain.topics import REPLAY_WINDOW_DAYS
from bus.domain.view import Treatment
from consumers.descriptor import Descriptor
from producers.publication import Publication
from tests import builders
from tests.control_http import CONSUMER, PROVIDER, SUBSCRIBER, ControlHTTP

SUBSCRIPTION = f"/v1/subscriptions/{builders.GRANT}"
PUBLICATION = f"/v1/publications/{builders.RESOURCE}"


@pytest.fixture
def control() -> ControlHTTP:
    """Return the application with a catalog in force."""
    return ControlHTTP()


def test_a_subscriber_is_told_where_and_under_which_grant_it_receives(
    control: ControlHTTP,
) -> None:
    """R-123: grant, purpose, class, source and entry version belong to what is delivered."""
    control.fill()
    incarnation = control.plane.incarnation_of()

    told = control.client(SUBSCRIBER).get(SUBSCRIPTION).json()

    assert told == {
        "id": "divisions-housing",
        "state": "LIVE",
        "grant": {
            "id": "divisions-housing",
            "version": 1,
            "state": "ACTIVE",
            "valid_from": "2026-01-01",
            "valid_until": "2026-12-31",
        },
        "purpose": builders.grant().purpose,
        "class": ShareClass.UNCONDITIONAL,
        "consumer": "housing",
        "mode": builders.grant().mode,
        "resource": {
            "code": "divisions",
            "jurisdiction": "cn",
            "provider": "statistics",
            "entry_version": 1,
            "titles": {"zh": "区划", "en": "Divisions"},
        },
        "items": [
            {
                "name": name,
                "titles": {"zh": f"数据项 {name}", "en": f"Item {name}"},
                "key": name == "code",
                "treatment": Treatment.KEEP,
            }
            for name in ("code", "name")
        ],
        "view": incarnation.view.id,
        "incarnation": 1,
        "topic": incarnation.topic,
        "partitions": 1,
        "subject": f"{incarnation.topic}-value",
        "principal": SUBSCRIBER,
        "group_prefix": control.plane.subscription().group_prefix,
        "fill_end": {"0": 42},
        "replay_window_days": REPLAY_WINDOW_DAYS,
    }


def test_the_sdk_understands_what_it_is_told(control: ControlHTTP) -> None:
    control.fill()

    subscription = Descriptor.from_json(control.client(SUBSCRIBER).get(SUBSCRIPTION).json())
    publication = Publication.from_descriptor(control.client(PROVIDER).get(PUBLICATION).json())

    assert subscription.topic == control.plane.subscription().topic
    assert subscription.fill_end == {0: 42}
    assert publication.topic == builders.entry().source_topic
    assert publication.schema == builders.schema_of(builders.entry())


def test_a_view_that_is_not_filled_has_no_end_yet(control: ControlHTTP) -> None:
    told = control.client(SUBSCRIBER).get(SUBSCRIPTION).json()

    assert told["state"] == "SNAPSHOTTING"
    assert told["fill_end"] is None


def test_a_revoked_subscription_says_that_it_is_over(control: ControlHTTP) -> None:
    subscriber = control.client(SUBSCRIBER)
    control.apply(builders.catalog(grants=[]))

    told = subscriber.get(SUBSCRIPTION).json()

    assert told["state"] == "ENDED"
    assert told["grant"]["state"] == GrantState.REVOKED


def test_a_changed_grant_is_told_with_its_new_version_and_view(control: ControlHTTP) -> None:
    before = control.client(SUBSCRIBER).get(SUBSCRIPTION).json()
    control.apply(builders.catalog(grants=[builders.grant(items=["code"])]))

    after = control.client(SUBSCRIBER).get(SUBSCRIPTION).json()

    assert after["grant"]["version"] == 2
    assert [each["name"] for each in after["items"]] == ["code"]
    assert after["view"] != before["view"]
    assert after["topic"] != before["topic"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["code"], ShareClass.UNCONDITIONAL),
        (["code", "name"], ShareClass.CONDITIONAL),
    ],
    ids=["open items only", "one conditional item"],
)
def test_the_class_is_the_strictest_of_the_items_that_are_given(
    control: ControlHTTP, given: list[str], expected: ShareClass
) -> None:
    """An item that the view omits does not make the rest stricter."""
    entry = builders.entry(
        groups=[
            builders.item_group("open"),
            builders.item_group("closed", internal=builders.conditional()),
        ],
        items=[builders.key_item("code", group="open"), builders.item("name", group="closed")],
        generation=2,
    )
    grant = builders.grant(items=given, scope=Scope.INTERNAL, decided_by=entry.provider)
    control.apply(builders.catalog(entries=[entry], grants=[grant]))

    told = control.client(SUBSCRIBER).get(SUBSCRIPTION).json()

    assert told["class"] == expected


def test_a_provider_is_told_where_and_how_to_publish(control: ControlHTTP) -> None:
    entry = builders.entry()

    told = control.client(PROVIDER).get(PUBLICATION).json()

    assert told == {
        "resource": "divisions",
        "jurisdiction": "cn",
        "provider": "statistics",
        "principal": PROVIDER,
        "entry_version": 1,
        "generation": 1,
        "topic": entry.source_topic,
        "partitions": 1,
        "dead_letter_topic": entry.dead_letter_topic,
        "key_items": ["code"],
        "schema_id": 1,
        "schema": builders.schema_of(entry),
        "subject": f"{entry.source_topic}-value",
    }


def test_nobody_publishes_to_a_retired_resource(control: ControlHTTP) -> None:
    provider = control.client(PROVIDER)
    control.apply(builders.catalog(entries=[], grants=[]))

    assert provider.get(PUBLICATION).status_code == 404


@pytest.mark.parametrize(
    ("path", "allowed"),
    [(SUBSCRIPTION, {OPERATOR, SUBSCRIBER}), (PUBLICATION, {OPERATOR, PROVIDER})],
    ids=["subscription", "publication"],
)
def test_only_its_owner_and_operators_see_a_descriptor(
    control: ControlHTTP, path: str, allowed: set[str]
) -> None:
    """To all others it is as if it did not exist."""
    for principal in (OPERATOR, PROVIDER, CONSUMER, SUBSCRIBER):
        client = control.client(principal)
        answer = client.get(path)
        if principal in allowed:
            assert answer.status_code == 200
            continue
        kind, _, name = path.removeprefix("/v1/").partition("/")
        not_there = client.get(f"/v1/{kind}/nothing")
        assert answer.status_code == 404
        assert answer.json()["code"] == "NOT_FOUND"
        assert answer.text.replace(name, "nothing") == not_there.text


def test_another_subscriber_of_the_same_view_sees_its_own_descriptor_only(
    control: ControlHTTP,
) -> None:
    second = builders.grant("divisions-second")
    control.apply(builders.catalog(grants=[builders.grant(), second]))
    client = control.client("sub-divisions-second")

    assert client.get("/v1/subscriptions/divisions-second").status_code == 200
    assert client.get(SUBSCRIPTION).status_code == 404


def test_who_knows_the_newest_state_gets_no_body_again(control: ControlHTTP) -> None:
    subscriber = control.client(SUBSCRIBER)
    first = subscriber.get(SUBSCRIPTION)

    again = subscriber.get(SUBSCRIPTION, headers={"If-None-Match": first.headers["etag"]})
    control.fill()
    changed = subscriber.get(SUBSCRIPTION, headers={"If-None-Match": first.headers["etag"]})

    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    assert changed.status_code == 200
    assert changed.headers["etag"] != first.headers["etag"]


def test_a_new_entry_version_changes_the_tag_of_its_publication(control: ControlHTTP) -> None:
    provider = control.client(PROVIDER)
    tag = provider.get(PUBLICATION).headers["etag"]
    control.apply(builders.catalog(entries=[replace(builders.entry(), title_en="Other")]))

    assert provider.get(PUBLICATION, headers={"If-None-Match": tag}).status_code == 200
