"""S-03 Refusal with consent, onboarding first (profile 002, ten working days)."""

from typing import Any

import pytest

from bus.domain.identity import Role
from tests.acceptance.government import Answer, Desk, Government
from tests.acceptance.resources import UNCONDITIONAL, conditional, entry, not_shared, record
from tests.live_platform import wait_until

ITEMS = ["person_id", "employer_uscc", "scheme", "month", "base_amount", "paid"]
FORM = {"knowledge_scope": "the two case workers", "security_measures": "grade 3"}
SHA = "5e" * 32
DECISION: dict[str, Any] = {
    "items": ["person_id", "scheme", "paid"],
    "purpose": "WORK_REFERENCE",
    "valid_from": "2019-02-14",
    "valid_until": "2019-12-31",
}
REFUSAL = {
    "text": "the employer's file is closed",
    "document": SHA,
    "citation": "an act, article 7",
}


class Province:
    """Human resources with its social insurance data, and the bodies of a province."""

    def __init__(self, state: Government) -> None:
        self.state = state
        state.clock.set(2019, 1, 14)
        state.jurisdiction("hi-soc", "hainan-2014", level="provincial")
        kind = "administration"
        self.resources: Desk = state.organisation("hi-soc", "hi-human-resources", kind)
        self.authority: Desk = state.organisation(
            "hi-soc", "hi-informatisation", kind, roles=(Role.AUTHORITY,)
        )
        self.operator: Desk = state.organisation(
            "hi-soc", "hi-centre", kind, roles=(Role.OPERATOR,)
        )
        self.soc = entry(
            "hi-soc", "hi-human-resources", dict.fromkeys(ITEMS, "all"), {"all": conditional()}
        )
        paid = record(self.soc, "p1", "u1", "pension", "2019-01", "100.00", "yes")
        state.publish(self.resources, "hi-soc", self.soc, paid)

    def newcomer(self, code: str) -> Desk:
        """Return the desk of an office that was given access."""
        desk = self.state.organisation("hi-soc", code, "administration")
        self.let_in(desk, code)
        return desk

    def let_in(self, desk: Desk, code: str) -> None:
        """Apply, pledge, approve (R-004)."""
        access = f"/organisations/{code}/access"
        desk.post(f"{access}/apply", {"document": "application"}).ok()
        pledge = {"document": "pledge", "sha256": SHA, "signed_by": "synthetic"}
        desk.post(f"{access}/pledge", pledge).ok()
        self.authority.post(f"{access}/decide", {"approved": True}).ok()

    def ask(self, desk: Desk, **form: str) -> Answer:
        """Request everything of the social insurance."""
        return desk.post(
            "/requests",
            {
                "resource": "hi-soc",
                "items": ITEMS,
                "purpose": "WORK_REFERENCE",
                "duty": "poverty relief",
                "form": form,
            },
        )


@pytest.fixture(scope="module")
def province(state: Government) -> Province:
    """Return the province."""
    return Province(state)


def test_access_is_applied_for_and_pledged_before_anything_comes(
    state: Government, province: Province
) -> None:
    """S-03.1, S-03.2: R-004, although the class is unconditional (R-050)."""
    base = entry(
        "hi-list",
        "hi-human-resources",
        {"office_no": "all", "name": "all"},
        {"all": UNCONDITIONAL},
    )
    state.publish(province.resources, "hi-soc", base, record(base, "o1", "one"))
    relief = state.organisation("hi-soc", "hi-relief", "administration")
    wish = {
        "resource": "hi-list",
        "purpose": "WORK_REFERENCE",
        "duty": "poverty relief",
        "form": FORM,
    }

    refused = relief.post("/requests", wish)
    assert (refused.status, refused.code) == (422, "ONBOARDING_REQUIRED")
    relief.post("/organisations/hi-relief/access/apply", {"document": "application"}).ok()
    assert relief.post("/requests", wish).code == "ONBOARDING_REQUIRED"

    pledge = {"document": "pledge", "sha256": SHA, "signed_by": "synthetic"}
    relief.post("/organisations/hi-relief/access/pledge", pledge).ok()
    decision = {"approved": True}
    by_itself = relief.post("/organisations/hi-relief/access/decide", decision)
    assert by_itself.code == "FORBIDDEN_ROLE"
    assert relief.post("/requests", wish).code == "ONBOARDING_REQUIRED"
    province.authority.post("/organisations/hi-relief/access/decide", decision).ok()

    answer = relief.post("/requests", wish).ok()
    assert answer["state"] == "GRANTED_DIRECT"
    inbox = state.subscriber(answer)
    inbox.wait("o1", name="one")
    inbox.close()


def test_access_that_is_taken_back_suspends_what_was_granted(
    state: Government, province: Province
) -> None:
    """R-004, §6.3: onboarding lapsed; a new application, once it is approved, goes on."""
    listed = entry("hi-list-2", "hi-human-resources", {"office_no": "all"}, {"all": UNCONDITIONAL})
    state.publish(province.resources, "hi-soc", listed, record(listed, "o1"))
    relief = province.newcomer("hi-relief-5")
    wish = {
        "resource": "hi-list-2",
        "purpose": "WORK_REFERENCE",
        "duty": "poverty relief",
        "form": FORM,
    }
    answer = relief.post("/requests", wish).ok()
    grant = f"/grants/{answer['grant']}"
    inbox = state.subscriber(answer)
    inbox.wait("o1")
    pending = province.ask(relief, **FORM).ok()["id"]
    today = state.clock.now().date().isoformat()
    decision = {**DECISION, "valid_from": today}
    province.resources.post(f"/requests/{pending}/approve", decision).ok()
    activate = f"/requests/{pending}/activate"
    other = state.subscriber(province.newcomer("hi-relief-6").post("/requests", wish).ok())
    lapse = "/organisations/hi-relief-5/access/lapse"

    assert relief.post(lapse, {"reason": "x"}).code == "FORBIDDEN_ROLE"
    assert province.authority.post(lapse, {"reason": " "}).code == "REASON_REQUIRED"
    province.authority.post(lapse, {"reason": "the pledge was broken"}).ok()

    assert relief.get(grant).ok()["state"] == "SUSPENDED"
    assert relief.post("/requests", wish).code == "ONBOARDING_REQUIRED"
    assert province.authority.post(lapse, {"reason": "again"}).code == "STATE_CONFLICT"
    assert province.operator.post(activate).code == "ONBOARDING_REQUIRED"
    assert relief.told("ACCESS_LAPSED")
    with state.publisher("hi-list-2", "hi-human-resources") as publisher:
        publisher.upsert(record(listed, "o2"))
    other.wait("o2")
    other.close()
    assert set(inbox.rows()) == {"o1"}

    province.let_in(relief, "hi-relief-5")
    assert relief.get(grant).ok()["state"] == "ACTIVE"
    province.operator.post(activate).ok()
    inbox.wait("o2")
    inbox.close()


def test_a_denied_consent_and_an_unsigned_agreement_hold_the_data_back(
    state: Government, province: Province
) -> None:
    """S-03.3 to S-03.6: R-080, R-083, R-086, R-087, R-097."""
    state.clock.set(2019, 1, 24, 10)
    relief = province.newcomer("hi-relief-2")
    incomplete = province.ask(relief, security_measures="grade 3")
    assert incomplete.code == "FORM_INCOMPLETE"
    assert "knowledge_scope" in incomplete.body["detail"]
    asked = province.ask(relief, **FORM).ok()
    assert (asked["state"], asked["due"]["day"]) == ("PENDING", "2019-02-12")
    request = f"/requests/{asked['id']}"

    state.clock.set(2019, 2, 12, 15)
    uncited = province.resources.post(f"{request}/refuse", {**REFUSAL, "citation": ""})
    assert (uncited.status, uncited.code) == (422, "STATUTORY_GROUND_REQUIRED")
    assert relief.get(request).ok()["state"] == "PENDING"
    province.resources.post(f"{request}/refuse", REFUSAL).ok()
    awaiting = relief.get(request).ok()
    assert awaiting["state"] == "REFUSAL_PROPOSED"
    assert awaiting["refusals"][-1]["consented"] is None
    assert relief.told("REQUEST_REFUSAL_PROPOSED") == [asked["id"]]
    assert asked["id"] in province.authority.told("CONSENT_ASKED")
    assert province.resources.post(f"{request}/consent").code == "FORBIDDEN_ROLE"

    state.clock.set(2019, 2, 14, 10)
    denial = {"reason": "the article says nothing of this"}
    denied = province.authority.post(f"{request}/deny-consent", denial).ok()
    assert denied["state"] in {"PENDING", "OVERDUE"}
    assert denied["due"]["day"] == "2019-02-12"
    assert denied["due_before"] == []
    assert denied["late_days"] == 2
    wait_until(lambda: relief.get(request).ok()["state"] == "OVERDUE", "it is late after all")
    assert province.resources.post(f"{request}/refuse", REFUSAL).code == "CONSENT_DENIED"

    approved = province.resources.post(f"{request}/approve", DECISION).ok()
    assert approved["state"] == "AUTHORISED"
    paper = {"document": "agreement", "sha256": SHA}
    province.resources.post(f"{request}/agreement", paper).ok()
    for side in (province.resources, relief):
        early = province.operator.post(f"{request}/activate")
        assert (early.status, early.code) == (422, "AGREEMENT_REQUIRED")
        assert relief.get(request).ok()["grant"] is None
        side.post(f"{request}/agreement/sign", {"sha256": SHA}).ok()

    inbox = state.subscriber(province.operator.post(f"{request}/activate").ok())
    row = inbox.wait("p1", scheme="pension")
    assert set(row) == set(DECISION["items"])
    inbox.close()


def test_consent_denied_in_time_leaves_the_date_as_it_was(
    state: Government, province: Province
) -> None:
    """S-03.6: R-086; the provider may also go and talk to the consumer."""
    state.clock.set(2019, 1, 24, 10)
    relief = province.newcomer("hi-relief-3")
    request = f"/requests/{province.ask(relief, **FORM).ok()['id']}"
    state.clock.set(2019, 1, 28)
    province.resources.post(f"{request}/refuse", REFUSAL).ok()

    denied = province.authority.post(f"{request}/deny-consent", {"reason": "no"}).ok()

    assert (denied["state"], denied["due"]["day"]) == ("PENDING", "2019-02-12")
    assert denied["late_days"] == 0
    assert province.resources.post(f"{request}/open-consultation").ok()["state"] == "CONSULTING"


def test_a_refusal_with_consent_stands_and_the_same_again_names_it(
    state: Government, province: Province
) -> None:
    """S-03.5: R-086, R-087; §2.4: the same content again is linked to the old case."""
    state.clock.set(2019, 1, 24, 10)
    relief = province.newcomer("hi-relief-4")
    first = province.ask(relief, **FORM).ok()
    assert first["linked_to"] is None
    state.clock.set(2019, 1, 28)
    province.resources.post(f"/requests/{first['id']}/refuse", REFUSAL).ok()
    # Five working days, the last a make-up Saturday: a reminder, and nothing else (§2.4).
    state.clock.set(2019, 2, 1, 23, 59)
    assert first["id"] not in province.authority.told("CONSENT_LATE")
    state.clock.set(2019, 2, 3, 0, 0)
    wait_until(lambda: first["id"] in province.authority.told("CONSENT_LATE"), "a reminder")
    assert relief.get(f"/requests/{first['id']}").ok()["state"] == "REFUSAL_PROPOSED"

    refused = province.authority.post(f"/requests/{first['id']}/consent").ok()

    assert refused["state"] == "REFUSED"
    assert province.ask(relief, **FORM).ok()["linked_to"] == first["id"]
    other = {**FORM, "knowledge_scope": "one case worker"}
    assert province.ask(relief, **other).ok()["linked_to"] is None


def test_a_class_that_the_profile_does_not_have(province: Province) -> None:
    """S-03.7: R-050."""
    closed = entry(
        "hi-closed", "hi-human-resources", {"case_no": "all"}, {"all": not_shared("law")}
    )
    province.resources.post("/entries", {"jurisdiction": "hi-soc", "entry": closed}).ok()

    refused = province.resources.post("/entries/hi-closed/submit")

    assert (refused.status, refused.code) == (422, "CLASS_NOT_IN_PROFILE")
    assert province.resources.get("/entries/hi-closed").ok()["state"] == "DRAFT"
