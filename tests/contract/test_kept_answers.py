"""What makes a request take effect once: one suite, held by Postgres and by memory."""

import datetime as dt
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import psycopg
import pytest

from bus.adapters.memory.clock import ManualClock
from bus.adapters.memory.idempotency import MemoryKeptAnswers
from bus.adapters.postgres.idempotency import PostgresKeptAnswers
from bus.adapters.postgres.pool import Postgres
from bus.ports.idempotency import (
    BOUND,
    KEPT,
    Claim,
    InProgress,
    KeptAnswer,
    KeptAnswers,
    KeyReused,
    RequestKey,
)
from tests.live_platform import LivePlatform

ANSWER = KeptAnswer(status=201, headers={"etag": '"1"', "x": "统一"}, body=b'{"id":"\x00"}')
A_SECOND = dt.timedelta(seconds=1)


@dataclass
class Kept:
    """The adapter under test, and a way to let time pass."""

    answers: KeptAnswers
    passes: Callable[[dt.timedelta], None]


@pytest.fixture(scope="module")
def dsn(request: pytest.FixtureRequest) -> str:
    """Return a database of this module's own."""
    platform: LivePlatform = request.getfixturevalue("platform")
    return platform.new_control_database()


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.platform)])
def kept(request: pytest.FixtureRequest) -> Iterator[Kept]:
    """Return each adapter in turn."""
    if request.param == "memory":
        clock = ManualClock()
        yield Kept(MemoryKeptAnswers(clock), lambda time: clock.sleep(time.total_seconds()))
        return
    dsn: str = request.getfixturevalue("dsn")

    def passes(time: dt.timedelta) -> None:
        with psycopg.connect(dsn) as connection:
            connection.execute(
                "UPDATE onesource.kept_answer SET claimed_at = claimed_at - %s", (time,)
            )

    postgres = Postgres(dsn)
    yield Kept(PostgresKeptAnswers(postgres), passes)
    postgres.close()


def new_request() -> RequestKey:
    return RequestKey(account="org-civil", operation="POST /v1/requests", key=str(uuid.uuid4()))


def claimed(answers: KeptAnswers, request: RequestKey, fingerprint: bytes = b"1") -> Claim:
    """Claim a request that must be free."""
    claim = answers.claim(request, fingerprint)
    assert isinstance(claim, Claim)
    return claim


def test_a_request_is_carried_out_once_and_answered_again(kept: Kept) -> None:
    request = new_request()
    claim = claimed(kept.answers, request)
    meanwhile = kept.answers.claim(request, b"1")
    kept.answers.keep(claim, ANSWER)

    assert meanwhile == InProgress()
    assert kept.answers.claim(request, b"1") == ANSWER
    assert kept.answers.claim(request, b"1") == ANSWER


@pytest.mark.parametrize("is_answered", [True, False])
def test_a_key_belongs_to_one_request(kept: Kept, *, is_answered: bool) -> None:
    request = new_request()
    claim = claimed(kept.answers, request)
    if is_answered:
        kept.answers.keep(claim, ANSWER)

    assert kept.answers.claim(request, b"2") == KeyReused()


def test_keys_are_of_an_account_and_an_operation(kept: Kept) -> None:
    request = new_request()
    claimed(kept.answers, request)

    claimed(kept.answers, RequestKey(account="b", operation=request.operation, key=request.key))
    claimed(kept.answers, RequestKey(account=request.account, operation="o", key=request.key))


def test_an_answer_without_its_body_is_known(kept: Kept) -> None:
    request = new_request()
    kept.answers.keep(claimed(kept.answers, request), KeptAnswer(status=201, headers={}, body=None))

    assert kept.answers.claim(request, b"1") == KeptAnswer(status=201, headers={}, body=None)


def test_a_released_key_is_free_for_any_request(kept: Kept) -> None:
    request = new_request()
    kept.answers.release(claimed(kept.answers, request))

    claimed(kept.answers, request, b"2")


def test_what_was_answered_cannot_be_released_or_answered_anew(kept: Kept) -> None:
    request = new_request()
    claim = claimed(kept.answers, request)
    kept.answers.keep(claim, ANSWER)

    kept.answers.release(claim)
    kept.answers.keep(claim, KeptAnswer(status=500, headers={}, body=b""))

    assert kept.answers.claim(request, b"1") == ANSWER


def test_a_process_that_ends_in_between_frees_the_key_after_a_bound(kept: Kept) -> None:
    request = new_request()
    lost = claimed(kept.answers, request)
    kept.passes(BOUND - A_SECOND)
    within = kept.answers.claim(request, b"1")
    kept.passes(2 * A_SECOND)
    other = kept.answers.claim(request, b"2")

    claimed(kept.answers, request)
    kept.answers.keep(lost, ANSWER)
    kept.answers.release(lost)

    assert (within, other) == (InProgress(), KeyReused())
    assert kept.answers.claim(request, b"1") == InProgress()


def test_answers_are_kept_for_a_day(kept: Kept) -> None:
    old, young = new_request(), new_request()
    kept.answers.keep(claimed(kept.answers, old), ANSWER)
    kept.passes(KEPT - A_SECOND)
    kept.answers.keep(claimed(kept.answers, young), ANSWER)
    within = kept.answers.claim(old, b"1")
    kept.passes(2 * A_SECOND)

    assert within == ANSWER
    assert kept.answers.forget() >= 1
    assert kept.answers.claim(young, b"1") == ANSWER
    claimed(kept.answers, old, b"2")


def test_an_old_answer_that_is_still_there_does_not_count(kept: Kept) -> None:
    request = new_request()
    kept.answers.keep(claimed(kept.answers, request), ANSWER)
    kept.passes(KEPT + A_SECOND)

    claimed(kept.answers, request, b"2")


def test_of_many_at_once_one_gets_the_claim(kept: Kept) -> None:
    request = new_request()
    outcomes: list[object] = []
    barrier = threading.Barrier(8)

    def run() -> None:
        barrier.wait()
        outcomes.append(kept.answers.claim(request, b"1"))

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [type(each) for each in outcomes].count(Claim) == 1
    assert outcomes.count(InProgress()) == 7
