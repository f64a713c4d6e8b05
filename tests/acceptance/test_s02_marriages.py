"""S-02 Marriage registration, partial approval and overdue (profile 004, five working days)."""

from typing import Any

import pytest

from bus.domain.identity import Role
from tests.acceptance.government import Desk, Government
from tests.acceptance.resources import conditional, entry, record
from tests.live_platform import wait_until

ITEMS = [
    "reg_no",
    "party_a_id",
    "party_a_name",
    "party_b_id",
    "party_b_name",
    "kind",
    "event_date",
]
APPROVED = ["reg_no", "kind", "event_date", "party_a_id", "party_a_name"]
DECISION: dict[str, Any] = {
    "items": APPROVED,
    "purpose": "DATA_VERIFICATION",
    "valid_from": "2019-10-08",
    "valid_until": "2020-10-07",
}


class Marriages:
    """Civil affairs, the real-estate centre, and a request between them."""

    def __init__(self, state: Government) -> None:
        self.state = state
        state.jurisdiction("yj-mar", "yanjin-2019", level="county")
        self.civil: Desk = state.organisation("yj-mar", "civil-affairs", "county_department")
        self.centre: Desk = state.organisation("yj-mar", "estate-centre", "county_department")
        self.bureau: Desk = state.organisation(
            "yj-mar", "data-bureau", "county_department", roles=(Role.AUTHORITY,)
        )
        self.operator: Desk = state.organisation(
            "yj-mar", "contractor", "county_department", roles=(Role.OPERATOR,)
        )
        self.mar = entry(
            "yj-mar", "civil-affairs", dict.fromkeys(ITEMS, "all"), {"all": conditional()}
        )
        state.clock.set(2019, 9, 20)
        married = record(self.mar, "m1", "a1", "A", "b1", "B", "marriage", "2019-09-01")
        state.publish(self.civil, "yj-mar", self.mar, married)

    def ask(self) -> str:
        """Request everything for data verification, on 25 September at 16:40."""
        self.state.clock.set(2019, 9, 25, 16, 40)
        asked = self.centre.post(
            "/requests",
            {
                "resource": "yj-mar",
                "items": ITEMS,
                "purpose": "DATA_VERIFICATION",
                "duty": "real-estate registration",
            },
        ).ok()
        assert asked["state"] == "PENDING"
        assert asked["due"]["day"] == "2019-10-08"
        assert asked["due"]["provisional"] is False
        request_id: str = asked["id"]
        return request_id

    def state_of(self, request: str) -> str:
        """Return the state of a request, as the consumer sees it."""
        found: str = self.centre.get(f"/requests/{request}").ok()["state"]
        return found


@pytest.fixture(scope="module")
def marriages(state: Government) -> Marriages:
    """Return the departments."""
    return Marriages(state)


def test_a_partial_approval_is_delivered_exactly(state: Government, marriages: Marriages) -> None:
    """S-02.1 to S-02.5: R-082, R-083, R-084, R-085, R-090, R-058."""
    request = marriages.ask()

    refused = marriages.civil.post(f"/requests/{request}/refuse", {"text": ""})
    assert (refused.status, refused.code) == (422, "REASON_REQUIRED")
    refused = marriages.civil.post(f"/requests/{request}/refuse", {"text": "inconvenient"})
    assert refused.code == "REASON_NOT_SPECIFIC"
    assert marriages.state_of(request) == "PENDING"

    state.clock.set(2019, 10, 8, 11)
    approved = marriages.civil.post(f"/requests/{request}/approve", DECISION).ok()
    assert approved["state"] == "AUTHORISED"
    assert approved["grant"] is None
    activated = marriages.operator.post(f"/requests/{request}/activate").ok()
    assert activated["state"] == "FULFILLED"

    inbox = state.subscriber(activated)
    inbox.wait("m1", kind="marriage")
    with state.publisher("yj-mar", "civil-affairs") as publisher:
        publisher.upsert(record(marriages.mar, "m1", "a1", "A", "b1", "B", "divorce", "2019-10-08"))
    inbox.wait("m1", kind="divorce")
    records = [change.record for change in inbox.upserts() if change.record is not None]
    assert [each["kind"] for each in records] == ["marriage", "divorce"]
    assert {frozenset(each) for each in records} == {frozenset(APPROVED)}
    inbox.close()


def test_silence_makes_a_request_overdue_and_nothing_else(
    state: Government, marriages: Marriages
) -> None:
    """S-02.6: R-088; the request stays to be decided."""
    request = marriages.ask()
    state.clock.set(2019, 10, 8, 23, 59)
    assert marriages.state_of(request) == "PENDING"

    state.clock.set(2019, 10, 9, 0, 0)
    wait_until(lambda: marriages.state_of(request) == "OVERDUE", "the request is overdue")

    assert marriages.centre.get(f"/requests/{request}").ok()["grant"] is None
    late = marriages.civil.post(f"/requests/{request}/approve", DECISION).ok()
    assert late["state"] == "AUTHORISED"


def test_an_operator_cannot_approve(marriages: Marriages) -> None:
    """S-02.7: R-005."""
    request = marriages.ask()

    refused = marriages.operator.post(f"/requests/{request}/approve", DECISION)

    assert (refused.status, refused.code) == (403, "FORBIDDEN_ROLE")
    assert marriages.state_of(request) == "PENDING"
