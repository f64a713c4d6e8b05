"""`onesource org | entry | request | grant`: what departments and bodies do, over the API."""

import datetime as dt
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from bus.cli.session import JsonOption, acting, show

org_group = typer.Typer(help="组织机构 · Jurisdictions and organisations.", no_args_is_help=True)
entry_group = typer.Typer(
    help="目录 · Catalog entries, from draft to retirement.", no_args_is_help=True
)
request_group = typer.Typer(
    help="共享申请 · Share requests and their actions.", no_args_is_help=True
)
grant_group = typer.Typer(help="授权 · Grants.", no_args_is_help=True)

Resource = Annotated[str, typer.Argument(help="The resource's code.")]
RequestId = Annotated[str, typer.Argument(help="The request's id.")]
GrantId = Annotated[str, typer.Argument(help="The grant's id.")]
Reason = Annotated[str, typer.Option(help="Why.")]
Items = Annotated[
    list[str] | None, typer.Option("--item", help="A data item; give the option several times.")
]
Body = Annotated[
    str, typer.Option("--body", help="The action's body as JSON (docs: /docs at control).")
]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(org_group, name="org")
    app.add_typer(entry_group, name="entry")
    app.add_typer(request_group, name="request")
    app.add_typer(grant_group, name="grant")


# --- organisations --------------------------------------------------------------------------------


@org_group.command("jurisdiction")
def set_up_jurisdiction(
    code: Annotated[str, typer.Argument(help="A code: lower-case words, hyphens.")],
    profile: Annotated[str, typer.Option(help="The profile that governs it.")],
    zh: Annotated[str, typer.Option(help="Chinese title.")] = "",
    en: Annotated[str, typer.Option(help="English title.")] = "",
) -> None:
    """Set a jurisdiction up under a profile; for the administrator."""
    body = {"code": code, "titles": {"zh": zh or code, "en": en or code}, "profile": profile}
    with acting() as api:
        show(api.post("/jurisdictions", body), as_json=True)


@org_group.command("register")
def register_organisation(
    file: Annotated[Path, typer.Argument(help="The organisation as JSON, as the API takes it.")],
) -> None:
    """Register an organisation; its Kafka password is printed this once."""
    with acting() as api:
        show(api.post("/organisations", _document(file)), as_json=True)


@org_group.command("list")
def list_organisations(as_json: JsonOption = False) -> None:
    """List the organisations."""
    with acting() as api:
        columns = ("code", "jurisdiction", "title_zh", "level", "zone", "active")
        show(api.get("/organisations"), as_json=as_json, columns=columns)


@org_group.command("show")
def show_organisation(code: Annotated[str, typer.Argument(help="Its code.")]) -> None:
    """Show an organisation, and how its access stands."""
    with acting() as api:
        show(api.get(f"/organisations/{code}"), as_json=True)


@org_group.command("rekey")
def rekey_organisation(code: Annotated[str, typer.Argument(help="Its code.")]) -> None:
    """Take the next key version for an organisation's pseudonyms; its views are filled anew."""
    with acting() as api:
        show(api.post(f"/organisations/{code}/pseudonym-key", {}), as_json=True)


# --- entries --------------------------------------------------------------------------------------


@entry_group.command("draft")
def draft_entry(
    file: Annotated[Path, typer.Argument(help="An entry: YAML as in topics/, or JSON.")],
    jurisdiction: Annotated[str, typer.Option("--jurisdiction", "-j", help="Where it belongs.")],
) -> None:
    """Open the draft of a new entry, or change the draft of one that there is."""
    document = _document(file)
    body = {"jurisdiction": jurisdiction, "entry": document}
    with acting() as api:
        path = f"/entries/{document.get('resource', '')}"
        known = api.get("/entries", jurisdiction=jurisdiction, limit=200)["items"]
        if any(each["resource"] == document.get("resource") for each in known):
            show(api.put(f"{path}/draft", body, version=api.tag(path)), as_json=True)
        else:
            show(api.post("/entries", body), as_json=True)


@entry_group.command("list")
def list_entries(
    jurisdiction: Annotated[
        str | None, typer.Option("--jurisdiction", "-j", help="Of this one only.")
    ] = None,
    state: Annotated[str | None, typer.Option(help="PUBLISHED, DRAFT, …")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the entries that you may know of."""
    with acting() as api:
        found = api.get("/entries", jurisdiction=jurisdiction, state=state, limit=200)
        columns = ("resource", "jurisdiction", "owner", "state", "version")
        show(found, as_json=as_json, columns=columns)


@entry_group.command("show")
def show_entry(resource: Resource) -> None:
    """Show an entry: its state, its draft, and the version in force."""
    with acting() as api:
        show(api.get(f"/entries/{resource}"), as_json=True)


@entry_group.command("submit")
def submit_entry(resource: Resource) -> None:
    """Submit the draft; refused with everything that forbids it."""
    _act(f"/entries/{resource}/submit")


@entry_group.command("bind")
def bind_entry(resource: Resource) -> None:
    """Say that the data source is connected and tested; its first record publishes the entry."""
    _act(f"/entries/{resource}/bind", {"connection_tested": True})


@entry_group.command("act")
def act_on_entry(
    resource: Resource,
    action: Annotated[str, typer.Argument(help="approve, return, publish, suspend, retire, …")],
    body: Body = "{}",
) -> None:
    """Do anything else that the API can do to an entry."""
    _act(f"/entries/{resource}/{action}", json.loads(body))


# --- requests -------------------------------------------------------------------------------------


@request_group.command("submit")
def submit_request(
    resource: Resource,
    purpose: Annotated[str, typer.Option(help="ADMINISTRATIVE_BASIS, WORK_REFERENCE, …")],
    duty: Annotated[str, typer.Option(help="The duty that the data serves.")],
    item: Items = None,
    rows: Annotated[str | None, typer.Option(help="A row filter in CEL.")] = None,
) -> None:
    """Ask for data; what needs nobody's decision is granted at once."""
    body = {
        "resource": resource,
        "purpose": purpose,
        "duty": duty,
        "items": item or [],
        "rows": rows,
    }
    _act("/requests", body)


@request_group.command("list")
def list_requests(
    state: Annotated[str | None, typer.Option(help="PENDING, OVERDUE, …")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the requests that you may know of."""
    with acting() as api:
        columns = ("id", "ask.resource", "consumer", "provider", "state", "due.day")
        show(api.get("/requests", state=state, limit=200), as_json=as_json, columns=columns)


@request_group.command("show")
def show_request(request: RequestId) -> None:
    """Show a request with everything that was decided about it."""
    with acting() as api:
        show(api.get(f"/requests/{request}"), as_json=True)


@request_group.command("approve")
def approve_request(
    request: RequestId,
    until: Annotated[dt.datetime, typer.Option(formats=["%Y-%m-%d"], help="The last day.")],
    item: Annotated[
        list[str] | None,
        typer.Option(
            "--item",
            help="A data item, or item=treatment (null, partial 脱敏, fixed); several times.",
        ),
    ] = None,
    rows: Annotated[str | None, typer.Option(help="A row filter in CEL.")] = None,
) -> None:
    """Approve what was asked for, or a part of it (--item, --rows), masked where you say so."""
    with acting() as api:
        asked = api.get(f"/requests/{request}")["ask"]
        body = {
            "items": treated_items(item) if item else asked["items"],
            "rows": rows or asked["row_filter"],
            "purpose": asked["purpose"],
            "mode": asked["mode"],
            "valid_from": dt.datetime.now(dt.UTC).date().isoformat(),
            "valid_until": until.date().isoformat(),
        }
        show(api.post(f"/requests/{request}/approve", body), as_json=True)


def treated_items(items: Sequence[str]) -> dict[str, str]:
    """Return the treatment of each of `items`, each of them a name or name=treatment."""
    treated: dict[str, str] = {}
    for item in items:
        name, separator, treatment = item.partition("=")
        treated[name] = treatment if separator else "keep"
    return treated


@request_group.command("refuse")
def refuse_request(
    request: RequestId,
    text: Annotated[str, typer.Option(help="The reason.")],
    ground: Annotated[str, typer.Option(help="A coded ground.")] = "",
    citation: Annotated[str, typer.Option(help="Instrument and article.")] = "",
    document: Annotated[str, typer.Option(help="The digest of the signed document.")] = "",
    to: Annotated[str, typer.Option(help="To whom a written opinion is addressed.")] = "",
) -> None:
    """Refuse; how much has to be said is the profile's matter."""
    body = {
        "text": text,
        "ground": ground,
        "citation": citation,
        "document": document,
        "addressed_to": to,
    }
    _act(f"/requests/{request}/refuse", body)


@request_group.command("activate")
def activate_request(request: RequestId) -> None:
    """Put the grant in force, as whoever provisions; its Kafka password is printed this once."""
    _act(f"/requests/{request}/activate")


@request_group.command("act")
def act_on_request(
    request: RequestId,
    action: Annotated[
        str, typer.Argument(help="return, consent, consult, escalate, decide, withdraw, …")
    ],
    body: Body = "{}",
) -> None:
    """Do anything else that the API can do to a request."""
    _act(f"/requests/{request}/{action}", json.loads(body))


# --- grants ---------------------------------------------------------------------------------------


@grant_group.command("list")
def list_grants(
    state: Annotated[str | None, typer.Option(help="ACTIVE, SUSPENDED, …")] = None,
    resource: Annotated[str | None, typer.Option(help="Of one resource.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the grants that you may know of, ended ones too."""
    with acting() as api:
        columns = ("id", "resource", "consumer", "state", "valid_until")
        found = api.get("/grants", state=state, resource=resource, limit=200)
        show(found, as_json=as_json, columns=columns)


@grant_group.command("show")
def show_grant(grant: GrantId) -> None:
    """Show a grant."""
    with acting() as api:
        show(api.get(f"/grants/{grant}"), as_json=True)


@grant_group.command("suspend")
def suspend_grant(grant: GrantId, reason: Reason) -> None:
    """Suspend a grant: when this returns, nothing more is read under it."""
    _act(f"/grants/{grant}/suspend", {"reason": reason})


@grant_group.command("resume")
def resume_grant(grant: GrantId) -> None:
    """Resume a suspended grant."""
    _act(f"/grants/{grant}/resume")


@grant_group.command("revoke")
def revoke_grant(grant: GrantId, reason: Reason) -> None:
    """Revoke a grant for good: when this returns, nothing more is read under it."""
    _act(f"/grants/{grant}/revoke", {"reason": reason})


def _act(path: str, body: object | None = None) -> None:
    with acting() as api:
        show(api.post(path, body), as_json=True)


def _document(file: Path) -> dict[str, Any]:
    """Return the content of a JSON or YAML file."""
    import yaml

    from bus.errors import DefinitionInvalid

    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise DefinitionInvalid([f"{file} cannot be read: {error}"]) from error
    if not isinstance(content, dict):
        raise DefinitionInvalid([f"{file} holds no mapping"])
    return content
