"""Jurisdictions, organisations with their contacts, first access."""

import datetime as dt
from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import Field

from bus.control.control_services import Services, as_json
from bus.control.edge_route import EdgeRoute
from bus.control.identity import ActingActor, needs
from bus.control.models import MAX_NAME_CHARACTERS, Name, StrictModel
from bus.domain.accounts import ApiScope
from bus.domain.contacts import Contact, ContactKind
from bus.domain.jurisdiction import Jurisdiction
from bus.domain.onboarding import Pledge
from bus.domain.organisation import Level, Organisation, Zone

router = APIRouter(
    prefix="/v1",
    tags=["organisations"],
    dependencies=[needs(ApiScope.CATALOG)],
    route_class=EdgeRoute,
)
Code = Annotated[str, Path(max_length=MAX_NAME_CHARACTERS)]


class TitlesBody(StrictModel):
    """A title in both languages."""

    zh: Name
    en: Name


class JurisdictionBody(StrictModel):
    """A jurisdiction and the profile that governs it."""

    code: Name
    titles: TitlesBody
    profile: Name
    level: Level | None = None


class ContactBody(StrictModel):
    """Who answers for an organisation from a day on."""

    kind: ContactKind
    name: Name
    reached_by: str = Field(default="", max_length=MAX_NAME_CHARACTERS)
    since: dt.date

    def contact(self) -> Contact:
        """Return the domain value."""
        return Contact(kind=self.kind, name=self.name, reached_by=self.reached_by, since=self.since)


class OrganisationBody(StrictModel):
    """An organisation to register."""

    code: Name
    jurisdiction: Name
    titles: TitlesBody
    level: Level
    zone: Zone
    kind: Name
    outside: bool = False
    active: bool = True
    contacts: list[ContactBody] = Field(default=[], max_length=20)


class ActiveBody(StrictModel):
    """Whether an organisation may publish and receive."""

    active: bool


class ApplicationBody(StrictModel):
    """A written application for access."""

    document: Name


class PledgeBody(StrictModel):
    """A signed pledge (承诺书)."""

    document: Name
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    signed_by: Name


class AccessLapseBody(StrictModel):
    """Why an organisation's access is taken back."""

    reason: str = ""


class AccessDecisionBody(StrictModel):
    """The decision about an application for access."""

    approved: bool
    reason: str = ""


@router.post("/jurisdictions", status_code=201)
def set_up_jurisdiction(
    body: JurisdictionBody, services: Services, by: ActingActor
) -> dict[str, Any]:
    """Set a jurisdiction up under a profile."""
    jurisdiction = Jurisdiction(
        code=body.code,
        title_zh=body.titles.zh,
        title_en=body.titles.en,
        profile=body.profile,
        level=body.level,
    )
    return {"jurisdiction": as_json(services.registration.set_up(by, jurisdiction).value)}


@router.get("/jurisdictions")
def list_jurisdictions(services: Services, by: ActingActor) -> dict[str, Any]:
    """Return all jurisdictions."""
    return {"items": [as_json(each.value) for each in services.registration.jurisdictions(by)]}


@router.post("/organisations", status_code=201)
def register_organisation(
    body: OrganisationBody, services: Services, by: ActingActor
) -> dict[str, Any]:
    """
    Register an organisation.

    The answer holds the password of its Kafka account. It is shown this once and stored nowhere.
    """
    organisation = Organisation(
        code=body.code,
        jurisdiction=body.jurisdiction,
        title_zh=body.titles.zh,
        title_en=body.titles.en,
        level=body.level,
        zone=body.zone,
        active=body.active,
        kind=body.kind,
        outside=body.outside,
    )
    contacts = tuple(each.contact() for each in body.contacts)
    passwords = services.registration.register(by, organisation, contacts)
    return {
        "organisation": as_json(organisation),
        "credentials": [
            {"username": name, "password": password} for name, password in passwords.items()
        ],
    }


@router.get("/organisations")
def list_organisations(services: Services, by: ActingActor) -> dict[str, Any]:
    """Return all organisations."""
    return {"items": [as_json(each) for each in services.registration.organisations(by)]}


@router.get("/organisations/{code}")
def get_organisation(code: Code, services: Services, by: ActingActor) -> dict[str, Any]:
    """Return an organisation, and how its access to the platform stands."""
    return {
        "organisation": as_json(services.registration.organisation(by, code)),
        "access": as_json(services.registration.access(by, code)),
    }


@router.post("/organisations/{code}/contacts", status_code=201)
def appoint_contact(
    code: Code, body: ContactBody, services: Services, by: ActingActor
) -> dict[str, Any]:
    """Let somebody else answer for an organisation."""
    return {"contacts": as_json(services.registration.appoint(by, code, body.contact()).value)}


@router.post("/organisations/{code}/active")
def set_active(code: Code, body: ActiveBody, services: Services, by: ActingActor) -> dict[str, Any]:
    """Activate an organisation, or stop it."""
    changed = services.registration.set_active(by, code, active=body.active)
    return {"organisation": as_json(changed)}


@router.post("/organisations/{code}/pseudonym-key", status_code=201)
def renew_pseudonyms(code: Code, services: Services, by: ActingActor) -> dict[str, Any]:
    """
    Take the next version of the key of an organisation's pseudonyms (treatment `hmac`).

    Routers need the secret of that version first. All its views with pseudonyms are filled anew;
    when the answer is there, the old ones are not read any more.
    """
    return {"organisation": as_json(services.registration.renew_pseudonyms(by, code))}


@router.post("/organisations/{code}/access/apply", status_code=201)
def apply_for_access(
    code: Code, body: ApplicationBody, services: Services, by: ActingActor
) -> dict[str, Any]:
    """Apply in writing for access to the platform (R-004)."""
    held = services.registration.apply_for_access(by, code, application=body.document)
    return {"access": as_json(held.value)}


@router.post("/organisations/{code}/access/pledge")
def sign_pledge(
    code: Code, body: PledgeBody, services: Services, by: ActingActor
) -> dict[str, Any]:
    """Store the signed pledge."""
    pledge = Pledge(
        document=body.document,
        sha256=body.sha256,
        signed_by=body.signed_by,
        signed_at=dt.datetime.now(dt.UTC),
    )
    return {"access": as_json(services.registration.sign_pledge(by, code, pledge).value)}


@router.post("/organisations/{code}/access/decide")
def decide_access(
    code: Code, body: AccessDecisionBody, services: Services, by: ActingActor
) -> dict[str, Any]:
    """Decide an application for access."""
    held = services.registration.decide_access(by, code, approved=body.approved, reason=body.reason)
    return {"access": as_json(held.value)}


@router.post("/organisations/{code}/access/lapse")
def lapse_access(
    code: Code, body: AccessLapseBody, services: Services, by: ActingActor
) -> dict[str, Any]:
    """Take access back; when the answer is there, nothing more is read by the organisation."""
    return {
        "access": as_json(services.registration.lapse_access(by, code, reason=body.reason).value)
    }
