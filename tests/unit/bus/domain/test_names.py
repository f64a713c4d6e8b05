"""Unit tests of `bus.domain.names`."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.domain import names

#: What Kafka allows in a topic name (`org.apache.kafka.common.internals.Topic`).
_KAFKA_NAME = re.compile(r"[a-zA-Z0-9._-]{1,249}")

CODES = st.from_regex(names.CODE_PATTERN, fullmatch=True).filter(
    lambda code: len(code) <= names.CODE_MAX_LENGTH
)


@pytest.mark.parametrize("text", ["a", "stats-bureau", "a1-2-b", "x" * 48])
def test_lower_case_words_joined_by_hyphens_are_a_code(text: str) -> None:
    assert names.is_code(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "A",
        "1a",
        "a_b",
        "a.b",
        "a-",
        "-a",
        "a--b",
        "统计局",
        "a b",
        "a\n",
        "x" * 49,
    ],
)
def test_nothing_else_is_a_code(text: str) -> None:
    assert not names.is_code(text)


@pytest.mark.parametrize("text", ["code", "areaCode", "Area_Code2", "metadata", "x" * 48])
def test_an_avro_name_is_an_item_name(text: str) -> None:
    assert names.is_item_name(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "_x",
        "1x",
        "a-b",
        "a.b",
        "名称",
        "x" * 49,
        "meta",
        "os_position",
        "in",
        "null",
        "timestamp\n",
        *sorted(names.CEL_RESERVED),
    ],
)
def test_a_name_that_avro_cel_or_the_bus_needs_is_no_item_name(text: str) -> None:
    assert not names.is_item_name(text)


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("A", True),
        ("_a1", True),
        ("x" * 128, True),
        ("", False),
        ("1a", False),
        ("a-b", False),
        ("x" * 129, False),
        ("甲", False),
    ],
)
def test_an_enum_symbol_is_an_avro_name(text: str, *, allowed: bool) -> None:
    assert names.is_symbol(text) is allowed


def test_topics_are_named_as_the_design_says() -> None:
    """design.md §4: the table of topics."""
    assert names.source_topic("cn", "stats", "divisions", 3) == "os.src.cn.stats.divisions.3"
    assert names.view_topic("cn", "divisions", "abc", 2) == "os.view.cn.divisions.abc.2"
    assert names.dead_letter_topic("cn", "divisions") == "os.dlq.cn.divisions"
    assert names.value_subject("os.policy") == "os.policy-value"


def test_principals_own_groups_under_a_prefix_of_their_own() -> None:
    """design.md §9: one principal a subscription, ACLs on its group prefix."""
    assert names.provider_principal("stats") == "org-stats"
    assert names.subscription_principal("divisions-housing") == "sub-divisions-housing"
    assert names.group_prefix("sub-divisions-housing") == "os.sub-divisions-housing."


@given(CODES, CODES, CODES, st.integers(1, 1 << 31))
def test_topics_of_any_codes_are_names_that_kafka_takes(
    jurisdiction: str, provider: str, resource: str, number: int
) -> None:
    topics = [
        names.source_topic(jurisdiction, provider, resource, number),
        names.view_topic(jurisdiction, resource, "abcdefghijkl", number),
        names.dead_letter_topic(jurisdiction, resource),
    ]

    assert all(_KAFKA_NAME.fullmatch(topic) for topic in topics)


@given(CODES, CODES)
def test_no_group_prefix_begins_another_principals(one: str, other: str) -> None:
    """design.md §10: a rule on a prefix must not reach into a neighbour's groups."""
    first, second = (names.subscription_principal(each) for each in (one, other))

    reaches = names.group_prefix(second).startswith(names.group_prefix(first))

    assert reaches is (one == other)
