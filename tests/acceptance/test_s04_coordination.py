"""S-04 Real estate, not-shared then coordination (profile 001)."""

from typing import Any

import pytest

from bus.domain.identity import Role
from tests.acceptance.government import Desk, Government
from tests.acceptance.resources import conditional, entry, not_shared, record

ITEMS = {
    "unit_no": "register",
    "use": "register",
    "seized": "seizure",
    "seizure_details": "seizure",
}
SEIZED: dict[str, Any] = {
    "items": ["seized"],
    "purpose": "ADMINISTRATIVE_BASIS",
    "valid_from": "2019-03-20",
    "valid_until": "2019-12-31",
}


def real_estate(resource: str, provider: str, basis: str = "law") -> dict[str, Any]:
    """Return real-estate registration, whose seizures are not shared."""
    return entry(
        resource,
        provider,
        ITEMS,
        {"register": conditional(), "seizure": not_shared(basis)},
    )


class City:
    """A city with its bodies, and the tax office that wants to know of seizures."""

    def __init__(self, state: Government) -> None:
        self.state = state
        state.clock.set(2019, 3, 11)
        state.jurisdiction("cz-re", "changzhou-2018", level="city")
        kind = "government_department"
        self.land: Desk = state.organisation("cz-re", "cz-land", kind, level="city")
        self.tax: Desk = state.organisation("cz-re", "cz-tax", kind, level="city")
        self.province: Desk = state.organisation("cz-re", "cz-prov", kind, level="provincial")
        self.bureau: Desk = state.organisation(
            "cz-re", "cz-bigdata", kind, level="city", roles=(Role.AUTHORITY,)
        )
        self.group: Desk = state.organisation(
            "cz-re", "cz-group", kind, level="city", roles=(Role.STEERING,)
        )
        self.operator: Desk = state.organisation(
            "cz-re", "cz-centre", kind, level="city", roles=(Role.OPERATOR,)
        )
        self.register = real_estate("cz-re", "cz-land", "institution_rule")

    def ask(self, resource: str, *items: str, mode: str = "kafka") -> dict[str, Any]:
        """Request items of the register as the tax office."""
        body: dict[str, Any] = self.tax.post(
            "/requests",
            {
                "resource": resource,
                "items": list(items),
                "purpose": "ADMINISTRATIVE_BASIS",
                "duty": "tax collection",
                "mode": mode,
            },
        ).ok()
        return body


@pytest.fixture(scope="module")
def city(state: Government) -> City:
    """Return the city, with the register published under a law's article."""
    found = City(state)
    draft = {"jurisdiction": "cz-re", "entry": found.register}
    found.land.post("/entries", draft).ok()
    refused = found.land.post("/entries/cz-re/submit")
    # S-04.1, first half: R-053.
    assert (refused.status, refused.code) == (422, "BASIS_TYPE_NOT_ALLOWED")
    assert found.land.get("/entries/cz-re").ok()["state"] == "DRAFT"

    found.register = real_estate("cz-re", "cz-land")
    version = found.land.get("/entries/cz-re").headers["ETag"]
    corrected = {"jurisdiction": "cz-re", "entry": found.register}
    found.land.put("/entries/cz-re/draft", corrected, **{"If-Match": version}).ok()
    unit = record(found.register, "u1", "dwelling", "yes", "by a court")
    state.bring_out(found.land, found.register, unit)
    return found


def test_what_is_not_shared_is_published_with_its_basis(city: City) -> None:
    """S-04.1: R-053, R-029; another department sees the metadata, and no data."""
    live = city.tax.get("/entries/cz-re").ok()["live"]

    assert {item["name"] for item in live["items"]} == set(ITEMS)
    (seizure,) = (group for group in live["groups"] if group["name"] == "seizure")
    for rule in seizure["rules"].values():
        assert rule["share_class"] == "NOT_SHARED"
        assert (rule["legal_basis"]["type"], rule["legal_basis"]["article"]) == ("law", "12")


def test_the_bureau_shares_one_flag_after_talks_failed(state: Government, city: City) -> None:
    """S-04.2, S-04.3, S-04.5: R-091, R-092."""
    state.clock.set(2019, 3, 18)
    asked = city.ask("cz-re", "seized", "seizure_details")
    assert (asked["state"], asked["due"]) == ("CONSULTING", None)
    request = f"/requests/{asked['id']}"
    early = city.land.post(f"{request}/approve", SEIZED)
    assert (early.status, early.code) == (409, "STATE_CONFLICT")
    assert "CONSULTING" in early.body["detail"]

    without = city.tax.post(f"{request}/escalate", {"reason": "no agreement"})
    assert (without.status, without.code) == (422, "CONSULTATION_REQUIRED")
    assert city.tax.get(request).ok()["state"] == "CONSULTING"

    city.land.post(f"{request}/consult", {"agreed": False, "note": "the court forbids it"}).ok()
    escalated = city.tax.post(f"{request}/escalate", {"reason": "no agreement"}).ok()
    assert escalated["state"] == "ESCALATED"
    assert [hop["body"] for hop in escalated["hops"]] == ["authority"]
    assert city.group.post(f"{request}/decide", {"decision": SEIZED}).code == "FORBIDDEN_ROLE"
    assert city.land.post(f"{request}/decide", {"decision": SEIZED}).code == "FORBIDDEN_ROLE"

    state.clock.set(2019, 3, 20)
    decided = city.bureau.post(f"{request}/decide", {"decision": SEIZED}).ok()
    assert decided["state"] == "AUTHORISED"
    assert decided["decision"]["basis"] == "escalation"
    assert decided["decision"]["treatments"] == {"unit_no": "keep", "seized": "keep"}

    inbox = state.subscriber(city.operator.post(f"{request}/activate").ok())
    assert inbox.wait("u1", seized="yes") == {"unit_no": "u1", "seized": "yes"}
    inbox.close()


def test_with_a_provincial_provider_the_leading_group_decides(
    state: Government, city: City
) -> None:
    """S-04.4: R-093."""
    state.clock.set(2019, 3, 18)
    register = real_estate("cz-re-prov", "cz-prov")
    state.publish(city.province, "cz-re", register, record(register, "u9", "farm", "no"))
    asked = city.ask("cz-re-prov", "seized")
    assert asked["state"] == "CONSULTING"
    request = f"/requests/{asked['id']}"
    city.tax.post(f"{request}/consult", {"agreed": False, "note": "no"}).ok()

    escalated = city.tax.post(f"{request}/escalate", {"reason": "no agreement"}).ok()

    assert [hop["body"] for hop in escalated["hops"]] == ["steering"]
    assert city.bureau.post(f"{request}/decide", {"decision": SEIZED}).code == "FORBIDDEN_ROLE"
    state.clock.set(2019, 3, 20)
    assert city.group.post(f"{request}/decide", {"decision": SEIZED}).ok()["state"] == "AUTHORISED"


def test_a_body_may_deny_for_good(state: Government, city: City) -> None:
    """S-04.3: R-092; nobody delivers anything then."""
    state.clock.set(2019, 3, 18)
    request = f"/requests/{city.ask('cz-re', 'seizure_details')['id']}"
    city.tax.post(f"{request}/consult", {"agreed": False, "note": "no"}).ok()
    city.tax.post(f"{request}/escalate", {"reason": "no agreement"}).ok()

    denied = city.bureau.post(f"{request}/decide", {}).ok()

    assert (denied["state"], denied["grant"]) == ("DENIED_FINAL", None)
    assert city.operator.post(f"{request}/activate").status == 409


def test_a_loosened_class_lets_an_open_request_through(state: Government, city: City) -> None:
    """R-063: what needs nobody's decision any more is granted with the new version."""
    state.clock.set(2019, 3, 18)
    strict = entry(
        "cz-open", "cz-land", dict.fromkeys(["plot", "use"], "all"), {"all": conditional()}
    )
    state.publish(city.land, "cz-re", strict, record(strict, "l1", "field"))
    asked = city.ask("cz-open", "use")
    assert (asked["state"], asked["due"]["day"]) == ("PENDING", "2019-04-01")
    by_front_end = city.ask("cz-open", "use", mode="front-end")

    loosened = entry(
        "cz-open",
        "cz-land",
        dict.fromkeys(["plot", "use"], "all"),
        {"all": {"class": "UNCONDITIONAL"}},
        delivery_modes=["kafka"],
    )
    version = city.land.get("/entries/cz-open").headers["ETag"]
    edit = {"jurisdiction": "cz-re", "entry": loosened}
    city.land.put("/entries/cz-open/draft", edit, **{"If-Match": version}).ok()
    city.land.post("/entries/cz-open/submit").ok()
    assert city.tax.get(f"/requests/{asked['id']}").ok()["state"] == "PENDING"
    city.land.post("/entries/cz-open/publish").ok()

    granted = city.tax.get(f"/requests/{asked['id']}").ok()
    assert granted["state"] == "GRANTED_DIRECT"
    assert granted["share_class"] == "UNCONDITIONAL"
    assert asked["id"] in city.tax.told("REQUEST_GRANTED_DIRECT")
    # What the new version cannot give as it was asked for stays with the provider.
    assert city.tax.get(f"/requests/{by_front_end['id']}").ok()["state"] == "PENDING"
    assert by_front_end["id"] in city.land.told("REQUEST_STILL_OPEN")
    assert city.land.post(f"/grants/{granted['grant']}/credentials").code == "FORBIDDEN_ROLE"
    assert city.province.post(f"/grants/{granted['grant']}/credentials").status == 404
    renewed = city.tax.post(f"/grants/{granted['grant']}/credentials").ok()
    inbox = state.subscriber({**granted, **renewed})
    assert inbox.wait("l1") == {"plot": "l1", "use": "field"}
    inbox.close()
