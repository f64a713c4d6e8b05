"""S-09 Freshness and rectification (profiles 002, 000, 001): floor, missed deadlines, sanctions."""

from typing import Any

import pytest

from bus.domain.identity import Role
from tests.acceptance.government import Desk, Government
from tests.acceptance.resources import UNCONDITIONAL, conditional, entry
from tests.live_platform import wait_until

ITEMS = ["person_id", "employer_uscc", "scheme", "month", "base_amount", "paid"]


class Supervision:
    """A jurisdiction with the bodies that rectification knows, and a department."""

    def __init__(self, state: Government, name: str, profile: str, kind: str) -> None:
        self.state = state
        self.name = name
        self.department = f"{name}-social"
        state.clock.set(2019, 3, 4)
        state.jurisdiction(name, profile)
        self.social = state.organisation(name, self.department, kind)
        self.gate = state.organisation(name, f"{name}-planning", kind)
        self.bodies = {
            role: state.organisation(name, f"{name}-{role}", kind, roles=(role,))
            for role in (Role.AUTHORITY, Role.OFFICE, Role.STEERING)
        }

    def issued(self, issuer: Role, ground: str) -> str:
        """Issue a notice with ten working days on Monday, 4 March 2019; return its id."""
        body = self.bodies[issuer]
        drafted = body.post(
            "/rectifications",
            {
                "organisation": self.department,
                "grounds": [ground],
                "evidence": "last event 2019-01-31",
            },
        ).ok()
        assert drafted["state"] == "DRAFT"
        assert self.social.get(f"/rectifications/{drafted['id']}").status == 404
        notice: str = drafted["id"]
        issued = body.post(f"/rectifications/{notice}/issue", {"deadline_wd": 10}).ok()
        assert issued["state"] == "ISSUED"
        return notice

    def look(self, notice: str) -> dict[str, Any]:
        """Return a notice as its addressee sees it."""
        found: dict[str, Any] = self.social.get(f"/rectifications/{notice}").ok()
        return found

    def wait(self, notice: str, state: str) -> dict[str, Any]:
        """Wait until a notice is in a state."""
        wait_until(lambda: self.look(notice)["state"] == state, f"{notice} is {state}")
        return self.look(notice)

    def conformity(self) -> dict[str, Any]:
        """Return what the project gate reads."""
        found: dict[str, Any] = self.gate.get(f"/organisations/{self.department}/conformity").ok()
        return found

    def told(self, desk: Desk, code: str) -> int:
        """Return how many notices with this code somebody has."""
        items = desk.get("/notices", limit="200").ok()["items"]
        return sum(each["code"] == code for each in items)


def test_a_quarterly_limit_is_beyond_the_floor(state: Government) -> None:
    """S-09.1: R-131; the province updates in real time, else at least monthly."""
    state.clock.set(2019, 3, 4)
    state.jurisdiction("hn-floor", "hainan-2014")
    social = state.organisation("hn-floor", "hn-floor-social", "administration")
    soc = entry(
        "hn-floor-soc",
        "hn-floor-social",
        dict.fromkeys(ITEMS, "all"),
        {"all": conditional()},
        update_limit_days=92,
    )
    social.post("/entries", {"jurisdiction": "hn-floor", "entry": soc}).ok()

    refused = social.post("/entries/hn-floor-soc/submit")

    assert (refused.status, refused.code) == (422, "UPDATE_FLOOR_EXCEEDED")
    held = social.get("/entries/hn-floor-soc")
    assert held.ok()["state"] == "DRAFT"
    monthly = {"jurisdiction": "hn-floor", "entry": {**soc, "update_limit_days": 31}}
    tag = {"If-Match": held.headers["ETag"]}
    social.put("/entries/hn-floor-soc/draft", monthly, **tag).ok()
    assert social.post("/entries/hn-floor-soc/submit").ok()["state"] == "APPROVED"


def test_elsewhere_there_is_no_floor(state: Government) -> None:
    """S-09.1: R-131 is the province's alone."""
    state.jurisdiction("cz-floor", "changzhou-2018")
    social = state.organisation("cz-floor", "cz-floor-social", "government_department")
    soc = entry(
        "cz-floor-soc",
        "cz-floor-social",
        {"person_id": "all"},
        {"all": UNCONDITIONAL},
        update_limit_days=92,
    )
    social.post("/entries", {"jurisdiction": "cz-floor", "entry": soc}).ok()

    assert social.post("/entries/cz-floor-soc/submit").ok()["state"] == "APPROVED"


def test_in_the_city_the_first_miss_goes_to_the_government(state: Government) -> None:
    """S-09.3, S-09.4: R-222, R-223, R-224, profile 001."""
    city = Supervision(state, "cz-rect", "changzhou-2018", "government_department")
    office = city.bodies[Role.OFFICE]
    notice = city.issued(Role.OFFICE, "late_supply")
    assert city.look(notice)["due"]["day"] == "2019-03-18"
    assert city.told(city.social, "RECTIFICATION_ISSUED") == 1
    assert city.social.post(f"/rectifications/{notice}/acknowledge").ok()["state"] == "IN_PROGRESS"
    state.clock.set(2019, 3, 18, 23, 59)
    assert city.look(notice)["state"] == "IN_PROGRESS"

    state.clock.set(2019, 3, 19, 0, 0)
    escalated = city.wait(notice, "ESCALATED")

    assert escalated["escalated_to"] == "市政府"
    assert len(escalated["misses"]) == 1
    assert city.told(office, "RECTIFICATION_MISSED") == 1
    sanction = f"/rectifications/{notice}/sanction"
    refused = office.post(sanction, {"sanction": "project_approval_suspended", "document": "1"})
    assert refused.code == "SANCTION_NOT_IN_PROFILE"
    refused = office.post(sanction, {"sanction": "report_to_government"})
    assert refused.code == "DOCUMENT_REQUIRED"
    reported = office.post(
        sanction, {"sanction": "report_to_government", "document": "2019-7"}
    ).ok()
    assert reported["state"] == "SANCTIONED"
    assert city.conformity()["conformity"] == "CONFORMING"
    closed = office.post(f"/rectifications/{notice}/verify", {"finding": "data is current"}).ok()
    assert closed["state"] == "CLOSED"


def test_in_the_province_projects_stand_still_until_a_record_lifts_it(state: Government) -> None:
    """S-09.3, S-09.4: R-223, R-224, R-227, profile 002."""
    province = Supervision(state, "hn-rect", "hainan-2014", "administration")
    authority = province.bodies[Role.AUTHORITY]
    notice = province.issued(Role.AUTHORITY, "delayed_or_not_updated")
    assert province.conformity()["project_approval"] == "OPEN"

    state.clock.set(2019, 3, 19, 0, 0)
    assert province.wait(notice, "ESCALATED")["escalated_to"] == "authority"
    sanction = f"/rectifications/{notice}/sanction"
    refused = province.bodies[Role.OFFICE].post(
        sanction, {"sanction": "public_criticism", "document": "2019-8"}
    )
    assert (refused.status, refused.code) == (403, "FORBIDDEN_ROLE")
    for kind in ("public_criticism", "project_approval_suspended"):
        assert authority.post(sanction, {"sanction": kind, "document": "2019-8"}).ok()["state"] == (
            "SANCTIONED"
        )

    stands = province.conformity()
    assert (stands["conformity"], stands["project_approval"]) == ("NOT_CONFORMING", "SUSPENDED")
    (flag,) = stands["flags"]
    assert (flag["notice"], flag["document"]) == (notice, "2019-8")
    early = authority.post(f"/rectifications/{notice}/lift", {"document": "2019-9"})
    assert early.code == "NOT_RECTIFIED"

    state.clock.set(2019, 4, 8)
    verify = f"/rectifications/{notice}/verify"
    assert province.social.post(verify, {"finding": "we say so"}).code == "FORBIDDEN_ROLE"
    assert authority.post(verify, {"finding": "checked"}).ok()["state"] == "CLOSED"
    assert province.conformity()["project_approval"] == "SUSPENDED"
    lifted = authority.post(f"/rectifications/{notice}/lift", {"document": "2019-9"}).ok()

    assert (lifted["state"], lifted["lifting_document"]) == ("LIFTED", "2019-9")
    assert lifted["document"] == "2019-8"
    assert province.conformity()["conformity"] == "CONFORMING"


def test_in_the_ministry_the_second_miss_goes_to_the_leading_group(state: Government) -> None:
    """S-09.3: R-223, profile 000; the first miss gets a new deadline."""
    ministry = Supervision(state, "moa-rect", "moa-2017", "bureau")
    office, steering = ministry.bodies[Role.OFFICE], ministry.bodies[Role.STEERING]
    notice = ministry.issued(Role.OFFICE, "concealed_omitted_inflated_or_late_supply")

    state.clock.set(2019, 3, 19, 0, 0)
    missed = ministry.wait(notice, "MISSED")
    assert missed["escalated_to"] == ""
    extended = office.post(f"/rectifications/{notice}/extend", {"deadline_wd": 5}).ok()
    assert (extended["state"], extended["due"]["day"]) == ("IN_PROGRESS", "2019-03-26")

    state.clock.set(2019, 3, 27, 0, 0)
    escalated = ministry.wait(notice, "ESCALATED")

    assert (escalated["escalated_to"], len(escalated["misses"])) == ("steering", 2)
    assert ministry.told(steering, "RECTIFICATION_ESCALATED") == 1
    body = {"sanction": "accountability", "document": "2019-10"}
    refused = office.post(f"/rectifications/{notice}/sanction", body)
    assert refused.code == "FORBIDDEN_ROLE"
    sanctioned = steering.post(f"/rectifications/{notice}/sanction", body).ok()
    assert sanctioned["state"] == "SANCTIONED"


def test_misses_of_several_notices_are_counted_together(state: Government) -> None:
    """S-09.3: R-223, profile 000; an organisation's misses of twelve months."""
    ministry = Supervision(state, "moa-two", "moa-2017", "bureau")
    first = ministry.issued(Role.OFFICE, "catalog_not_compiled_or_late")
    state.clock.set(2019, 3, 19, 0, 0)
    ministry.wait(first, "MISSED")
    state.clock.set(2019, 3, 19, 9)
    second = ministry.issued(Role.OFFICE, "inconsistent_or_unusable")
    assert ministry.look(second)["due"]["day"] == "2019-04-02"

    state.clock.set(2019, 4, 3, 0, 0)

    assert len(ministry.wait(second, "ESCALATED")["misses"]) == 1


def test_what_is_done_in_time_is_checked_and_closed(state: Government) -> None:
    """S-09.4: R-222; the check that fails leaves the deadline as it was."""
    city = Supervision(state, "cz-done", "changzhou-2018", "government_department")
    office = city.bodies[Role.OFFICE]
    notice = city.issued(Role.OFFICE, "catalog_not_compiled_or_late")
    path = f"/rectifications/{notice}"
    assert office.post(f"{path}/acknowledge").code == "FORBIDDEN_ROLE"
    early = city.social.post(f"{path}/report", {"report": "done"})
    assert (early.status, early.code) == (409, "STATE_CONFLICT")
    assert "ISSUED" in early.body["detail"]
    city.social.post(f"{path}/acknowledge", {"answer": "we begin"}).ok()
    assert city.social.post(f"{path}/report", {"report": "done"}).ok()["state"] == "UNDER_CHECK"

    back = office.post(f"{path}/check", {"accepted": False, "reason": "items are missing"}).ok()
    assert (back["state"], back["due"]["day"]) == ("IN_PROGRESS", "2019-03-18")
    city.social.post(f"{path}/report", {"report": "now"}).ok()
    assert office.post(f"{path}/check", {"accepted": True}).ok()["state"] == "CLOSED"

    state.clock.set(2019, 3, 20)
    other = city.issued(Role.OFFICE, "late_supply")
    assert city.look(other)["state"] == "ISSUED"
    assert (city.look(notice)["state"], city.look(notice)["misses"]) == ("CLOSED", [])


@pytest.mark.parametrize(
    ("profile", "kind"),
    [("academy-2019", "headquarters_department"), ("yanjin-2019", "county_department")],
)
def test_elsewhere_nobody_issues_notices(state: Government, profile: str, kind: str) -> None:
    """S-09.3: R-222; profiles 003 and 004 name no issuer."""
    silent = Supervision(state, f"rect-{profile}", profile, kind)

    refused = silent.bodies[Role.OFFICE].post(
        "/rectifications",
        {"organisation": silent.department, "grounds": ["late_supply"], "evidence": "none"},
    )

    assert (refused.status, refused.code) == (422, "RECTIFICATION_NOT_IN_PROFILE")
