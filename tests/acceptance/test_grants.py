"""The list of grants: who sees which, in pages."""

from typing import Any

import pytest

from bus.domain.identity import Role
from tests.acceptance.government import Desk, Government
from tests.acceptance.resources import UNCONDITIONAL, entry, record

_PLACE = "gl"
_COUNTY = "county_department"


class _Parties:
    """Two providers with a resource each, two consumers with a grant on each, and an auditor."""

    def __init__(self, state: Government) -> None:
        state.clock.set(2019, 6, 3)
        state.jurisdiction(_PLACE, "yanjin-2019", level="county")
        self.providers = [state.organisation(_PLACE, f"gl-p{each}", _COUNTY) for each in (1, 2)]
        self.consumers = [state.organisation(_PLACE, f"gl-c{each}", _COUNTY) for each in (1, 2)]
        self.auditor = state.organisation(_PLACE, "gl-audit", _COUNTY, roles=(Role.AUDITOR,))
        self.resources = []
        for number, provider in enumerate(self.providers, 1):
            made = entry(
                f"gl-r{number}", f"gl-p{number}", {"code": "base"}, {"base": UNCONDITIONAL}
            )
            self.resources.append(state.publish(provider, _PLACE, made, record(made, "k")))
        self.grants = {
            (place, resource): str(_ask(consumer, resource)["grant"])
            for place, consumer in enumerate(self.consumers)
            for resource in self.resources
        }


def _ask(consumer: Desk, resource: str) -> dict[str, Any]:
    asked = {"resource": resource, "duty": "work", "purpose": "WORK_REFERENCE", "items": ["code"]}
    return dict(consumer.post("/requests", asked).ok())


def _listed(desk: Desk, **parameters: str) -> set[str]:
    """Return the ids of a list, read in pages of one."""
    found: list[str] = []
    page = desk.get("/grants", limit="1", **parameters).ok()
    found += [each["id"] for each in page["items"]]
    while page["next"]:
        page = desk.get("/grants", limit="1", after=page["next"], **parameters).ok()
        found += [each["id"] for each in page["items"]]
    assert len(found) == len(set(found))
    assert found == sorted(found)
    return set(found)


@pytest.fixture(scope="module")
def parties(state: Government) -> _Parties:
    """Return everybody, with the grants given."""
    return _Parties(state)


def test_parties_see_their_grants_and_overseers_all_of_the_jurisdiction(parties: _Parties) -> None:
    """Unknown and forbidden look alike: another's grant is in no list."""
    of = parties.grants
    first, second = parties.resources

    assert _listed(parties.consumers[0]) == {of[0, first], of[0, second]}
    assert _listed(parties.providers[1]) == {of[0, second], of[1, second]}
    assert _listed(parties.auditor) == set(of.values())


def test_the_list_is_narrowed_by_resource_consumer_and_state(parties: _Parties) -> None:
    of = parties.grants
    first, second = parties.resources
    ended = of[1, second]
    parties.providers[1].post(f"/grants/{ended}/revoke", {"reason": "over"}).ok()

    assert _listed(parties.auditor, resource=first) == {of[0, first], of[1, first]}
    assert _listed(parties.auditor, consumer="gl-c2") == {of[1, first], ended}
    assert _listed(parties.providers[1], state="REVOKED") == {ended}
    assert _listed(parties.providers[1], state="ACTIVE") == {of[0, second]}
    assert parties.auditor.get("/grants", state="NONSENSE").code == "REQUEST_INVALID"
