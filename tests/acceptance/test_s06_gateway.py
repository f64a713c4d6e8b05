"""S-06 Academy gateway, both directions (profile 003)."""

from typing import Any

import pytest

from bus.domain.identity import Role
from tests.acceptance.government import Desk, Government
from tests.acceptance.resources import UNCONDITIONAL, conditional, entry, not_shared, record

DECISION: dict[str, Any] = {
    "items": ["person_no", "post"],
    "purpose": "DATA_VERIFICATION",
    "valid_from": "2019-09-10",
    "valid_until": "2019-12-31",
}
OPINION = {"text": "the posts are not settled", "document": "5e" * 32}


class Academy:
    """Headquarters with its general office, and a ministry that asks through it."""

    def __init__(self, state: Government) -> None:
        self.state = state
        state.clock.set(2019, 8, 12)
        state.jurisdiction("academy", "academy-2019")
        kind = "headquarters_department"
        self.personnel: Desk = state.organisation("academy", "ac-personnel", kind)
        self.office: Desk = state.organisation("academy", "ac-office", kind, roles=(Role.OFFICE,))
        self.group: Desk = state.organisation("academy", "ac-group", kind, roles=(Role.STEERING,))
        self.operator: Desk = state.organisation(
            "academy", "ac-network", "affiliated_institute", roles=(Role.OPERATOR,)
        )
        self.ministry: Desk = state.organisation(
            "academy", "ac-ministry", "national_department", level="national", outside=True
        )
        staff = entry(
            "ac-staff",
            "ac-personnel",
            {"person_no": "posts", "post": "posts", "salary": "pay"},
            {
                "posts": {"internal": UNCONDITIONAL, "external": conditional()},
                "pay": {
                    "internal": conditional(),
                    # S-06.6, first half: an institution's own rule is enough here.
                    "external": not_shared("institution_rule"),
                },
            },
        )
        person = record(staff, "n1", "fellow", "9000")
        state.publish(self.personnel, "academy", staff, person, approver=self.group)

    def ask(self, *items: str) -> dict[str, Any]:
        """Request items of the staff as the ministry, on Thursday 15 August."""
        self.state.clock.set(2019, 8, 15)
        body: dict[str, Any] = self.ministry.post(
            "/requests",
            {
                "resource": "ac-staff",
                "items": list(items),
                "purpose": "DATA_VERIFICATION",
                "duty": "review of appointments",
            },
        ).ok()
        return body

    def noticed(self) -> str:
        """Return the path of a request whose notice has reached the bureau on 20 August."""
        asked = self.ask("post")
        assert (asked["state"], asked["clock_at"], asked["due"]) == ("PENDING", None, None)
        request = f"/requests/{asked['id']}"
        self.state.clock.set(2019, 8, 20, 14)
        assert self.personnel.post(f"{request}/notice").code == "FORBIDDEN_ROLE"
        due = self.office.post(f"{request}/notice").ok()["due"]
        assert due["day"] == "2019-09-03"
        return request


@pytest.fixture(scope="module")
def academy(state: Government) -> Academy:
    """Return the academy."""
    return Academy(state)


def test_the_clock_starts_with_the_notice(state: Government, academy: Academy) -> None:
    """S-06.1: R-094; once, and not at the date of the outside request."""
    request = academy.noticed()
    asked = academy.ministry.get(request).ok()
    assert asked["submitted_at"].startswith("2019-08-15")
    assert asked["clock_at"].startswith("2019-08-20")
    assert academy.office.post(f"{request}/notice").status == 409

    state.clock.set(2019, 9, 3, 23, 59)
    assert academy.ministry.get(request).ok()["state"] == "PENDING"


def test_a_refusal_is_addressed_to_the_office(academy: Academy) -> None:
    """S-06.2: R-085, R-094; in writing, and not to the ministry."""
    request = academy.noticed()

    unwritten = {**OPINION, "document": "", "addressed_to": "office"}
    refused = academy.personnel.post(f"{request}/refuse", unwritten)
    assert refused.code == "WRITTEN_REASON_REQUIRED"
    to_ministry = {**OPINION, "addressed_to": "consumer"}
    refused = academy.personnel.post(f"{request}/refuse", to_ministry)
    assert refused.code == "OPINION_MISADDRESSED"
    assert academy.ministry.get(request).ok()["state"] == "PENDING"

    to_office = {**OPINION, "addressed_to": "office"}
    done = academy.personnel.post(f"{request}/refuse", to_office).ok()
    assert (done["state"], done["refusals"][-1]["addressed_to"]) == ("REFUSED", "office")


def test_what_is_agreed_waits_for_the_leading_group(state: Government, academy: Academy) -> None:
    """S-06.3: R-099; with the office as the third party of the talks."""
    asked = academy.ask("salary")
    assert asked["state"] == "CONSULTING"
    request = f"/requests/{asked['id']}"
    decision = {**DECISION, "items": ["salary"]}
    agreed = {"agreed": True, "note": "for one review", "decision": decision}
    assert academy.personnel.post(f"{request}/consult", agreed).code == "PARTY_MISSING"
    talked = {**agreed, "others": ["ac-office"]}
    assert academy.personnel.post(f"{request}/consult", talked).ok()["state"] == (
        "AWAITING_STEERING"
    )

    assert asked["id"] in academy.group.told("REQUEST_AWAITING_STEERING")
    state.clock.set(2019, 9, 10)
    early = academy.office.post(f"{request}/activate")
    assert (early.status, early.code) == (422, "STEERING_APPROVAL_REQUIRED")
    assert academy.ministry.get(request).ok()["grant"] is None
    assert academy.office.post(f"{request}/steering", {"approved": True}).code == "FORBIDDEN_ROLE"

    approved = academy.group.post(f"{request}/steering", {"approved": True}).ok()
    assert approved["state"] == "AUTHORISED"
    inbox = state.subscriber(academy.office.post(f"{request}/activate").ok())
    assert inbox.wait("n1", salary="9000") == {"person_no": "n1", "salary": "9000"}
    inbox.close()


class Graduates:
    """An education bureau outside, whose graduate records are unconditional."""

    def __init__(self, state: Government) -> None:
        state.clock.set(2019, 8, 12)
        state.jurisdiction("ac-outside", "yanjin-2019")
        self.education: Desk = state.organisation("ac-outside", "ac-education", "county_department")
        records = entry(
            "ac-graduates",
            "ac-education",
            {"graduate_no": "all", "degree": "all"},
            {"all": UNCONDITIONAL},
        )
        state.publish(self.education, "ac-outside", records, record(records, "g1", "master"))

    @staticmethod
    def wish(**form: str) -> dict[str, Any]:
        """Return a request for the records."""
        return {
            "resource": "ac-graduates",
            "purpose": "DATA_VERIFICATION",
            "duty": "appointments",
            "form": form,
        }


@pytest.fixture(scope="module")
def graduates(state: Government) -> Graduates:
    """Return the bureau outside."""
    return Graduates(state)


def test_only_the_gateway_connects_to_the_outside(
    state: Government, academy: Academy, graduates: Graduates
) -> None:
    """S-06.4, first half: R-096, R-264; with annex form 1 the office fetches, nobody else."""
    state.clock.set(2019, 8, 20)
    own = academy.personnel.post("/requests", graduates.wish())
    assert (own.status, own.code) == (422, "GATEWAY_ONLY")
    assert "annex_1" in own.body["detail"]

    fetched = academy.personnel.post("/requests", graduates.wish(annex_1="form 1")).ok()

    assert (fetched["state"], fetched["jurisdiction"]) == ("PROXY_FETCH", "academy")
    assert fetched["grant"] is None
    assert graduates.education.get(f"/requests/{fetched['id']}").status == 404
    assert fetched["id"] in academy.office.told("REQUEST_PROXY_FETCH")
    assert academy.office.get(f"/requests/{fetched['id']}").ok()["state"] == "PROXY_FETCH"


@pytest.mark.xfail(strict=True, reason="the gateway does not transfer outside data yet")
def test_what_the_office_fetched_is_handed_over_to_one_bureau(
    state: Government, academy: Academy, graduates: Graduates
) -> None:
    """S-06.4, second half: R-096."""
    state.clock.set(2019, 8, 20)
    wish = graduates.wish(annex_1="form 1")
    asked = academy.personnel.post("/requests", wish).ok()

    handed = academy.office.post(f"/requests/{asked['id']}/hand-over").ok()

    assert handed["state"] == "HANDED_OVER"
    inbox = state.subscriber(handed)
    inbox.wait("g1", degree="master")
    inbox.close()


@pytest.mark.xfail(strict=True, reason="the gateway does not upload the catalog yet")
def test_a_failed_upload_is_tried_again(academy: Academy) -> None:
    """S-06.5: R-261, R-267; the last success is shown."""
    assert academy.office.get("/cascade/uploads").ok()["last_success"] is None


def test_an_outside_decision_is_recorded_with_its_number(
    state: Government, academy: Academy
) -> None:
    """R-095, R-100: an outside body that is only registered here decides on paper."""
    state.clock.set(2019, 8, 20)
    awards = entry(
        "ac-awards",
        "ac-ministry",
        {"award_no": "all", "title": "all"},
        {"all": {"internal": conditional(), "external": conditional()}},
    )
    state.publish(
        academy.ministry, "academy", awards, record(awards, "a1", "first"), approver=academy.group
    )
    wish = {
        "resource": "ac-awards",
        "items": ["title"],
        "purpose": "DATA_VERIFICATION",
        "duty": "appointments",
        "form": {"annex_1": "form 1"},
    }
    asked = academy.personnel.post("/requests", wish).ok()
    assert asked["state"] == "PRE_REVIEW"
    request = f"/requests/{asked['id']}"
    passed = academy.group.post(f"{request}/pre-review", {"approved": True}).ok()
    assert passed["state"] == "FORWARDED"
    assert asked["id"] in academy.office.told("REQUEST_FORWARDED")

    decision = {**DECISION, "items": ["title"]}
    path = f"{request}/outside-decision"
    paper = {"decision": decision, "document": "ministry 2019-31"}
    assert academy.personnel.post(path, paper).code == "FORBIDDEN_ROLE"
    assert academy.office.post(path, {"decision": decision}).code == "DOCUMENT_REQUIRED"
    decided = academy.office.post(path, paper).ok()
    assert (decided["state"], decided["decision"]["basis"]) == ("AUTHORISED", "outside")
    assert decided["decision"]["document"] == "ministry 2019-31"

    state.clock.set(2019, 9, 10)
    inbox = state.subscriber(academy.office.post(f"{request}/activate").ok())
    assert inbox.wait("a1") == {"award_no": "a1", "title": "first"}
    inbox.close()


def test_a_rule_of_the_institution_is_a_basis_here_and_not_in_the_city(
    state: Government, academy: Academy
) -> None:
    """S-06.6: R-053."""
    live = academy.ministry.get("/entries/ac-staff").ok()["live"]
    (pay,) = (group for group in live["groups"] if group["name"] == "pay")
    assert pay["rules"]["external"]["legal_basis"]["type"] == "institution_rule"
    state.jurisdiction("ac-city", "changzhou-2018", level="city")
    bureau = state.organisation("ac-city", "ac-city-bureau", "government_department")
    closed = entry(
        "ac-city-staff",
        "ac-city-bureau",
        {"person_no": "all"},
        {"all": not_shared("institution_rule")},
    )
    bureau.post("/entries", {"jurisdiction": "ac-city", "entry": closed}).ok()

    refused = bureau.post("/entries/ac-city-staff/submit")

    assert (refused.status, refused.code) == (422, "BASIS_TYPE_NOT_ALLOWED")
