"""Unit tests of `bus.domain.policy`."""

from bus.domain.policy import PolicyHeartbeat, PolicyVersion
from tests import builders


def test_objects_have_keys_of_their_own_on_the_policy_topic() -> None:
    """design.md §4: key = policy object id; compaction keeps the last of each."""
    view = builders.view_policy()

    assert builders.resource_policy().object_id == "resource/cn/divisions"
    assert view.object_id == f"view/{view.topic}"
    assert PolicyVersion(7).object_id == "version"
    assert PolicyHeartbeat(7).object_id == "heartbeat"


def test_the_subject_of_a_view_is_that_of_its_topics_values() -> None:
    view = builders.view_policy()

    assert view.subject == f"{view.topic}-value"


def test_the_views_of_a_resource_are_those_of_its_generation_in_a_fixed_order() -> None:
    """Invariant 2: a view of another generation, resource or jurisdiction gets nothing of this."""
    mine = [
        builders.view_policy(builders.incarnation(builders.view(items=items), number=number))
        for items, number in [(["code"], 2), (["code"], 1), (["code", "name"], 1)]
    ]
    others = [
        builders.view_policy(builders.incarnation(view))
        for view in (
            builders.view(generation=2),
            builders.view(resource="streets"),
            builders.view(jurisdiction="nz"),
        )
    ]

    policy = builders.policy(views=[*others, *mine])

    found = policy.views_of(builders.resource_policy())
    assert {view.topic for view in found} == {view.topic for view in mine}
    assert [view.topic for view in found] == sorted(view.topic for view in mine)


def test_an_empty_policy_has_nothing_to_route() -> None:
    policy = builders.policy(version=0, resources=[], views=[])

    assert policy.views_of(builders.resource_policy()) == ()
