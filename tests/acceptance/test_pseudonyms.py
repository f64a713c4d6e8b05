"""R-058, 化名: a provider gives an item as a pseudonym, and the authority renews the key."""

import re

from bus.domain.identity import Role
from tests.acceptance.government import Government
from tests.acceptance.resources import conditional, entry, record
from tests.live_platform import wait_until

_KIND = "county_department"


def test_an_item_is_approved_as_a_pseudonym_and_its_key_renewed(state: Government) -> None:
    """docs/adr/0024: request, decision, delivery; then a new key, and the old view is cut."""
    state.clock.set(2019, 6, 3)
    state.jurisdiction("ps", "yanjin-2019", level="county")
    police = state.organisation("ps", "ps-police", _KIND)
    health = state.organisation("ps", "ps-health", _KIND)
    authority = state.organisation("ps", "ps-bureau", _KIND, roles=(Role.AUTHORITY,))
    operator = state.organisation("ps", "ps-contractor", _KIND, roles=(Role.OPERATOR,))
    people = entry(
        "ps-people", "ps-police", {"code": "all", "phone": "all"}, {"all": conditional()}
    )
    state.publish(police, "ps", people, record(people, "p1", "138"), record(people, "p2", "138"))
    asked = {"resource": "ps-people", "items": ["code", "phone"], "purpose": "DATA_VERIFICATION"}
    request = health.post("/requests", {**asked, "duty": "care"}).ok()["id"]
    period = {"valid_from": "2019-06-03", "valid_until": "2020-06-02"}
    items = {"code": "keep", "phone": "hmac"}
    decision = {"items": items, "purpose": "DATA_VERIFICATION", **period}
    police.post(f"/requests/{request}/approve", decision).ok()
    given = operator.post(f"/requests/{request}/activate").ok()
    inbox = state.subscriber(given)

    wait_until(lambda: len(inbox.rows()) == 2, "both records, as pseudonyms")
    (first,) = {row["phone"] for row in inbox.rows().values()}
    assert re.fullmatch("[0-9a-f]{32}", first)

    secrets = state.platform.folder.root / "keys" / "pseudonyms"
    second = secrets / "2.key"
    second.touch(0o600)
    second.write_bytes(b"s" * 32)
    assert police.post("/organisations/ps-health/pseudonym-key").code == "FORBIDDEN_ROLE"
    renewed = authority.post("/organisations/ps-health/pseudonym-key").ok()

    assert renewed["organisation"]["pseudonym_key"] == 2
    assert health.told("PSEUDONYMS_RENEWED") == ["ps-health"]
    wait_until(
        lambda: {row["phone"] for row in inbox.rows().values()} not in ({first}, set()),
        "the records as other pseudonyms",
    )
    wait_until(lambda: len(inbox.rows()) == 2, "both of them")
    (other,) = {row["phone"] for row in inbox.rows().values()}
    assert re.fullmatch("[0-9a-f]{32}", other)
    assert other != first
    inbox.close()
    listed = state.administrator.get("/organisations").ok()["items"]
    versions = {each["code"]: each["pseudonym_key"] for each in listed}
    assert (versions["ps-health"], versions["ps-police"]) == (2, 1)
