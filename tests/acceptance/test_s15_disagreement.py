"""S-15 Disagreement about what was authorised (profile 004)."""

from typing import Any

import pytest

from bus.domain.identity import Role
from tests.acceptance.government import Desk, Government
from tests.acceptance.resources import conditional, entry, record
from tests.live_platform import wait_until

ITEMS = ["reg_no", "kind", "event_date", "party_a_name"]
APPROVED = ["reg_no", "kind"]
WIDENED = [*APPROVED, "event_date"]
MEETING = {"meeting_at": "2019-10-10T14:00:00+08:00"}
OUTCOME: dict[str, Any] = {
    "text": "the date of the event, too",
    "amends": "grant",
    "decision": {
        "items": WIDENED,
        "purpose": "DATA_VERIFICATION",
        "valid_from": "2019-10-08",
        "valid_until": "2020-10-07",
    },
}


class Marriages:
    """Civil affairs, the real-estate centre, and everybody whom a disagreement concerns."""

    def __init__(self, state: Government) -> None:
        self.state = state
        state.clock.set(2019, 9, 20)
        state.jurisdiction("s15", "yanjin-2019", level="county")
        self.civil: Desk = state.organisation("s15", "s15-civil", "county_department")
        self.bureau: Desk = state.organisation(
            "s15", "s15-bureau", "county_department", roles=(Role.AUTHORITY,)
        )
        self.operator: Desk = state.organisation(
            "s15", "s15-contractor", "county_department", roles=(Role.OPERATOR,)
        )
        self.government: Desk = state.organisation(
            "s15", "s15-government", "county_department", roles=(Role.STEERING,)
        )
        self.stranger: Desk = state.organisation("s15", "s15-tax", "county_department")
        self.mar = entry(
            "s15-mar", "s15-civil", dict.fromkeys(ITEMS, "all"), {"all": conditional()}
        )
        state.publish(self.civil, "s15", self.mar, self.married("m1"))

    def married(self, number: str, day: str = "2019-09-01") -> dict[str, Any]:
        """Return the record of a marriage."""
        return record(self.mar, number, "marriage", day, "A")

    def partial_grant(self, consumer: str) -> tuple[Desk, dict[str, Any]]:
        """Return a new consumer with a grant of less than it asked for."""
        desk = self.state.organisation("s15", consumer, "county_department")
        self.state.clock.set(2019, 9, 25, 16, 40)
        asked = desk.post(
            "/requests",
            {
                "resource": "s15-mar",
                "items": ITEMS,
                "purpose": "DATA_VERIFICATION",
                "duty": "real-estate registration",
            },
        ).ok()
        assert asked["due"]["day"] == "2019-10-08"
        self.state.clock.set(2019, 10, 8, 11)
        decision = {**OUTCOME["decision"], "items": APPROVED}
        self.civil.post(f"/requests/{asked['id']}/approve", decision).ok()
        return desk, self.operator.post(f"/requests/{asked['id']}/activate").ok()

    def meeting(self, desk: Desk, grant: str) -> str:
        """Dispute a grant, and let the bureau call the parties together; return the id."""
        opened = desk.post(
            "/disagreements",
            {
                "subject": "authorisation_result",
                "about": grant,
                "reasons": "no register without the date of the event",
            },
        ).ok()
        assert opened["state"] == "OPEN"
        convened = self.bureau.post(f"/disagreements/{opened['id']}/convene", MEETING).ok()
        assert convened["state"] == "MEETING"
        assert sorted(convened["invited"]) == ["consumer", "operator", "provider"]
        found: str = opened["id"]
        return found


@pytest.fixture(scope="module")
def marriages(state: Government) -> Marriages:
    """Return the departments."""
    return Marriages(state)


def notices(desk: Desk, about: str) -> list[str]:
    """Return the codes of what somebody was told about a disagreement."""
    found = desk.get("/notices", limit="200").ok()["items"]
    return sorted(each["code"] for each in found if each["subject"] == about)


def test_an_agreement_widens_the_grant_which_stayed_in_force(
    state: Government, marriages: Marriages
) -> None:
    """S-15.1, S-15.2: R-101; a real subscriber receives meanwhile, and one item more after it."""
    centre, answer = marriages.partial_grant("s15-centre")
    grant = answer["grant"]
    inbox = state.subscriber(answer)
    assert inbox.wait("m1", kind="marriage").keys() == set(APPROVED)

    found = marriages.meeting(centre, grant)

    for desk in (marriages.civil, centre, marriages.operator):
        assert "DISAGREEMENT_MEETING" in notices(desk, found)
    assert notices(marriages.stranger, found) == []
    assert marriages.stranger.get(f"/disagreements/{found}").status == 404
    with state.publisher("s15-mar", "s15-civil") as publisher:
        publisher.upsert(marriages.married("m2"))
    assert inbox.wait("m2").keys() == set(APPROVED)
    held = centre.get(f"/grants/{grant}").ok()
    assert (held["state"], held["version"]) == ("ACTIVE", 1)

    path = f"/disagreements/{found}/settle"
    refused = marriages.civil.post(path, OUTCOME)
    assert (refused.status, refused.code) == (403, "FORBIDDEN_ROLE")
    assert marriages.bureau.post(path, {"text": " "}).code == "REASON_REQUIRED"
    assert marriages.bureau.post(path, {**OUTCOME, "decision": None}).code == "OUTCOME_INCOMPLETE"
    settled = marriages.bureau.post(path, OUTCOME).ok()

    assert (settled["state"], settled["outcome"]["amended"]) == ("SETTLED", grant)
    held = centre.get(f"/grants/{grant}").ok()
    assert (held["state"], held["version"], sorted(held["treatments"])) == (
        "ACTIVE",
        2,
        sorted(WIDENED),
    )
    assert inbox.wait("m1", event_date="2019-09-01").keys() == set(WIDENED)
    with state.publisher("s15-mar", "s15-civil") as publisher:
        publisher.upsert(marriages.married("m3", "2019-10-09"))
    assert inbox.wait("m3", event_date="2019-10-09").keys() == set(WIDENED)
    assert inbox.ended is None
    inbox.close()


def test_without_agreement_the_government_decides_and_that_is_final(
    state: Government, marriages: Marriages
) -> None:
    """S-15.2: R-101; the partial grant goes on, before and after the decision."""
    bank, answer = marriages.partial_grant("s15-bank")
    grant = answer["grant"]
    inbox = state.subscriber(answer)
    inbox.wait("m1")
    found = marriages.meeting(bank, grant)
    path = f"/disagreements/{found}"

    assert marriages.bureau.post(f"{path}/refer").code == "REASON_REQUIRED"
    referred = marriages.bureau.post(f"{path}/refer", {"reason": "they insist"}).ok()
    assert (referred["state"], referred["referred_to"]) == ("WITH_GOVERNMENT", "县政府")
    assert "DISAGREEMENT_REFERRED" in notices(marriages.government, found)

    no = {"text": "it stays as it is"}
    assert marriages.government.post(f"{path}/decide", no).code == "DOCUMENT_REQUIRED"
    refused = bank.post(f"{path}/decide", {**no, "document": "2019-7"})
    assert (refused.status, refused.code) == (403, "FORBIDDEN_ROLE")
    decided = marriages.government.post(f"{path}/decide", {**no, "document": "2019-7"}).ok()
    assert (decided["state"], decided["outcome"]["document"]) == ("DECIDED", "2019-7")

    for act, body in (("decide", {**no, "document": "2019-8"}), ("settle", OUTCOME)):
        again = marriages.bureau.post(f"{path}/{act}", body)
        assert (again.status, again.code) == (409, "STATE_CONFLICT")
    again = bank.post(
        "/disagreements",
        {"subject": "authorisation_result", "about": grant, "reasons": "still"},
    )
    assert (again.status, again.code) == (422, "DECISION_FINAL")
    held = bank.get(f"/grants/{grant}").ok()
    assert (held["state"], held["version"]) == ("ACTIVE", 1)
    with state.publisher("s15-mar", "s15-civil") as publisher:
        publisher.upsert(marriages.married("m4"))
    assert inbox.wait("m4").keys() == set(APPROVED)
    inbox.close()


def test_the_government_widens_a_grant(state: Government, marriages: Marriages) -> None:
    """S-15.2: R-101; its decision is carried out with it."""
    court, answer = marriages.partial_grant("s15-court")
    inbox = state.subscriber(answer)
    inbox.wait("m1")
    path = f"/disagreements/{marriages.meeting(court, answer['grant'])}"
    marriages.bureau.post(f"{path}/refer", {"reason": "they insist"}).ok()

    marriages.government.post(f"{path}/decide", {**OUTCOME, "document": "2019-9"}).ok()

    inbox.wait("m1", event_date="2019-09-01")
    inbox.close()


def test_the_convener_is_reminded(state: Government, marriages: Marriages) -> None:
    """R-101: five working days, the make-up Saturday is one of them; a reminder and no more."""
    centre, answer = marriages.partial_grant("s15-late")
    content = {"subject": "authorisation_result", "about": answer["grant"], "reasons": "too little"}
    found = centre.post("/disagreements", content).ok()["id"]
    state.clock.set(2019, 10, 14, 23, 59)
    assert notices(marriages.bureau, found) == ["DISAGREEMENT_OPEN"]

    state.clock.set(2019, 10, 15, 0)

    wait_until(lambda: "DISAGREEMENT_WAITS" in notices(marriages.bureau, found), "a reminder")
    assert centre.get(f"/disagreements/{found}").ok()["state"] == "OPEN"
    assert marriages.bureau.post(f"/disagreements/{found}/convene", MEETING).ok()


def test_only_the_sides_open_one_and_only_one_at_a_time(marriages: Marriages) -> None:
    """R-101: provider or consumer, with a reason, about a subject that the profile names."""
    centre, answer = marriages.partial_grant("s15-notary")
    content = {
        "subject": "authorisation_result",
        "about": answer["grant"],
        "reasons": "too little",
    }

    assert marriages.stranger.post("/disagreements", content).status == 404
    assert marriages.bureau.post("/disagreements", content).code == "FORBIDDEN_ROLE"
    assert centre.post("/disagreements", {**content, "reasons": ""}).code == "REASON_REQUIRED"
    by_provider = marriages.civil.post("/disagreements", content).ok()
    assert by_provider["opened_by"] == "s15-civil"
    assert centre.post("/disagreements", content).code == "STATE_CONFLICT"
    condition = {**content, "subject": "sharing_condition", "about": "s15-mar"}
    other = centre.post("/disagreements", condition).ok()
    assert (other["provider"], other["consumer"]) == ("s15-civil", "s15-notary")
    listed = centre.get("/disagreements").ok()["items"]
    assert [each["id"] for each in listed] == sorted([by_provider["id"], other["id"]])
    assert marriages.stranger.get("/disagreements").ok()["items"] == []


def test_not_every_profile_has_a_procedure(state: Government) -> None:
    """R-101: disagreement.enabled."""
    state.jurisdiction("s15-none", "changzhou-2018")
    kind = "government_department"
    provider = state.organisation("s15-none", "s15-none-civil", kind)
    mar = entry("s15-none-mar", "s15-none-civil", {"reg_no": "all"}, {"all": conditional()})
    state.publish(provider, "s15-none", mar, record(mar, "m1"))
    consumer = state.organisation("s15-none", "s15-none-centre", kind)

    refused = consumer.post(
        "/disagreements",
        {"subject": "sharing_condition", "about": "s15-none-mar", "reasons": "too strict"},
    )

    assert refused.code == "DISAGREEMENT_NOT_OFFERED"
