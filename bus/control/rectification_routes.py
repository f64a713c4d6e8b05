"""Notices of rectification, and the conformity flag that the project gate reads."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from pydantic import Field

from bus.control.case_pages import TextFilter, case_answer, case_page, only
from bus.control.control_services import Services, as_json
from bus.control.edge_route import EdgeRoute
from bus.control.identity import ActingActor, needs
from bus.control.models import MAX_NAME_CHARACTERS, Name, StrictModel
from bus.control.pages import Paged
from bus.domain.accounts import ApiScope
from bus.domain.cases import CaseFilter
from bus.domain.rectification import RectificationState

router = APIRouter(
    prefix="/v1",
    tags=["supervision"],
    dependencies=[needs(ApiScope.SUPERVISION)],
    route_class=EdgeRoute,
)
NoticeId = Annotated[str, Path(max_length=MAX_NAME_CHARACTERS)]
Text = Annotated[str, Field(max_length=4000)]
#: A longer time than a year is none for rectification.
WorkingDays = Annotated[int, Field(ge=1, le=250)]


class NoticeBody(StrictModel):
    """What an organisation has to rectify, on what grounds and evidence."""

    organisation: Name
    grounds: Annotated[list[Name], Field(max_length=20)]
    evidence: Text = ""
    breaches: list[Name] = Field(default=[], max_length=100)


class DeadlineBody(StrictModel):
    """The time that is given, in working days."""

    deadline_wd: WorkingDays


class AnswerBody(StrictModel):
    """What the addressee says to a notice."""

    answer: Text = ""


class ReportBody(StrictModel):
    """What the addressee has done."""

    report: Text = ""


class CheckBody(StrictModel):
    """Whether the work is accepted; if not, why."""

    accepted: bool
    reason: Text = ""


class SanctionBody(StrictModel):
    """A sanction of the profile, and the document of the decision."""

    sanction: Name
    document: Text = ""


class FindingBody(StrictModel):
    """How the work was verified."""

    finding: Text = ""


class LiftBody(StrictModel):
    """The document that lifts a suspension."""

    document: Text = ""


@router.post("/rectifications", status_code=201, response_model=dict[str, Any])
def draft_rectification(body: NoticeBody, services: Services, by: ActingActor) -> Response:
    """Draft a notice of rectification, as the body that the profile names (R-222)."""
    held = services.rectifications.draft(
        by,
        body.organisation,
        grounds=tuple(body.grounds),
        evidence=body.evidence,
        breaches=tuple(body.breaches),
    )
    return case_answer(held, 201)


@router.get("/rectifications")
def list_rectifications(
    services: Services,
    by: ActingActor,
    page: Paged,
    organisation: TextFilter = None,
    state: RectificationState | None = None,
) -> dict[str, Any]:
    """Return the notices that the caller may know of, in order of time."""
    return case_page(
        page,
        services.rectifications.page,
        by,
        CaseFilter(provider=organisation, states=only(state)),
    )


@router.get("/rectifications/{notice}", response_model=dict[str, Any])
def get_rectification(notice: NoticeId, services: Services, by: ActingActor) -> Response:
    """Return a notice."""
    return case_answer(services.rectifications.get(by, notice))


@router.post("/rectifications/{notice}/issue", response_model=dict[str, Any])
def issue_rectification(
    notice: NoticeId, body: DeadlineBody, services: Services, by: ActingActor
) -> Response:
    """Send a notice out, with its deadline."""
    return case_answer(services.rectifications.issue(by, notice, deadline_wd=body.deadline_wd))


@router.post("/rectifications/{notice}/acknowledge", response_model=dict[str, Any])
def acknowledge_rectification(
    notice: NoticeId, body: AnswerBody, services: Services, by: ActingActor
) -> Response:
    """Acknowledge a notice as its addressee."""
    return case_answer(services.rectifications.acknowledge(by, notice, answer=body.answer))


@router.post("/rectifications/{notice}/report", response_model=dict[str, Any])
def report_rectification(
    notice: NoticeId, body: ReportBody, services: Services, by: ActingActor
) -> Response:
    """Say what was done; the issuer checks it."""
    return case_answer(services.rectifications.report(by, notice, text=body.report))


@router.post("/rectifications/{notice}/check", response_model=dict[str, Any])
def check_rectification(
    notice: NoticeId, body: CheckBody, services: Services, by: ActingActor
) -> Response:
    """Accept the work, or send it back; the deadline stays."""
    return case_answer(
        services.rectifications.check(by, notice, accepted=body.accepted, reason=body.reason)
    )


@router.post("/rectifications/{notice}/extend", response_model=dict[str, Any])
def extend_rectification(
    notice: NoticeId, body: DeadlineBody, services: Services, by: ActingActor
) -> Response:
    """Set a new deadline after a miss that does not escalate yet."""
    return case_answer(services.rectifications.extend(by, notice, deadline_wd=body.deadline_wd))


@router.post("/rectifications/{notice}/sanction", response_model=dict[str, Any])
def sanction_rectification(
    notice: NoticeId, body: SanctionBody, services: Services, by: ActingActor
) -> Response:
    """Record a sanction (R-224); a suspension of project approvals raises the flag."""
    return case_answer(
        services.rectifications.sanction(by, notice, kind=body.sanction, document=body.document)
    )


@router.post("/rectifications/{notice}/verify", response_model=dict[str, Any])
def verify_rectification(
    notice: NoticeId, body: FindingBody, services: Services, by: ActingActor
) -> Response:
    """Close a sanctioned case because the work is done."""
    return case_answer(services.rectifications.verify(by, notice, finding=body.finding))


@router.post("/rectifications/{notice}/lift", status_code=201)
def lift_project_flag(
    notice: NoticeId, body: LiftBody, services: Services, by: ActingActor
) -> dict[str, Any]:
    """Lift the suspension of project approvals, once the notice is closed."""
    lifted: dict[str, Any] = as_json(
        services.rectifications.lift(by, notice, document=body.document).value
    )
    return lifted


@router.get("/organisations/{code}/conformity")
def get_conformity(code: NoticeId, services: Services, by: ActingActor) -> dict[str, Any]:
    """
    Return whether projects of an organisation may be approved (R-227), for the project gate.

    `NOT_CONFORMING` while a suspension stands; with the suspensions and the breach register.
    """
    found = services.rectifications.conformity(by, code)
    return {
        "organisation": found.organisation,
        "conformity": "CONFORMING" if found.conforming else "NOT_CONFORMING",
        "project_approval": "OPEN" if found.conforming else "SUSPENDED",
        "flags": [as_json(each) for each in found.flags],
        "breaches": [as_json(each) for each in found.breaches],
    }
