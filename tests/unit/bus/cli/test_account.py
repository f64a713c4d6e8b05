"""Unit tests of `bus.cli.account`, on accounts in memory."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from bus.adapters.system_clock import SystemClock
from bus.bootstrap import identity as bootstrap
from bus.bootstrap.identity import LOCAL_ADMINISTRATOR
from bus.cli.main import EXIT_REFUSED
from bus.domain.accounts import ApiScope
from bus.domain.identity import Role
from bus.services.identity import Authenticated
from tests import builders
from tests.command_line import CommandLine
from tests.identity_fakes import IdentityWorld

PASSWORD = "a long enough pass phrase"  # noqa: S105 (opens nothing)
OPTIONS = ("--organisation", builders.PROVIDER, "--jurisdiction", builders.JURISDICTION)


@pytest.fixture
def world(onesource: CommandLine, monkeypatch: pytest.MonkeyPatch) -> IdentityWorld:
    """Return the accounts that the commands see."""
    world = IdentityWorld(clock=SystemClock())

    @contextmanager
    def local_accounts(_: object) -> Iterator[Any]:
        yield world.accounts, Authenticated(actor=LOCAL_ADMINISTRATOR)

    monkeypatch.setattr(bootstrap, "local_accounts", local_accounts)
    return world


def test_a_person_is_made_with_a_password_from_a_pipe(
    onesource: CommandLine, world: IdentityWorld
) -> None:
    ran = onesource(
        *("account", "create", "ann", *OPTIONS, "--role", "department", "--role", "office"),
        stdin=f"{PASSWORD}\n",
    )

    assert (ran.status, ran.err) == (0, "")
    assert PASSWORD not in ran.out
    logged_in = world.identity.log_in("ann", PASSWORD)
    assert logged_in.actor.roles == {Role.DEPARTMENT, Role.OFFICE}
    assert world.records[0].account == LOCAL_ADMINISTRATOR.account


def test_a_weak_password_is_refused(onesource: CommandLine, world: IdentityWorld) -> None:
    ran = onesource("account", "create", "ann", *OPTIONS, stdin="short\n")

    assert ran.status == EXIT_REFUSED
    assert "characters" in ran.err


def test_a_service_gets_a_token_and_nothing_else_is_printed(
    onesource: CommandLine, world: IdentityWorld
) -> None:
    onesource("account", "create", "feed", *OPTIONS, "--service", "--role", "department")

    ran = onesource("account", "token", "feed", "--scope", "read", "--days", "7")
    who = world.identity.bearer(ran.out.strip())

    assert ran.status == 0
    assert (who.actor.account, who.scopes) == ("feed", frozenset({ApiScope.READ}))


def test_nobody_gets_a_token_of_a_person(onesource: CommandLine, world: IdentityWorld) -> None:
    onesource("account", "create", "ann", *OPTIONS, stdin=f"{PASSWORD}\n")

    ran = onesource("account", "token", "ann", "--scope", "read")

    assert ran.status == EXIT_REFUSED
    assert "os1_" not in ran.out


def test_a_forgotten_password_is_replaced(onesource: CommandLine, world: IdentityWorld) -> None:
    onesource("account", "create", "ann", *OPTIONS, stdin=f"{PASSWORD}\n")

    ran = onesource("account", "password", "ann", stdin="quite another pass phrase\n")

    assert ran.status == 0
    assert world.identity.log_in("ann", "quite another pass phrase").actor.account == "ann"


def test_accounts_are_listed(onesource: CommandLine, world: IdentityWorld) -> None:
    onesource.width(160)
    world.account("feed", builders.PROVIDER, Role.DEPARTMENT)

    listed = onesource("account", "list")
    as_json = json.loads(onesource("account", "list", "--json").out)

    assert "feed" in listed.out
    assert as_json == [
        {
            "name": "feed",
            "organisation": builders.PROVIDER,
            "jurisdiction": builders.JURISDICTION,
            "kind": "service",
            "roles": ["department"],
            "active": True,
        }
    ]
