"""Unit tests of `bus.services.identity`: what proves who asks, and what does not."""

import datetime as dt
from dataclasses import replace

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bus.adapters.jose.session_tokens import SignedSessionTokens
from bus.adapters.memory.identity_store import MemoryIdentityTransaction
from bus.domain.accounts import (
    ALL_SCOPES,
    FREE_TRIES_ACCOUNT,
    FREE_TRIES_ADDRESS,
    PLATFORM,
    ApiScope,
    token_parts,
)
from bus.domain.identity import Actor, Role
from bus.errors import (
    Forbidden,
    StateConflict,
    StoreUnavailable,
    TooManyAttempts,
    Unauthenticated,
)
from bus.ports.identity import ExternalSubject, Session, SubjectClaim, TokenRefused
from bus.services.identity import MAX_TOKEN_CHARACTERS, SESSION_LENGTH
from tests import builders
from tests.identity_fakes import IdentityWorld

PASSWORD = "a long enough pass phrase"  # noqa: S105 (opens nothing)
ISSUER = "https://login.test"
ANN = ExternalSubject(issuer=ISSUER, subject="42", username="ann")


class TrustingIssuer:
    """A `BearerIssuer` that believes whatever begins with `outside.`."""

    issuer = ISSUER

    def verify(self, token: str, now: dt.datetime) -> ExternalSubject:
        """Return the subject that is written into the token."""
        head, _, subject = token.partition(".")
        if head != "outside":
            raise TokenRefused("it is not mine")
        return ExternalSubject(issuer=ISSUER, subject=subject)


@pytest.fixture
def world() -> IdentityWorld:
    """Return a world with one person's account."""
    world = IdentityWorld(issuer=TrustingIssuer())
    world.account("ann", builders.PROVIDER, Role.DEPARTMENT, password=PASSWORD)
    return world


def outcomes(world: IdentityWorld) -> list[tuple[str, str, str]]:
    """Return account, action and outcome of what was recorded."""
    return [(each.account, each.action, each.outcome) for each in world.records]


# --- Tokens ---------------------------------------------------------------------------------------


def test_an_api_token_proves_its_account_with_its_scopes(world: IdentityWorld) -> None:
    token = world.token("feed", builders.CONSUMER, Role.DEPARTMENT, scopes=[ApiScope.READ])

    who = world.identity.bearer(token, trace_id="t1")

    assert who.actor == Actor(
        account="feed",
        organisation=builders.CONSUMER,
        jurisdiction=builders.JURISDICTION,
        roles=frozenset({Role.DEPARTMENT}),
        trace_id="t1",
    )
    assert who.scopes == {ApiScope.READ}
    assert who.session is None


def test_a_token_holds_256_random_bits_and_is_kept_as_a_digest(world: IdentityWorld) -> None:
    texts = {world.token("feed", builders.CONSUMER) for _ in range(20)}

    assert len(texts) == 20
    for text in texts:
        token_id, secret = token_parts(text) or ("", "")
        assert len(jwt.utils.base64url_decode(secret)) == 32
        with world.store.transaction() as transaction:
            kept = transaction.token(token_id)
        assert kept is not None
        assert secret.encode() not in kept.digest
        assert secret not in repr(kept)


@pytest.mark.parametrize("change", ["expired", "revoked", "inactive", "other secret", "other id"])
def test_an_api_token_that_is_not_good_proves_nothing(world: IdentityWorld, change: str) -> None:
    text = world.token("feed", builders.CONSUMER, Role.DEPARTMENT, days=1)
    token_id, secret = token_parts(text) or ("", "")
    with world.store.transaction() as transaction:
        token, account = transaction.token(token_id), transaction.account("feed")
        assert token is not None
        assert account is not None
        if change == "revoked":
            transaction.save_token(replace(token, revoked=True))
        if change == "inactive":
            transaction.save_account(replace(account, active=False))
    if change == "expired":
        world.clock.sleep(24 * 3600)
    if change == "other secret":
        text = f"os1_{token_id}_{secret[::-1]}"
    if change == "other id":
        text = f"os1_{'0' * 16}_{secret}"

    with pytest.raises(Unauthenticated):
        world.identity.bearer(text)

    assert outcomes(world) == [("", "token.refused", "UNAUTHORISED")]


@pytest.mark.parametrize(
    "token",
    ["", " ", "x", "os1__", "os1_0123456789abcdef_short", "a.b.c", "ü", "x" * 100_000, "\x00"],
)
def test_what_is_no_token_proves_nothing(world: IdentityWorld, token: str) -> None:
    with pytest.raises(Unauthenticated):
        world.identity.bearer(token)


def test_a_token_that_is_too_long_is_not_even_looked_at(world: IdentityWorld) -> None:
    with world.store.transaction() as transaction:
        transaction.link(ISSUER, SubjectClaim.SUB, "x" * MAX_TOKEN_CHARACTERS, "ann")

    with pytest.raises(Unauthenticated):
        world.identity.bearer("outside." + "x" * MAX_TOKEN_CHARACTERS)


def test_a_token_of_the_outside_issuer_proves_a_linked_account(world: IdentityWorld) -> None:
    with pytest.raises(Unauthenticated):
        world.identity.bearer("outside.42")
    with world.store.transaction() as transaction:
        transaction.link(ISSUER, SubjectClaim.SUB, "42", "ann")

    who = world.identity.bearer("outside.42")

    assert (who.actor.account, who.scopes) == ("ann", ALL_SCOPES)


def test_everybody_refused_hears_the_same(world: IdentityWorld) -> None:
    expired = world.token("feed", builders.CONSUMER, days=1)
    world.clock.sleep(24 * 3600)
    heard = set()
    for token in (expired, "os1_0123456789abcdef_" + "A" * 43, "a.b.c", "outside.7", ""):
        with pytest.raises(Unauthenticated) as refusal:
            world.identity.bearer(token)
        heard.add(str(refusal.value))

    assert len(heard) == 1


# --- Sessions -------------------------------------------------------------------------------------


def test_a_session_lasts_an_hour(world: IdentityWorld) -> None:
    logged_in = world.identity.log_in("ann", PASSWORD)
    who = world.identity.bearer(logged_in.token)
    world.clock.sleep(SESSION_LENGTH.total_seconds() + 60)

    assert (who.actor.account, who.session) == ("ann", logged_in.session)
    with pytest.raises(Unauthenticated):
        world.identity.bearer(logged_in.token)
    assert outcomes(world) == [
        ("ann", "session.opened", "DONE"),
        ("", "token.refused", "UNAUTHORISED"),
    ]


def test_a_session_that_was_ended_is_over_and_others_go_on(world: IdentityWorld) -> None:
    first, second = (world.identity.log_in("ann", PASSWORD) for _ in range(2))

    world.identity.log_out(world.identity.bearer(first.token))

    with pytest.raises(Unauthenticated):
        world.identity.bearer(first.token)
    assert world.identity.bearer(second.token).actor.account == "ann"


def test_a_session_of_another_installation_proves_nothing(world: IdentityWorld) -> None:
    now = world.clock.now()
    session = Session(id="s", account="ann", began_at=now, expires_at=now + SESSION_LENGTH)
    foreign = SignedSessionTokens(Ed25519PrivateKey.generate()).issue(session)

    assert world.identity.bearer(world.sessions.issue(session)).actor.account == "ann"
    with pytest.raises(Unauthenticated):
        world.identity.bearer(foreign)


def test_logging_out_with_an_api_token_leaves_the_token(world: IdentityWorld) -> None:
    token = world.token("feed", builders.CONSUMER)

    world.identity.log_out(world.identity.bearer(token))

    assert world.identity.bearer(token).actor.account == "feed"


# --- Logging in -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("ann", "wrong"),
        ("ann", ""),
        ("nobody", PASSWORD),
        ("Ann", PASSWORD),
        ("", PASSWORD),
        ("feed", ""),
        ("closed", PASSWORD),
        ("x" * 10_000, PASSWORD),
        ("a\x00", PASSWORD),
    ],
)
def test_whatever_is_wrong_the_answer_and_the_work_are_the_same(
    world: IdentityWorld, name: str, password: str
) -> None:
    world.account("feed", builders.PROVIDER, Role.DEPARTMENT)
    closed = world.account("closed", builders.PROVIDER, Role.DEPARTMENT, password=PASSWORD)
    with world.store.transaction() as transaction:
        transaction.save_account(replace(closed, active=False))

    with pytest.raises(Unauthenticated, match=r"^account or password are wrong$"):
        world.identity.log_in(name, password)

    assert world.passwords.asked == 1
    assert [each.outcome for each in world.records] == ["UNAUTHORISED"]


def test_what_somebody_unknown_typed_is_not_recorded(world: IdentityWorld) -> None:
    typed = "hunter2-into-the-wrong-field"

    with pytest.raises(Unauthenticated):
        world.identity.log_in(typed, typed)

    assert typed not in repr(world.records)


@pytest.mark.parametrize("name", ["ann", "nobody"])
def test_after_too_many_failures_nobody_is_let_try_for_a_while(
    world: IdentityWorld, name: str
) -> None:
    """Whether the account is there or not, and whether the password is right or not."""
    for _ in range(FREE_TRIES_ACCOUNT):
        with pytest.raises(Unauthenticated):
            world.identity.log_in(name, "wrong", address="192.0.2.1")
    with pytest.raises(TooManyAttempts) as blocked:
        world.identity.log_in(name, PASSWORD, address="198.51.100.1")

    assert world.passwords.asked == FREE_TRIES_ACCOUNT
    assert 0 < blocked.value.seconds <= 2
    world.clock.sleep(blocked.value.seconds)
    if name == "ann":
        assert world.identity.log_in(name, PASSWORD).actor.account == "ann"


def test_the_wait_doubles_but_has_an_end(world: IdentityWorld) -> None:
    waits = []
    for _ in range(FREE_TRIES_ACCOUNT + 14):
        try:
            world.identity.log_in("ann", "wrong")
        except TooManyAttempts as blocked:
            waits.append(blocked.seconds)
            world.clock.sleep(blocked.seconds)
            with pytest.raises(Unauthenticated):
                world.identity.log_in("ann", "wrong")
        except Unauthenticated:
            continue

    assert waits == sorted(waits)
    assert waits[3] >= 8
    assert max(waits) <= 15 * 60 + 1


def test_logging_in_forgets_the_failures_of_the_account(world: IdentityWorld) -> None:
    for _ in range(3):
        for _ in range(FREE_TRIES_ACCOUNT - 1):
            with pytest.raises(Unauthenticated):
                world.identity.log_in("ann", "wrong")
        world.identity.log_in("ann", PASSWORD)


def test_what_no_longer_matters_is_forgotten(world: IdentityWorld) -> None:
    world.identity.log_out(world.identity.bearer(world.identity.log_in("ann", PASSWORD).token))
    with pytest.raises(Unauthenticated):
        world.identity.log_in("nobody", PASSWORD)
    world.clock.sleep(24 * 3600)

    world.identity.log_in("ann", PASSWORD)

    assert world.store._state.ended_sessions == {}
    assert "account:nobody" not in world.store._state.failed_logins


def test_an_address_is_held_up_whatever_names_it_tries(world: IdentityWorld) -> None:
    for number in range(FREE_TRIES_ADDRESS):
        with pytest.raises(Unauthenticated):
            world.identity.log_in(f"name{number}", "wrong", address=f"2001:db8::{number:x}")

    with pytest.raises(TooManyAttempts):
        world.identity.log_in("ann", PASSWORD, address="2001:db8::ffff")
    assert world.identity.log_in("ann", PASSWORD, address="2001:db8:0:1::1").actor.account == "ann"


def test_logging_in_as_oneself_does_not_free_the_address(world: IdentityWorld) -> None:
    world.account("mallory", builders.CONSUMER, password=PASSWORD)

    def keep_guessing() -> None:
        for number in range(4 * FREE_TRIES_ADDRESS):
            with pytest.raises(Unauthenticated):
                world.identity.log_in(f"name{number}", "wrong", address="192.0.2.1")
            world.identity.log_in("mallory", PASSWORD, address="192.0.2.1")

    with pytest.raises(TooManyAttempts):
        keep_guessing()


def test_somebody_unknown_does_not_fill_the_log(world: IdentityWorld) -> None:
    for _ in range(50):
        with pytest.raises(Unauthenticated):
            world.identity.bearer("x", address="192.0.2.1")
    with pytest.raises(Unauthenticated):
        world.identity.bearer("x", address="192.0.2.2")
    world.clock.sleep(61)
    with pytest.raises(Unauthenticated):
        world.identity.bearer("x", address="192.0.2.1")

    assert [each.subject for each in world.records] == ["192.0.2.1", "192.0.2.2", "192.0.2.1"]


# --- The identity provider ------------------------------------------------------------------------


def test_only_whom_an_administrator_has_linked_logs_in_from_outside(world: IdentityWorld) -> None:
    with pytest.raises(Forbidden) as refusal:
        world.identity.log_in_external(ANN)
    with world.store.transaction() as transaction:
        transaction.link(ISSUER, SubjectClaim.SUB, "42", "ann")

    logged_in = world.identity.log_in_external(ANN)

    assert refusal.value.code == "ACCOUNT_UNKNOWN"
    assert world.identity.bearer(logged_in.token).actor.account == "ann"


def test_a_user_name_is_good_once_then_the_subject_stays(world: IdentityWorld) -> None:
    """A provider may give a user name to somebody else, but never a `sub`."""
    with world.store.transaction() as transaction:
        transaction.link(ISSUER, SubjectClaim.USERNAME, "ann", "ann")

    world.identity.log_in_external(ANN)
    successor = replace(ANN, subject="43")

    assert world.identity.log_in_external(replace(ANN, username="anna")).actor.account == "ann"
    with pytest.raises(Forbidden):
        world.identity.log_in_external(successor)


def test_another_provider_says_nothing_about_this_ones_people(world: IdentityWorld) -> None:
    with world.store.transaction() as transaction:
        transaction.link(ISSUER, SubjectClaim.SUB, "42", "ann")

    with pytest.raises(Forbidden):
        world.identity.log_in_external(replace(ANN, issuer="https://else.test", username=None))


# --- Administrators -------------------------------------------------------------------------------


def test_two_administrators_who_close_each_other_at_once_leave_one(world: IdentityWorld) -> None:
    one = world.account("one", PLATFORM, Role.ADMINISTRATOR, jurisdiction=PLATFORM)
    two = world.account("two", PLATFORM, Role.ADMINISTRATOR, jurisdiction=PLATFORM)
    world.accounts.set_active(one.actor(), "two", active=False)

    with pytest.raises(StateConflict) as refusal:
        world.accounts.set_active(two.actor(), "one", active=False)

    assert refusal.value.code == "LAST_ADMINISTRATOR"
    assert world.accounts.get(one.actor(), "one").active


def test_a_change_that_cannot_be_recorded_does_not_happen(
    world: IdentityWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-190: nothing happens that is not written down."""

    def fail(*_: object) -> None:
        raise StoreUnavailable("the log is away")

    admin = world.account("one", PLATFORM, Role.ADMINISTRATOR, jurisdiction=PLATFORM)
    monkeypatch.setattr(MemoryIdentityTransaction, "record", fail)

    with pytest.raises(StoreUnavailable):
        world.accounts.set_active(admin.actor(), "ann", active=False)

    assert world.accounts.get(admin.actor(), "ann").active


def test_the_first_administrator_is_made_once(world: IdentityWorld) -> None:
    assert world.accounts.create_first_administrator(PASSWORD)
    assert not world.accounts.create_first_administrator("quite another pass phrase")

    logged_in = world.identity.log_in("admin", PASSWORD)

    assert logged_in.actor.roles == {Role.ADMINISTRATOR}
