"""
What schemathesis makes of the OpenAPI document, sent to the control process over HTTP.

Every operation is asked with what its description allows and with what it does not, by an account
with a token of every scope, or as the operator's principal. `API_EXAMPLES` says how often
each is asked (5 by default).
"""

import datetime as dt
import os
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from bus.adapters.postgres.identity_store import PostgresIdentityStore
from bus.adapters.postgres.pool import Postgres
from bus.domain.access import OPERATOR
from bus.domain.accounts import ALL_SCOPES, Account, AccountKind, new_token
from bus.domain.identity import EXCLUSIVE_ROLES, Role
from bus.settings import load_credentials
from tests import builders
from tests.identity_fakes import bearer
from tests.live_platform import LivePlatform

EXAMPLES = int(os.environ.get("API_EXAMPLES", "5"))
UNAUTHORISED = 401
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
#: The committed document; another test holds it to what control serves.
DOCUMENT = Path(__file__).parents[2] / "docs" / "reference" / "openapi.json"
OPERATIONS = {
    found.ok().label: found.ok()
    for found in schemathesis.openapi.from_path(DOCUMENT).get_all_operations()
    if isinstance(found, Ok)
}


@pytest.fixture(scope="module")
def token(platform: LivePlatform) -> str:
    """Return a token of an account with all roles that one account may have."""
    assert platform.settings.postgres is not None
    now = dt.datetime.now(dt.UTC)
    account = Account(
        name=platform.new_code("schemathesis"),
        organisation=builders.PROVIDER,
        jurisdiction=builders.organisation(builders.PROVIDER).jurisdiction,
        kind=AccountKind.SERVICE,
        roles=frozenset(Role) - EXCLUSIVE_ROLES,
    )
    made, text = new_token(account.name, ALL_SCOPES, now=now, expires_at=now + dt.timedelta(days=1))
    postgres = Postgres(platform.settings.postgres.dsn.get_secret_value())
    with PostgresIdentityStore(postgres).transaction() as transaction:
        transaction.add_account(account)
        transaction.save_token(made)
    postgres.close()
    return text


@pytest.fixture(scope="module")
def principal(platform: LivePlatform) -> tuple[str, str]:
    """Return the operator's name and password."""
    credentials = load_credentials(platform.settings, OPERATOR)
    return credentials.username, credentials.password.get_secret_value()


@pytest.mark.parametrize("mode", GenerationMode)
@pytest.mark.parametrize("label", OPERATIONS)
def test_no_request_finds_a_fault_of_ours(
    platform: LivePlatform,
    token: str,
    principal: tuple[str, str],
    label: str,
    mode: GenerationMode,
) -> None:
    """Issue: schemathesis on the OpenAPI document finds no 5xx."""
    operation = OPERATIONS[label]
    base_url = f"http://127.0.0.1:{platform.port('control')}"
    logins = operation.definition.raw.get("security", ())
    takes_principal = any("principal" in each for each in logins)

    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: schemathesis.Case[Any]) -> None:
        who: dict[str, Any] = {"auth": principal} if takes_principal else {"headers": bearer(token)}
        answer = case.call(base_url=base_url, timeout=30, **who)
        case.validate_response(answer, checks=CHECKS)
        # Else nothing behind the login would have been asked.
        assert answer.status_code != UNAUTHORISED or not logins or mode is GenerationMode.NEGATIVE

    print(f"{label}: {EXAMPLES} examples (API_EXAMPLES)")
    ask()
