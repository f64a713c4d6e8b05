"""What the authority keeps about the catalog: filings, and the one source of each element."""

from typing import Any

import pytest

from bus.domain.identity import Role
from tests.acceptance.government import Desk, Government
from tests.acceptance.resources import conditional, entry, record
from tests.live_platform import wait_until

KIND = "county_department"


@pytest.fixture(scope="module")
def bureau(state: Government) -> Desk:
    """Return the authority of a county whose profile asks for filing."""
    state.clock.set(2019, 6, 3)
    state.jurisdiction("keep", "yanjin-2019", level="county")
    return state.organisation("keep", "keep-bureau", KIND, roles=(Role.AUTHORITY,))


def marriages(provider: str, **more: Any) -> dict[str, Any]:
    """Return an entry of a provider."""
    return entry(
        f"{provider}-mar",
        provider,
        {"reg_no": "all", "kind": "all"},
        {"all": conditional()},
        **more,
    )


def test_a_published_version_is_unfiled_until_the_authority_acknowledges_it(
    state: Government, bureau: Desk
) -> None:
    """R-027, S-11.5: each version has a filing of its own."""
    civil = state.organisation("keep", "keep-civil", KIND)
    stranger = state.organisation("keep", "keep-tax", KIND)
    mar = marriages("keep-civil")
    state.publish(civil, "keep", mar, record(mar, "m1", "marriage"))

    (filing,) = bureau.get("/filings", resource="keep-civil-mar").ok()["items"]
    path = f"/filings/{filing['id']}"
    assert (filing["state"], filing["version"], filing["owner"]) == (
        "FILING_PENDING",
        1,
        "keep-civil",
    )
    assert civil.get("/entries/keep-civil-mar").ok()["flags"] == ["FILING_PENDING"]
    assert civil.get("/filings").ok()["items"] == [filing]
    assert stranger.get("/filings").ok()["items"] == []
    assert stranger.get(path).status == 404
    told = bureau.get("/notices").ok()["items"]
    assert ("FILING_PENDING", filing["id"]) in {(each["code"], each["subject"]) for each in told}
    assert civil.post(f"{path}/acknowledge", {"number": "1"}).code == "FORBIDDEN_ROLE"

    filed = bureau.post(f"{path}/acknowledge", {"number": "2019-12"}).ok()

    assert (filed["state"], filed["number"], filed["acknowledged_by"]) == (
        "FILED",
        "2019-12",
        "keep-bureau",
    )
    assert civil.get("/entries/keep-civil-mar").ok()["flags"] == ["FILED"]
    assert bureau.post(f"{path}/acknowledge").code == "STATE_CONFLICT"

    read = civil.get("/entries/keep-civil-mar")
    changed = {**mar, "update_limit_days": 7}
    civil.put(
        "/entries/keep-civil-mar/draft",
        {"entry": changed, "jurisdiction": "keep"},
        **{"If-Match": read.headers["etag"]},
    ).ok()
    civil.post("/entries/keep-civil-mar/submit").ok()
    civil.post("/entries/keep-civil-mar/publish").ok()
    found = bureau.get("/filings", resource="keep-civil-mar").ok()["items"]
    assert {each["version"]: each["state"] for each in found} == {1: "FILED", 2: "FILING_PENDING"}
    assert civil.get("/entries/keep-civil-mar").ok()["flags"] == ["FILING_PENDING"]


def test_where_the_profile_asks_for_no_filing_there_is_none(state: Government) -> None:
    """R-027: catalog.filing_required."""
    kind = "government_department"
    state.jurisdiction("keep-none", "changzhou-2018")
    civil = state.organisation("keep-none", "keep-none-civil", kind)
    authority = state.organisation("keep-none", "keep-none-bureau", kind, roles=(Role.AUTHORITY,))
    mar = marriages("keep-none-civil")
    state.publish(civil, "keep-none", mar, record(mar, "m1", "marriage"))

    assert authority.get("/filings").ok()["items"] == []
    assert civil.get("/entries/keep-none-civil-mar").ok()["flags"] == []


def states(desk: Desk, element: str) -> dict[str, str]:
    """Return how each organisation's assignment of an element stands."""
    found = desk.get(f"/sources/{element}").ok()["assignments"]
    return {each["organisation"]: each["state"] for each in found}


def test_the_authority_and_not_the_first_comer_fixes_the_source(
    state: Government, bureau: Desk
) -> None:
    """R-035, R-155: pending until confirmed; one source, and its successor from an instant on."""
    state.clock.set(2019, 6, 3)
    first, second = (state.organisation("keep", each, KIND) for each in ("keep-a", "keep-b"))
    element = "keep-b-mar-kind"
    claims = {
        desk.post("/sources", {"element": element}).ok()["assignments"][-1]["organisation"]
        for desk in (first, second)
    }
    assert claims == {"keep-a", "keep-b"}
    found = bureau.get(f"/sources/{element}").ok()["assignments"]
    (of_first, of_second) = (each["id"] for each in found)
    fixed = {"standard": "GB/T 1", "duty": "registers marriages"}

    assert first.post(f"/sources/{element}/{of_first}/confirm", fixed).code == "FORBIDDEN_ROLE"
    path = f"/sources/{element}/{of_second}"
    assert bureau.post(f"{path}/confirm", {"duty": "x"}).code == "STANDARD_REQUIRED"
    bureau.post(f"{path}/confirm", fixed).ok()

    assert states(first, element) == {"keep-a": "CLAIMED", "keep-b": "ACTIVE"}
    again = bureau.post(f"/sources/{element}/{of_first}/confirm", fixed)
    assert again.code == "ONE_SOURCE_CONFLICT"
    reason = {"reason": "keep-b has the duty"}
    bureau.post(f"/sources/{element}/{of_first}/reject", reason).ok()

    # What another organisation publishes with the element is refused, whoever was first.
    other = marriages("keep-a")
    other["items"][1]["element"] = element
    first.post("/entries", {"jurisdiction": "keep", "entry": other}).ok()
    refused = first.post("/entries/keep-a-mar/submit")
    assert refused.code == "ONE_SOURCE_CONFLICT"
    assert "keep-b" in refused.body["detail"]

    moved = {"to": "keep-a", "at": "2019-07-01T00:00:00+08:00"}
    assert bureau.post(f"{path}/transfer", moved).code == "REASON_REQUIRED"
    bureau.post(f"{path}/transfer", {**moved, "reason": "functions were moved"}).ok()
    state.clock.set(2019, 6, 30, 23, 59)
    assert [each["state"] for each in first.get(f"/sources/{element}").ok()["assignments"]] == [
        "ENDED",
        "ACTIVE",
        "CONFIRMED",
    ]
    assert first.post("/entries/keep-a-mar/submit").code == "ONE_SOURCE_CONFLICT"
    state.clock.set(2019, 7, 1, 0)
    wait_until(
        lambda: states(first, element) == {"keep-a": "ACTIVE", "keep-b": "TRANSFERRED"},
        "the successor is the source",
    )
    assert first.post("/entries/keep-a-mar/submit").ok()["state"] == "APPROVED"

    successor = bureau.get(f"/sources/{element}").ok()["assignments"][-1]["id"]
    ended = bureau.post(f"/sources/{element}/{successor}/end", {"reason": "no more marriages"})
    gap = ended.ok()["assignments"][-1]
    assert (gap["state"], gap["reason"]) == ("ENDED", "no more marriages")
    listed = second.get("/sources").ok()["items"]
    assert [each["element"] for each in listed] == [element]
