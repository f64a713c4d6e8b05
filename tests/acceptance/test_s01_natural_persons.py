"""S-01 Natural person base items, real-time push (profile 004)."""

import pytest

from tests.acceptance.government import Government
from tests.acceptance.resources import UNCONDITIONAL, conditional, entry, record
from tests.live_platform import wait_until

BASE = ["person_id", "name", "sex", "birth_date", "household_address", "life_status"]


def test_base_items_are_pushed_without_a_decision_and_without_the_phone(
    state: Government,
) -> None:
    """S-01.1 to S-01.5: R-029, R-060, R-081, R-112, R-114, R-116, R-117, R-123."""
    state.clock.set(2019, 3, 4)
    state.jurisdiction("yj-one", "yanjin-2019")
    police = state.organisation("yj-one", "yj-one-police", "county_department")
    housing = state.organisation("yj-one", "yj-one-housing", "county_department")
    pop = entry(
        "yj-pop",
        "yj-one-police",
        {**dict.fromkeys(BASE, "base"), "phone": "business"},
        {"base": UNCONDITIONAL, "business": conditional()},
        base_library="population",
        category="base",
    )
    people = [record(pop, f"p{number}", f"name {number}", "f") for number in range(3)]
    state.publish(police, "yj-one", pop, *people)

    found = housing.get("/catalog/search", q="yj-pop").ok()["items"]
    assert [each["id"] for each in found] == ["yj-pop"]
    answer = housing.post(
        "/requests",
        {"resource": "yj-pop", "purpose": "BUSINESS_COLLABORATION", "duty": "housing aid"},
    ).ok()

    assert answer["state"] == "GRANTED_DIRECT"
    inbox = state.subscriber(answer)
    wait_until(lambda: len(inbox.rows()) == 3, "the snapshot of three records")
    assert all("phone" not in row for row in inbox.rows().values())

    before = len(inbox.upserts())
    with state.publisher("yj-pop", "yj-one-police") as publisher:
        died = {**people[0], "life_status": "deceased"}
        publisher.upsert(died)
    inbox.wait("p0", life_status="deceased")
    (change,) = inbox.upserts()[before:]
    assert change.meta is not None
    assert change.meta.source == "yj-one-police"
    assert change.meta.entry_version == 1
    assert change.subscription.grant == answer["grant"]

    refused = housing.post(f"/grants/{answer['grant']}/widen", {"items": ["phone"]})
    assert refused.code == "REQUIRES_REQUEST"
    assert "phone" in refused.body["detail"]
    with state.publisher("yj-pop", "yj-one-police") as publisher:
        publisher.upsert({**people[1], "life_status": "alive"})
    inbox.wait("p1", life_status="alive")
    inbox.close()


@pytest.mark.xfail(strict=True, reason="the bus does not compose a resource of two providers yet")
def test_the_phone_comes_from_health(state: Government) -> None:
    """S-01.1: the business item of another organisation is part of the same resource (R-060)."""
    state.jurisdiction("yj-two", "yanjin-2019")
    state.organisation("yj-two", "yj-two-police", "county_department")
    health = state.organisation("yj-two", "yj-two-health", "county_department")
    pop = entry("yj-pop-2", "yj-two-police", {"person_id": "base"}, {"base": UNCONDITIONAL})
    contributed = {**pop, "contributors": {"phone": "yj-two-health"}}

    health.post("/entries", {"jurisdiction": "yj-two", "entry": contributed}).ok()


def test_base_items_cannot_be_conditional(state: Government) -> None:
    """S-01.6: R-059."""
    state.jurisdiction("yj-three", "yanjin-2019")
    police = state.organisation("yj-three", "yj-three-police", "county_department")
    pop = entry(
        "yj-pop-3",
        "yj-three-police",
        dict.fromkeys(BASE, "base"),
        {"base": conditional()},
        base_library="population",
    )
    police.post("/entries", {"jurisdiction": "yj-three", "entry": pop}).ok()

    refused = police.post("/entries/yj-pop-3/submit")

    assert refused.code == "FORCED_CLASS_VIOLATION"
    assert police.get("/entries/yj-pop-3").ok()["state"] == "DRAFT"
