"""Unit tests of `bus.domain.accounts`: what an account may be, and what proves and permits it."""

import datetime as dt
from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.domain.accounts import (
    ALL_SCOPES,
    PLATFORM,
    TOKEN_MAX_DAYS,
    Account,
    AccountKind,
    ApiScope,
    FailedLogins,
    OperatorAuthorisation,
    authorised,
    check_password,
    check_roles,
    is_account_name,
    new_token,
    token_parts,
)
from bus.domain.identity import EXCLUSIVE_ROLES, Role
from bus.domain.principal import new_password
from bus.errors import Refused
from tests import builders

DAY = dt.timedelta(days=1)
ACCOUNT = Account(
    name="ops",
    organisation="centre",
    jurisdiction=builders.JURISDICTION,
    kind=AccountKind.SERVICE,
    roles=frozenset({Role.OPERATOR}),
)
AUTHORISATION = OperatorAuthorisation(
    id="a1",
    organisation="centre",
    jurisdiction=builders.JURISDICTION,
    valid_from=builders.TODAY,
    valid_until=builders.TODAY + DAY,
    scope=frozenset({ApiScope.GRANTS}),
)


# --- Accounts -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a", "li.ming", "zhang_san", "feed-2", "a1.b2-c3_d4", "x" * 64])
def test_names_of_accounts(name: str) -> None:
    assert is_account_name(name)


@pytest.mark.parametrize(
    "name",
    ["", "A", "1a", ".a", "a.", "a..b", "a b", "李明", "a\n", "a\x00", "a/b", "a:b", "x" * 65],
)
def test_what_is_no_name(name: str) -> None:
    assert not is_account_name(name)
    with pytest.raises(Refused):
        replace(ACCOUNT, name=name)


def test_an_operator_or_auditor_has_no_other_role() -> None:
    """R-005, R-228: of all pairs of roles exactly those with an exclusive one are refused."""
    for pair in combinations(Role, 2):
        if EXCLUSIVE_ROLES.isdisjoint(pair):
            check_roles(frozenset(pair))
        else:
            with pytest.raises(Refused, match="no other"):
                check_roles(frozenset(pair))
    for role in Role:
        check_roles(frozenset({role}))
    assert {Role.OPERATOR, Role.AUDITOR} == EXCLUSIVE_ROLES


def test_accounts_of_the_platform_fit_the_rules() -> None:
    assert replace(ACCOUNT, organisation=PLATFORM, jurisdiction=PLATFORM).name == "ops"


@pytest.mark.parametrize(
    "changes", [{"organisation": "No Code"}, {"jurisdiction": ""}, {"display_name": "x" * 101}]
)
def test_what_no_account_can_be(changes: dict[str, str]) -> None:
    with pytest.raises(Refused) as refusal:
        replace(ACCOUNT, **changes)  # type: ignore[arg-type]

    assert refusal.value.code == "ACCOUNT_INVALID"


@pytest.mark.parametrize(
    "password", ["", "short", "x" * 257, "aaaaaaaaaaaaaaaa", "abababababababab", "my-Li.Ming-2026"]
)
def test_passwords_that_are_too_easily_guessed(password: str) -> None:
    with pytest.raises(Refused) as refusal:
        check_password("li.ming", password)

    assert refusal.value.code == "PASSWORD_WEAK"


def test_passwords_that_are_made_here_are_good_enough() -> None:
    for _ in range(100):
        check_password("admin", new_password())
    check_password("li.ming", "correct horse battery staple")


# --- Tokens ---------------------------------------------------------------------------------------


def test_a_token_is_good_from_its_begin_to_its_end() -> None:
    token, text = new_token(
        "feed", [ApiScope.READ], now=builders.NOW, expires_at=builders.NOW + DAY
    )
    parts = token_parts(text)

    assert parts is not None
    assert parts[0] == token.id
    assert token.accepts(parts[1], builders.NOW)
    assert token.accepts(parts[1], builders.NOW + DAY - dt.timedelta(microseconds=1))
    assert not token.accepts(parts[1], builders.NOW + DAY)
    assert not replace(token, revoked=True).accepts(parts[1], builders.NOW)


@given(secret=st.text(max_size=60))
def test_no_other_secret_is_a_tokens(secret: str) -> None:
    token, _ = new_token("feed", ALL_SCOPES, now=builders.NOW, expires_at=builders.NOW + DAY)

    assert not token.accepts(secret.encode("utf-8", "replace").decode(), builders.NOW)


@pytest.mark.parametrize(
    ("scopes", "lasting"),
    [
        ([], DAY),
        ([ApiScope.READ], dt.timedelta()),
        ([ApiScope.READ], -DAY),
        ([ApiScope.READ], (TOKEN_MAX_DAYS + 1) * DAY),
    ],
)
def test_a_token_that_is_good_for_nothing_or_for_ever_is_refused(
    scopes: list[ApiScope], lasting: dt.timedelta
) -> None:
    with pytest.raises(Refused) as refusal:
        new_token("feed", scopes, now=builders.NOW, expires_at=builders.NOW + lasting)

    assert refusal.value.code == "TOKEN_INVALID"


@given(text=st.text() | st.from_regex(r"os1_[0-9a-f]{16}_[\w-]{40,46}"))
def test_only_the_whole_form_is_a_token(text: str) -> None:
    parts = token_parts(text)

    assert parts is None or f"os1_{parts[0]}_{parts[1]}" == text


# --- Operators ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scope", "day", "allowed"),
    [
        (ApiScope.GRANTS, 0, True),
        (ApiScope.GRANTS, 1, True),
        (ApiScope.READ, 0, True),
        (ApiScope.GRANTS, -1, False),
        (ApiScope.GRANTS, 2, False),
        (ApiScope.READ, 2, False),
        (ApiScope.CATALOG, 0, False),
    ],
)
def test_an_operator_acts_on_days_and_on_things_that_are_named(
    scope: ApiScope,
    day: int,
    allowed: bool,  # noqa: FBT001 (a parameter of the test)
) -> None:
    """R-010."""
    assert (
        authorised([AUTHORISATION], ACCOUNT.actor(), scope, builders.TODAY + day * DAY) is allowed
    )


@pytest.mark.parametrize(
    "changes", [{"revoked": True}, {"organisation": "other"}, {"jurisdiction": "elsewhere"}]
)
def test_an_authorisation_of_others_or_a_revoked_one_is_none(changes: dict[str, object]) -> None:
    """R-010."""
    other = replace(AUTHORISATION, **changes)  # type: ignore[arg-type]

    assert not authorised([other], ACCOUNT.actor(), ApiScope.READ, builders.TODAY)
    assert authorised([other, AUTHORISATION], ACCOUNT.actor(), ApiScope.READ, builders.TODAY)
    assert not authorised([], ACCOUNT.actor(), ApiScope.READ, builders.TODAY)


@pytest.mark.parametrize("role", sorted(set(Role) - {Role.OPERATOR}))
def test_nobody_else_needs_one(role: Role) -> None:
    actor = replace(ACCOUNT, roles=frozenset({role})).actor()

    assert authorised([], actor, ApiScope.GRANTS, builders.TODAY)


@pytest.mark.parametrize("changes", [{"valid_until": builders.TODAY - DAY}, {"scope": frozenset()}])
def test_an_authorisation_that_authorises_nobody_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(Refused) as refusal:
        replace(AUTHORISATION, **changes)  # type: ignore[arg-type]

    assert refusal.value.code == "AUTHORISATION_INVALID"


# --- Log-ins --------------------------------------------------------------------------------------


@given(count=st.integers(0, 10_000), free=st.integers(1, 50))
def test_the_wait_grows_with_the_failures_and_has_an_end(count: int, free: int) -> None:
    def wait(failures: int) -> dt.timedelta:
        failed = FailedLogins(count=failures, last_at=builders.NOW)
        return failed.blocked_until(free) - builders.NOW

    assert wait(count) <= wait(count + 1) <= dt.timedelta(minutes=15)
    assert (wait(count) > dt.timedelta()) == (count >= free)
