"""Unit tests of `bus.control.registry_routes`: Confluent's registry over the catalog's schemas."""

import json
import sys
import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError
from fastapi.testclient import TestClient
from httpx2 import Response
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bus.control.registry_routes import MAX_SCHEMA_CHARACTERS
from bus.domain.access import OPERATOR
from bus.domain.items import Nullable, Scalar
from tests import builders
from tests.control_http import CONSUMER, PROVIDER, SUBSCRIBER, ControlHTTP

MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"
SUBJECT = f"{builders.entry().source_topic}-value"
SCHEMA = builders.schema_of(builders.entry())
NEWER = replace(
    builders.entry(),
    items=(*builders.entry().items, builders.item("area", Nullable(Scalar.DOUBLE))),
)


@pytest.fixture(scope="module")
def control() -> ControlHTTP:
    """Return the application with a catalog in force, for tests that change nothing."""
    return ControlHTTP()


@pytest.fixture
def changing() -> ControlHTTP:
    """Return the application with a catalog in force that a test may change."""
    return ControlHTTP()


@pytest.fixture
def provider(control: ControlHTTP) -> TestClient:
    """Return a client of the provider, which sees the subject of its source topic."""
    return control.client(PROVIDER)


def view_subject(control: ControlHTTP) -> str:
    """Return the subject of the view that the grant is delivered from."""
    return f"{control.plane.subscription().topic}-value"


def assert_refused(answer: Response, status: int, error_code: int) -> None:
    """Check that an answer is a refusal with one of Confluent's numbers, and with words."""
    assert answer.status_code == status, answer.text
    assert answer.json()["error_code"] == error_code
    assert answer.json()["message"]


# --- Reading --------------------------------------------------------------------------------------


def test_a_schema_is_found_by_its_id_in_confluents_form(provider: TestClient) -> None:
    answer = provider.get("/schemas/ids/1")

    assert answer.status_code == 200
    assert answer.headers["content-type"] == MEDIA_TYPE
    assert answer.json() == {"schema": SCHEMA}


def test_the_bare_text_of_a_schema_can_be_had(provider: TestClient) -> None:
    by_id = provider.get("/schemas/ids/1/schema")
    by_version = provider.get(f"/subjects/{SUBJECT}/versions/1/schema")

    assert by_id.text == by_version.text == SCHEMA


def test_a_schema_tells_which_versions_it_is(provider: TestClient) -> None:
    answer = provider.get("/schemas/ids/1/versions")

    assert answer.json() == [{"subject": SUBJECT, "version": 1}]


@pytest.mark.parametrize("version", ["1", "latest", "-1"])
def test_a_version_is_named_by_its_number_or_as_the_latest(
    provider: TestClient, version: str
) -> None:
    answer = provider.get(f"/subjects/{SUBJECT}/versions/{version}")

    assert answer.json() == {"subject": SUBJECT, "id": 1, "version": 1, "schema": SCHEMA}


def test_a_new_version_of_an_entry_becomes_the_latest(
    changing: ControlHTTP,
) -> None:
    provider = changing.client(PROVIDER)
    changing.apply(builders.catalog(entries=[NEWER]))

    assert provider.get(f"/subjects/{SUBJECT}/versions").json() == [1, 2]
    latest = provider.get(f"/subjects/{SUBJECT}/versions/latest").json()
    assert (latest["version"], latest["schema"]) == (2, builders.schema_of(NEWER))
    assert provider.get(f"/subjects/{SUBJECT}/versions/1").json()["schema"] == SCHEMA
    assert provider.get(f"/schemas/ids/{latest['id']}").json() == {"schema": latest["schema"]}


def test_it_says_what_it_is(provider: TestClient) -> None:
    assert provider.get("/schemas/types").json() == ["AVRO"]
    assert provider.get("/config").json() == {"compatibilityLevel": "BACKWARD_TRANSITIVE"}
    assert provider.get(f"/config/{SUBJECT}").json() == provider.get("/config").json()
    assert provider.get("/mode").json() == {"mode": "READONLY"}


# --- What each principal may see ------------------------------------------------------------------


def test_each_principal_sees_the_subjects_of_its_own_topics(control: ControlHTTP) -> None:
    """R-110: who does not read a topic does not learn what it looks like."""
    view = view_subject(control)

    seen = {
        principal: control.client(principal).get("/subjects").json()
        for principal in (OPERATOR, PROVIDER, CONSUMER, SUBSCRIBER)
    }

    assert seen == {
        OPERATOR: sorted([SUBJECT, view]),
        PROVIDER: [SUBJECT],
        CONSUMER: [],
        SUBSCRIBER: [view],
    }


@pytest.mark.parametrize(
    "path",
    [
        "/subjects/{subject}/versions",
        "/subjects/{subject}/versions/1",
        "/subjects/{subject}/versions/latest/schema",
        "/config/{subject}",
    ],
)
def test_a_subject_of_another_is_as_unknown_as_one_that_is_not_there(
    control: ControlHTTP, path: str
) -> None:
    subscriber = control.client(SUBSCRIBER)

    not_mine = subscriber.get(path.format(subject=SUBJECT))
    not_there = subscriber.get(path.format(subject="nothing"))

    assert_refused(not_mine, 404, 40401)
    assert not_mine.text.replace(SUBJECT, "nothing") == not_there.text


@pytest.mark.parametrize("suffix", ["", "/schema", "/versions"])
def test_a_schema_of_another_is_as_unknown_as_one_that_is_not_there(
    control: ControlHTTP, suffix: str
) -> None:
    subscriber = control.client(SUBSCRIBER)

    not_mine = subscriber.get(f"/schemas/ids/1{suffix}")
    not_there = subscriber.get(f"/schemas/ids/7777{suffix}")

    assert_refused(not_mine, 404, 40403)
    assert not_mine.text.replace("Schema 1 ", "Schema 7777 ") == not_there.text


def test_a_shared_schema_shows_only_the_callers_own_subjects(changing: ControlHTTP) -> None:
    """Equal schemas have one id, whoever uses them."""
    wider = builders.grant(items=["code", "name", "district", "population"])
    other = builders.grant("divisions-others", row_filter='code == "110101"', items=["code"])
    changing.apply(builders.catalog(grants=[wider, other]))
    one = builders.grant("divisions-third", items=["code"])
    changing.apply(builders.catalog(grants=[wider, other, one]))
    mine = changing.plane.subscription("divisions-third").topic
    theirs = changing.plane.subscription("divisions-others").topic
    assert mine != theirs
    subscriber = changing.client("sub-divisions-third")
    number = subscriber.get(f"/subjects/{mine}-value/versions/latest").json()["id"]

    seen = subscriber.get(f"/schemas/ids/{number}/versions").json()
    all_of_them = changing.client(OPERATOR).get(f"/schemas/ids/{number}/versions").json()

    assert seen == [{"subject": f"{mine}-value", "version": 1}]
    assert {each["subject"] for each in all_of_them} == {f"{mine}-value", f"{theirs}-value"}


def test_a_subscriber_whose_grant_has_ended_sees_no_schema_any_more(changing: ControlHTTP) -> None:
    subscriber, subject = changing.client(SUBSCRIBER), view_subject(changing)
    number = subscriber.get(f"/subjects/{subject}/versions/latest").json()["id"]

    changing.apply(builders.catalog(grants=[]))

    assert subscriber.get("/subjects").json() == []
    assert_refused(subscriber.get(f"/subjects/{subject}/versions"), 404, 40401)
    assert_refused(subscriber.get(f"/schemas/ids/{number}"), 404, 40403)


# --- What is not there ----------------------------------------------------------------------------


def test_numbers_that_are_nobodys_are_not_found(provider: TestClient) -> None:
    assert_refused(provider.get(f"/subjects/{SUBJECT}/versions/2"), 404, 40402)
    assert_refused(provider.get("/schemas/ids/2147483648"), 404, 40403)
    assert_refused(provider.get(f"/schemas/ids/{'9' * 40}"), 404, 40403)


@pytest.mark.parametrize(
    "version", ["0", "-2", "one", "1.0", "+1", "²", "2147483648", "9" * 5000], ids=lambda v: v[:12]
)
def test_a_version_that_is_none_is_called_invalid(provider: TestClient, version: str) -> None:
    assert_refused(provider.get(f"/subjects/{SUBJECT}/versions/{version}"), 422, 42202)


def test_a_schema_id_that_is_none_is_called_invalid(provider: TestClient) -> None:
    assert_refused(provider.get("/schemas/ids/one"), 422, 422)
    assert_refused(provider.get("/schemas/ids/0"), 422, 422)


# --- Looking up and registering -------------------------------------------------------------------


def same_but_written_otherwise() -> str:
    """Return a text that says what SCHEMA says, with its members in another order."""
    document = json.loads(SCHEMA)
    return json.dumps(dict(reversed(document.items())), indent=4)


@pytest.mark.parametrize("text", [SCHEMA, same_but_written_otherwise()], ids=["same", "as good as"])
def test_an_equal_schema_has_the_id_it_always_had(provider: TestClient, text: str) -> None:
    body = {"schema": text, "schemaType": "AVRO", "references": []}

    found = provider.post(f"/subjects/{SUBJECT}", json=body)
    registered = provider.post(f"/subjects/{SUBJECT}/versions", json=body)

    assert found.json() == {"subject": SUBJECT, "id": 1, "version": 1, "schema": SCHEMA}
    assert registered.json() == {"id": 1}


def test_any_other_schema_is_sent_to_the_catalog(provider: TestClient) -> None:
    body = {"schema": builders.schema_of(NEWER)}

    answer = provider.post(f"/subjects/{SUBJECT}/versions", json=body)

    assert_refused(answer, 409, 409)
    assert "onesource catalog apply" in answer.json()["message"]
    assert_refused(provider.post(f"/subjects/{SUBJECT}", json=body), 404, 40403)
    assert provider.get(f"/subjects/{SUBJECT}/versions").json() == [1]


def test_registering_under_any_other_subject_is_sent_to_the_catalog_too(
    control: ControlHTTP, provider: TestClient
) -> None:
    """The answer is the same whether there is such a subject or not."""
    body = {"schema": SCHEMA}

    new = provider.post("/subjects/new-value/versions", json=body)
    not_mine = provider.post(f"/subjects/{view_subject(control)}/versions", json=body)

    assert_refused(new, 409, 409)
    assert not_mine.text == new.text
    assert_refused(provider.post("/subjects/new-value", json=body), 404, 40401)
    assert control.client(OPERATOR).get("/subjects").json() == sorted(
        [SUBJECT, view_subject(control)]
    )


@pytest.mark.parametrize(
    "body",
    [
        {"schema": "nonsense"},
        {"schema": "{"},
        {"schema": "[" * 100_000},
        {"schema": SCHEMA, "schemaType": "PROTOBUF"},
        {"schema": "x" * (MAX_SCHEMA_CHARACTERS + 1)},
        {"schema": 1},
        {},
    ],
    ids=["no JSON", "cut off", "too deep", "another type", "too long", "no text", "none"],
)
@pytest.mark.parametrize(
    "path", ["/subjects/{}", "/subjects/{}/versions", "/compatibility/subjects/{}/versions/latest"]
)
def test_what_is_no_schema_is_called_invalid(
    provider: TestClient, body: dict[str, Any], path: str
) -> None:
    answer = provider.post(path.format(SUBJECT), json=body)

    assert_refused(answer, 422, 42201)
    assert len(answer.content) < 1000


# --- Compatibility --------------------------------------------------------------------------------


def compatible(client: TestClient, text: str, version: str = "latest", query: str = "") -> Any:
    """Return what the compatibility test says about a schema."""
    answer = client.post(
        f"/compatibility/subjects/{SUBJECT}/versions/{version}{query}", json={"schema": text}
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_schema_that_reads_what_was_written_is_compatible(provider: TestClient) -> None:
    assert compatible(provider, SCHEMA) == {"is_compatible": True}
    assert compatible(provider, builders.schema_of(NEWER)) == {"is_compatible": True}


def test_a_schema_that_does_not_is_not_and_can_be_asked_why(provider: TestClient) -> None:
    renamed = replace(builders.entry(), items=(*builders.entry().items, builders.item("more")))
    text = builders.schema_of(renamed)

    assert compatible(provider, text) == {"is_compatible": False}
    said = compatible(provider, text, query="?verbose=true")
    assert said["is_compatible"] is False
    assert "more" in " ".join(said["messages"])


def test_compatibility_is_asked_of_a_version_that_is_there(
    changing: ControlHTTP,
) -> None:
    provider = changing.client(PROVIDER)
    changing.apply(builders.catalog(entries=[NEWER]))
    path = f"/compatibility/subjects/{SUBJECT}/versions/{{}}"

    assert compatible(provider, SCHEMA, "1") == {"is_compatible": True}
    assert_refused(provider.post(path.format(3), json={"schema": SCHEMA}), 404, 40402)
    assert_refused(provider.post(path.format("x"), json={"schema": SCHEMA}), 422, 42202)
    stranger = changing.client(SUBSCRIBER)
    assert_refused(stranger.post(path.format(1), json={"schema": SCHEMA}), 404, 40401)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                "type name fields items values symbols size default aliases namespace logicalType "
                "precision scale".split()
            )
            | st.text(max_size=3),
            inner
            | st.sampled_from(["record", "enum", "fixed", "array", "map", "union", "decimal", "R"]),
            max_size=5,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=40)
@given(document=JSON)
@example(document={"type": "record", "name": "R", "fields": [{"name": "a", "type": "R"}]})
def test_whatever_is_sent_as_a_schema_is_answered(control: ControlHTTP, document: Any) -> None:
    """No schema, however odd, is an error inside."""
    client = control.client(PROVIDER)
    with warnings.catch_warnings():
        # The library's advice about logical types that it does not know.
        warnings.simplefilter("ignore")
        answers = [
            client.post(path, json={"schema": json.dumps(document)})
            for path in (
                f"/subjects/{SUBJECT}/versions",
                f"/compatibility/subjects/{SUBJECT}/versions/latest?verbose=true",
            )
        ]

    assert answers[0].status_code in (409, 422)
    assert answers[1].status_code in (200, 422)


def test_a_schema_that_is_nested_too_deeply_to_judge_is_refused(provider: TestClient) -> None:
    # A CEL engine that was imported before may have raised the interpreter's limit.
    levels = sys.getrecursionlimit() * 45 // 100
    text = '{"type":"array","items":' * levels + '"int"' + "}" * levels

    answer = provider.post(f"/compatibility/subjects/{SUBJECT}/versions/1", json={"schema": text})

    assert_refused(answer, 422, 42201)


# --- Confluent's own client -----------------------------------------------------------------------


@pytest.fixture
def confluent(control: ControlHTTP) -> Iterator[SchemaRegistryClient]:
    """Return Confluent's client, logged in as the provider, on a real connection."""
    with control.served() as url:
        account = f"{PROVIDER}:{control.passwords[PROVIDER]}"
        with SchemaRegistryClient({"url": url, "basic.auth.user.info": account}) as client:
            yield client


def test_confluents_client_reads_registers_and_tests_schemas(
    confluent: SchemaRegistryClient,
) -> None:
    latest = confluent.get_latest_version(SUBJECT)
    schema = confluent.get_schema(1)

    assert schema.schema_str == SCHEMA
    assert (latest.schema_id, latest.version, latest.subject) == (1, 1, SUBJECT)
    assert confluent.get_subjects() == [SUBJECT]
    assert confluent.get_versions(SUBJECT) == [1]
    assert confluent.register_schema(SUBJECT, schema) == 1
    assert confluent.lookup_schema(SUBJECT, schema).schema_id == 1
    assert confluent.test_compatibility(SUBJECT, schema) is True


def test_confluents_client_understands_each_refusal(confluent: SchemaRegistryClient) -> None:
    def refusal(*call: Any) -> tuple[int, int]:
        method, *arguments = call
        with pytest.raises(SchemaRegistryError) as caught:
            method(*arguments)
        return caught.value.http_status_code, caught.value.error_code

    other = Schema(builders.schema_of(NEWER), "AVRO")

    assert refusal(confluent.get_versions, "nothing") == (404, 40401)
    assert refusal(confluent.get_version, SUBJECT, 9) == (404, 40402)
    assert refusal(confluent.get_schema, 7777) == (404, 40403)
    assert refusal(confluent.register_schema, SUBJECT, other) == (409, 409)
    assert refusal(confluent.delete_subject, SUBJECT) == (405, 405)
