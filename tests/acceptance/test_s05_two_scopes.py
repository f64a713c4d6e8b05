"""S-05 Agricultural subsidies with two scopes (profile 000)."""

from typing import Any

import pytest

from bus.domain.identity import Role
from tests.acceptance.government import Desk, Government
from tests.acceptance.resources import EVERY_USE, conditional, entry, not_shared, record
from tests.live_platform import wait_until

PAID = ["beneficiary_id", "kind", "amount", "pay_date"]
PLOTS = ["village", "plot_codes", "area_mu"]
INTERNAL: dict[str, Any] = {"class": "UNCONDITIONAL", "purposes": EVERY_USE}
DECISION: dict[str, Any] = {
    "items": PAID,
    "purpose": "ADMINISTRATIVE_BASIS",
    "valid_from": "2019-06-06",
    "valid_until": "2019-12-31",
}


def subsidies(resource: str, **more: Any) -> dict[str, Any]:
    """Return the subsidies: everything inside, part of it outside."""
    return entry(
        resource,
        "moa-agri",
        {**dict.fromkeys(PAID, "paid"), **dict.fromkeys(PLOTS, "plots")},
        {
            "paid": {"internal": INTERNAL, "external": conditional()},
            "plots": {"internal": INTERNAL, "external": not_shared("law")},
        },
        **more,
    )


class Ministry:
    """A ministry with its units, and another ministry that asks."""

    def __init__(self, state: Government) -> None:
        self.state = state
        state.clock.set(2019, 5, 20)
        state.jurisdiction("moa", "moa-2017")
        self.agriculture: Desk = state.organisation("moa", "moa-agri", "bureau")
        self.fisheries: Desk = state.organisation("moa", "moa-fish", "bureau")
        self.planning: Desk = state.organisation("moa", "moa-planning", "bureau")
        self.office: Desk = state.organisation("moa", "moa-office", "bureau", roles=(Role.OFFICE,))
        self.group: Desk = state.organisation("moa", "moa-group", "bureau", roles=(Role.STEERING,))
        self.operator: Desk = state.organisation(
            "moa", "moa-centre", "ministry_unit", roles=(Role.OPERATOR,)
        )
        self.finance: Desk = state.organisation(
            "moa", "finance", "national_department", level="national", outside=True
        )
        self.sub = subsidies("moa-sub")
        self.first = record(self.sub, "b1", "grain", "120.00", "2019-05-01", "v1", "c1,c2", "3.5")
        state.publish(self.agriculture, "moa", self.sub, self.first, decider=self.office)

    @staticmethod
    def ask(desk: Desk, *items: str, resource: str = "moa-sub") -> dict[str, Any]:
        """Request items of the subsidies; without any, all that is unconditional."""
        body: dict[str, Any] = desk.post(
            "/requests",
            {
                "resource": resource,
                "items": list(items),
                "purpose": "ADMINISTRATIVE_BASIS",
                "duty": "audit of payments",
            },
        ).ok()
        return body


@pytest.fixture(scope="module")
def ministry(state: Government) -> Ministry:
    """Return the ministry."""
    return Ministry(state)


@pytest.mark.parametrize(
    ("resource", "missing"),
    [("moa-sub-a", {"usage_requirement": ""}), ("moa-sub-b", {})],
)
def test_even_what_is_unconditional_says_its_use(
    ministry: Ministry, resource: str, missing: dict[str, str]
) -> None:
    """S-05.1: R-057."""
    free = {"class": "UNCONDITIONAL"} if not missing else INTERNAL
    open_to_all = entry(
        resource,
        "moa-agri",
        {"beneficiary_id": "all"},
        {"all": {"internal": free, "external": free}},
        **missing,
    )
    draft = {"jurisdiction": "moa", "entry": open_to_all}
    ministry.agriculture.post("/entries", draft).ok()

    refused = ministry.agriculture.post(f"/entries/{resource}/submit")

    assert (refused.status, refused.code) == (422, "USAGE_REQUIRED")


def test_one_event_becomes_two_views(state: Government, ministry: Ministry) -> None:
    """S-05.2 to S-05.4: R-051, R-081, R-082, R-090."""
    state.clock.set(2019, 5, 27)
    direct = ministry.ask(ministry.fisheries)
    assert (direct["state"], direct["scope"]) == ("GRANTED_DIRECT", "internal")
    inside = state.subscriber(direct)
    asked = ministry.ask(ministry.finance, *PAID)
    assert (asked["state"], asked["scope"]) == ("PENDING", "external")
    assert (asked["due"]["day"], asked["grant"]) == ("2019-06-11", None)

    state.clock.set(2019, 6, 6)
    request = f"/requests/{asked['id']}"
    ministry.agriculture.post(f"{request}/approve", DECISION).ok()
    outside = state.subscriber(ministry.operator.post(f"{request}/activate").ok())
    outside.wait("b1", amount="120.00")
    with state.publisher("moa-sub", "moa-agri") as publisher:
        publisher.upsert({**ministry.first, "amount": "150.00"})

    ours = inside.wait("b1", amount="150.00")
    theirs = outside.wait("b1", amount="150.00")
    assert set(ours) == {*PAID, *PLOTS}
    assert ours["plot_codes"] == "c1,c2"
    assert set(theirs) == set(PAID)
    (left,) = (each for each in inside.upserts() if each.record == ours)
    (right,) = (each for each in outside.upserts() if each.record == theirs)
    assert left.meta is not None
    assert right.meta is not None
    assert left.meta.event_id == right.meta.event_id
    assert {frozenset(each.record or {}) for each in outside.upserts()} == {frozenset(PAID)}
    inside.close()
    outside.close()


def test_silence_until_the_end_of_the_last_day(state: Government, ministry: Ministry) -> None:
    """S-05.4, variation: R-082, R-088."""
    state.clock.set(2019, 5, 27)
    request = f"/requests/{ministry.ask(ministry.finance, *PAID)['id']}"
    state.clock.set(2019, 6, 11, 23, 59)
    assert ministry.finance.get(request).ok()["state"] == "PENDING"

    state.clock.set(2019, 6, 12, 0, 0)
    wait_until(lambda: ministry.finance.get(request).ok()["state"] == "OVERDUE", "it is overdue")

    assert ministry.finance.get(request).ok()["grant"] is None
    assert ministry.operator.post(f"{request}/activate").status == 409


def test_the_conference_decides_and_its_number_is_recorded(
    state: Government, ministry: Ministry
) -> None:
    """S-05.5: R-092, R-100; the requester alone goes to the conference."""
    state.clock.set(2019, 6, 6)
    asked = ministry.ask(ministry.finance, "plot_codes")
    assert asked["state"] == "CONSULTING"
    request = f"/requests/{asked['id']}"
    ministry.agriculture.post(f"{request}/consult", {"agreed": False, "note": "no"}).ok()

    by_provider = ministry.agriculture.post(f"{request}/escalate", {"reason": "no agreement"})
    assert by_provider.code == "FORBIDDEN_ROLE"
    escalated = ministry.finance.post(f"{request}/escalate", {"reason": "no agreement"}).ok()
    assert [hop["body"] for hop in escalated["hops"]] == ["interministerial_conference"]

    assert asked["id"] in ministry.office.told("ESCALATED")
    decision = {**DECISION, "items": ["plot_codes"]}
    unnumbered = ministry.office.post(f"{request}/decide", {"decision": decision})
    assert unnumbered.code == "DOCUMENT_REQUIRED"
    assert ministry.finance.get(request).ok()["grant"] is None
    assert ministry.operator.post(f"{request}/activate").status == 409
    paper = {"decision": decision, "document": "conference 2019-4"}
    decided = ministry.office.post(f"{request}/decide", paper).ok()
    assert decided["decision"]["document"] == "conference 2019-4"
    assert decided["decision"]["basis"] == "outside"

    inbox = state.subscriber(ministry.operator.post(f"{request}/activate").ok())
    row = inbox.wait("b1", plot_codes="c1,c2")
    assert set(row) == {"beneficiary_id", "plot_codes"}
    inbox.close()


class Neighbour:
    """A city outside, with a register that the ministry's planners want."""

    def __init__(self, state: Government) -> None:
        state.clock.set(2019, 5, 20)
        state.jurisdiction("moa-city", "changzhou-2018", level="city")
        kind = "government_department"
        self.land: Desk = state.organisation("moa-city", "moa-city-land", kind, level="city")
        self.bureau: Desk = state.organisation(
            "moa-city", "moa-city-data", kind, level="city", roles=(Role.AUTHORITY,)
        )
        self.operator: Desk = state.organisation(
            "moa-city", "moa-city-centre", kind, level="city", roles=(Role.OPERATOR,)
        )
        plots = entry(
            "moa-city-plots",
            "moa-city-land",
            {"plot": "all", "use": "all"},
            {"all": conditional()},
        )
        state.publish(self.land, "moa-city", plots, record(plots, "l1", "field"))


@pytest.fixture(scope="module")
def neighbour(state: Government) -> Neighbour:
    """Return the city outside."""
    return Neighbour(state)


def test_nothing_leaves_before_the_leading_group_has_looked(
    state: Government, ministry: Ministry, neighbour: Neighbour
) -> None:
    """S-05.6: R-095, R-264, R-265."""
    state.clock.set(2019, 5, 27)
    asked = ministry.ask(ministry.planning, "use", resource="moa-city-plots")
    assert (asked["state"], asked["jurisdiction"], asked["due"]) == ("PRE_REVIEW", "moa", None)
    request = f"/requests/{asked['id']}"
    assert asked["id"] in ministry.group.told("REQUEST_PRE_REVIEW")
    assert neighbour.land.told("REQUEST_PRE_REVIEW") == []
    for outside in (neighbour.land, neighbour.bureau):
        assert outside.get(request).status == 404
        assert outside.get("/requests").ok()["items"] == []
    approval = {**DECISION, "items": ["plot", "use"]}
    assert neighbour.land.post(f"{request}/approve", approval).status == 404
    passed = {"approved": True}
    assert ministry.office.post(f"{request}/pre-review", passed).code == "FORBIDDEN_ROLE"
    assert neighbour.bureau.post(f"{request}/pre-review", passed).status == 404

    state.clock.set(2019, 6, 3)
    left = ministry.group.post(f"{request}/pre-review", passed).ok()
    assert (left["state"], left["jurisdiction"], left["home"]) == ("PENDING", "moa-city", "moa")
    # The provider's own rules and its own clock: ten working days from now, 7 June is none.
    assert left["due"]["day"] == "2019-06-18"
    assert left["profile"] == "changzhou-2018"
    assert neighbour.land.get(request).ok()["state"] == "PENDING"
    assert asked["id"] in neighbour.land.told("REQUEST_PENDING")

    state.clock.set(2019, 6, 6)
    neighbour.land.post(f"{request}/approve", approval).ok()
    assert ministry.operator.post(f"{request}/activate").status in {403, 404}
    inbox = state.subscriber(neighbour.operator.post(f"{request}/activate").ok())
    inbox.wait("l1", use="field")
    inbox.close()


def test_what_is_rejected_at_home_was_never_outside(
    state: Government, ministry: Ministry, neighbour: Neighbour
) -> None:
    """S-05.6, variation: R-095; a rejection says why."""
    state.clock.set(2019, 5, 27)
    asked = ministry.ask(ministry.planning, "use", resource="moa-city-plots")
    request = f"/requests/{asked['id']}"

    assert ministry.group.post(f"{request}/pre-review", {"approved": False}).code == (
        "REASON_REQUIRED"
    )
    reason = {"approved": False, "reason": "no duty of the bureau needs it"}
    rejected = ministry.group.post(f"{request}/pre-review", reason).ok()

    assert rejected["state"] == "REJECTED_PRE_REVIEW"
    assert neighbour.land.get(request).status == 404
