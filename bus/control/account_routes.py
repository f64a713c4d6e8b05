"""Accounts, their tokens and links, and operator authorisations."""

import datetime as dt
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, SecretStr

from bus.control.edge_route import EdgeRoute
from bus.control.identity import Acting, ActingActor, Asking, needs, parts
from bus.domain.accounts import (
    PASSWORD_MAX_LENGTH,
    Account,
    AccountKind,
    ApiScope,
    ApiToken,
    OperatorAuthorisation,
)
from bus.domain.identity import Role
from bus.ports.identity import SubjectClaim

router = APIRouter(
    prefix="/v1",
    tags=["identity"],
    dependencies=[needs(ApiScope.ACCOUNTS)],
    route_class=EdgeRoute,
)

_NEVER_STORED = {"Cache-Control": "no-store"}
_MAX_TEXT = 200
_NO_NUL = r"^[^\x00]*$"
_Name = Annotated[str, Path(max_length=_MAX_TEXT)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class AccountBody(_Body):
    """A new account."""

    name: str = Field(max_length=_MAX_TEXT)
    organisation: str = Field(max_length=_MAX_TEXT)
    jurisdiction: str = Field(max_length=_MAX_TEXT)
    kind: AccountKind
    roles: frozenset[Role] = frozenset()
    display_name: str = Field(default="", max_length=_MAX_TEXT)
    password: SecretStr | None = Field(default=None, max_length=PASSWORD_MAX_LENGTH)


class RolesBody(_Body):
    """The roles of an account, all of them."""

    roles: frozenset[Role]


class ActiveBody(_Body):
    """Whether an account is open."""

    active: bool


class NewPasswordBody(_Body):
    """Another password; whoever changes the own one says the current."""

    password: SecretStr = Field(max_length=PASSWORD_MAX_LENGTH)
    current: SecretStr | None = Field(default=None, max_length=PASSWORD_MAX_LENGTH)


class TokenBody(_Body):
    """What a new token is good for, and until when."""

    scopes: frozenset[ApiScope] = Field(min_length=1)
    expires_at: AwareDatetime
    title: str = Field(default="", max_length=_MAX_TEXT)


class LinkBody(_Body):
    """Whom an identity provider calls so logs in as this account."""

    issuer: str = Field(min_length=1, max_length=_MAX_TEXT, pattern=_NO_NUL)
    claim: SubjectClaim
    value: str = Field(min_length=1, max_length=_MAX_TEXT, pattern=_NO_NUL)


class AuthorisationBody(_Body):
    """What an organisation may do as operator, and when (R-010)."""

    organisation: str = Field(max_length=_MAX_TEXT)
    valid_from: dt.date
    valid_until: dt.date
    scope: frozenset[ApiScope] = Field(min_length=1)
    document: str = Field(default="", max_length=_MAX_TEXT, pattern=_NO_NUL)


# --- Accounts -------------------------------------------------------------------------------------


@router.post("/accounts", status_code=201)
def create_account(body: AccountBody, request: Request, by: ActingActor) -> dict[str, Any]:
    """Add an account."""
    account = Account(**body.model_dump(exclude={"password"}))
    password = None if body.password is None else body.password.get_secret_value()
    parts(request).accounts.create(by, account, password)
    return _account(account)


@router.get("/accounts")
def list_accounts(request: Request, by: ActingActor) -> dict[str, Any]:
    """Return the accounts that the caller may know of."""
    return {"items": [_account(each) for each in parts(request).accounts.all(by)]}


@router.get("/accounts/{name}")
def get_account(name: _Name, request: Request, by: ActingActor) -> dict[str, Any]:
    """Return an account."""
    return _account(parts(request).accounts.get(by, name))


@router.put("/accounts/{name}/roles")
def set_roles(name: _Name, body: RolesBody, request: Request, by: ActingActor) -> dict[str, Any]:
    """Give an account these roles and no others."""
    return _account(parts(request).accounts.set_roles(by, name, body.roles))


@router.put("/accounts/{name}/active")
def set_active(name: _Name, body: ActiveBody, request: Request, by: ActingActor) -> dict[str, Any]:
    """Close an account, which ends its sessions, or open it again."""
    return _account(parts(request).accounts.set_active(by, name, active=body.active))


@router.put("/accounts/{name}/password", status_code=204)
def set_password(name: _Name, body: NewPasswordBody, request: Request, by: Asking) -> Response:
    """Give an account another password, which ends its sessions."""
    if name != by.actor.account:
        parts(request).identity.permit(by, ApiScope.ACCOUNTS)
    parts(request).accounts.set_password(
        by,
        name,
        body.password.get_secret_value(),
        current=None if body.current is None else body.current.get_secret_value(),
    )
    return Response(status_code=204)


@router.post("/accounts/{name}/links", status_code=204)
def link(name: _Name, body: LinkBody, request: Request, by: ActingActor) -> Response:
    """Let somebody whom the identity provider knows log in as this account."""
    parts(request).accounts.link(by, name, body.issuer, body.claim, body.value)
    return Response(status_code=204)


@router.delete("/accounts/{name}/links", status_code=204)
def unlink(
    name: _Name, query: Annotated[LinkBody, Query()], request: Request, by: ActingActor
) -> Response:
    """Let them log in no more; that ends the account's sessions."""
    parts(request).accounts.unlink(by, name, query.issuer, query.claim, query.value)
    return Response(status_code=204)


# --- Tokens ---------------------------------------------------------------------------------------


@router.post("/accounts/{name}/tokens", status_code=201)
def issue_token(name: _Name, body: TokenBody, request: Request, by: Acting) -> Response:
    """Return a new token of an account; its text is shown this once."""
    issued = parts(request).accounts.issue_token(
        by, name, body.scopes, expires_at=body.expires_at, title=body.title
    )
    content = {**_token(issued.token), "token": issued.text}
    return JSONResponse(content, status_code=201, headers=_NEVER_STORED)


@router.get("/accounts/{name}/tokens")
def list_tokens(name: _Name, request: Request, by: ActingActor) -> dict[str, Any]:
    """Return the tokens of an account, without their texts."""
    return {"items": [_token(each) for each in parts(request).accounts.tokens(by, name)]}


@router.delete("/accounts/{name}/tokens/{token_id}", status_code=204)
def revoke_token(name: _Name, token_id: _Name, request: Request, by: ActingActor) -> Response:
    """End a token."""
    parts(request).accounts.revoke_token(by, name, token_id)
    return Response(status_code=204)


# --- Operators ------------------------------------------------------------------------------------


@router.post("/operator-authorisations", status_code=201)
def authorise_operator(
    body: AuthorisationBody, request: Request, by: ActingActor
) -> dict[str, Any]:
    """Let an organisation operate the platform, from one day through another."""
    return _authorisation(parts(request).accounts.authorise_operator(by, **body.model_dump()))


@router.get("/operator-authorisations")
def list_authorisations(request: Request, by: ActingActor) -> dict[str, Any]:
    """Return the authorisations that the caller may know of."""
    found = parts(request).accounts.authorisations(by)
    return {"items": [_authorisation(each) for each in found]}


@router.delete("/operator-authorisations/{authorisation_id}")
def revoke_authorisation(
    authorisation_id: _Name, request: Request, by: ActingActor
) -> dict[str, Any]:
    """End an authorisation before its time."""
    return _authorisation(parts(request).accounts.revoke_authorisation(by, authorisation_id))


# --- Documents ------------------------------------------------------------------------------------


def _account(account: Account) -> dict[str, Any]:
    return {
        "name": account.name,
        "organisation": account.organisation,
        "jurisdiction": account.jurisdiction,
        "kind": account.kind,
        "roles": sorted(account.roles),
        "display_name": account.display_name,
        "active": account.active,
    }


def _token(token: ApiToken) -> dict[str, Any]:
    return {
        "id": token.id,
        "account": token.account,
        "scopes": sorted(token.scopes),
        "expires_at": token.expires_at.isoformat(),
        "title": token.title,
        "revoked": token.revoked,
    }


def _authorisation(authorisation: OperatorAuthorisation) -> dict[str, Any]:
    return {
        "id": authorisation.id,
        "organisation": authorisation.organisation,
        "jurisdiction": authorisation.jurisdiction,
        "valid_from": authorisation.valid_from.isoformat(),
        "valid_until": authorisation.valid_until.isoformat(),
        "scope": sorted(authorisation.scope),
        "document": authorisation.document,
        "revoked": authorisation.revoked,
    }
