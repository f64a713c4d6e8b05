"""Unit tests of `bus.router.plans`."""

from dataclasses import replace

from bus.adapters.cel.cel_cpp import compile_filter
from bus.domain.policy import Policy
from bus.router.plans import Plans
from bus.views.plan import Upsert
from bus.views.row_filter import FilterCompiler
from tests import builders
from tests.stream_builders import source_value

RESOURCE = builders.resource_policy()
VIEW = builders.view_policy(builders.incarnation(builders.view(items=("code", "name"))))
FILTERED = builders.view_policy(
    builders.incarnation(builders.view(items=("code",), row_filter='district == "east"'))
)


def policy(version: int, *views: object, resource: object = RESOURCE) -> Policy:
    """Return a policy of one resource."""
    return Policy(
        version=version,
        resources={resource.topic: resource},  # type: ignore[attr-defined, dict-item]
        views={each.topic: each for each in views},  # type: ignore[attr-defined, misc]
    )


def counting(found: list[str]) -> FilterCompiler:
    """Return a compiler that notes what it compiles."""

    def compile_(expression: str, types: object) -> object:
        found.append(expression)
        return compile_filter(expression, types)  # type: ignore[arg-type]

    return compile_  # type: ignore[return-value]


def test_a_plan_is_made_once_and_compiled_when_its_first_record_comes() -> None:
    """A router with thousands of quiet resources compiles the others."""
    compiled: list[str] = []
    plans = Plans(counting(compiled))
    record = (0, b"110101", source_value())

    plans.follow(policy(1, FILTERED))
    first = plans.of(RESOURCE.topic)
    second = plans.of(RESOURCE.topic)
    before = list(compiled)
    assert first is not None
    outcomes = first[0].apply(0, [record, record])

    assert first == second
    assert before == []
    assert len(compiled) == 1
    assert [type(each) for each in outcomes] == [Upsert, Upsert]
    assert plans.topics() == {RESOURCE.topic}


def test_a_plan_stays_while_its_resource_and_views_do() -> None:
    plans = Plans(compile_filter)
    plans.follow(policy(1, VIEW))
    first = plans.of(RESOURCE.topic)
    plans.follow(policy(2, VIEW))
    same = plans.of(RESOURCE.topic)
    plans.follow(policy(3, VIEW, FILTERED))
    changed = plans.of(RESOURCE.topic)
    newer = replace(RESOURCE, key_items=("name",))
    plans.follow(policy(4, VIEW, FILTERED, resource=newer))
    keyed = plans.of(RESOURCE.topic)

    assert first is not None
    assert same is not None
    assert changed is not None
    assert keyed is not None
    assert same[0] is first[0]
    assert [each[1] for each in (first, same, changed, keyed)] == [1, 1, 3, 4]
    assert len(changed[0].views) == 2
    assert plans.version == 4


def test_what_is_gone_has_no_plan() -> None:
    plans = Plans(compile_filter)
    plans.follow(policy(1, VIEW))
    schema = RESOURCE.schemas[0].id
    known = plans.knows_schema(schema)
    plans.follow(Policy(version=2))

    assert known
    assert not plans.knows_schema(schema)
    assert plans.of(RESOURCE.topic) is None
