"""Unit tests of `bus.services.housekeeping`."""

import pytest

from bus.adapters.memory.idempotency import MemoryKeptAnswers
from bus.domain.topics import REPLAY_WINDOW_DAYS
from bus.errors import BrokerUnavailable
from bus.ports.idempotency import KEPT, Claim, InProgress, RequestKey
from bus.services.housekeeping import Housekeeping
from tests import builders
from tests.stream_builders import ControlPlane

SUBSCRIBER = f"sub-{builders.GRANT}"
_DAY = 24 * 3600


@pytest.fixture
def control() -> ControlPlane:
    """Return a control plane with one grant in force, until the end of 2026."""
    made = ControlPlane()
    made.apply(builders.catalog())
    return made


def housekeeping(control: ControlPlane, answers: MemoryKeptAnswers | None = None) -> Housekeeping:
    """Return the housekeeping of one replica."""
    return Housekeeping(
        store=control.store,
        changes=control.changes,
        topics=control.topics,
        answers=answers or MemoryKeptAnswers(control.clock),
        clock=control.clock,
    )


def test_with_nothing_due_nothing_changes(control: ControlPlane) -> None:
    before = control.store.state, control.admin.rules(), control.broker.topics()

    housekeeping(control).step()
    housekeeping(control).step()

    assert (control.store.state, control.admin.rules(), control.broker.topics()) == before


def test_a_grant_whose_last_day_is_over_ends(control: ControlPlane) -> None:
    """Invariant 6."""
    control.clock.sleep(360 * _DAY)
    housekeeping(control).step()
    on_the_last_day = control.subscription().ended
    control.clock.sleep(_DAY)

    housekeeping(control).step()

    assert not on_the_last_day
    assert control.subscription().ended
    assert SUBSCRIBER not in control.admin.rules()
    assert control.admin.throttled() == {SUBSCRIBER}


def test_what_differs_in_kafka_is_put_right(control: ControlPlane) -> None:
    right = control.admin.rules()
    control.admin.forbid({SUBSCRIBER: right[SUBSCRIBER]})

    housekeeping(control).step()

    assert control.admin.rules() == right


def test_the_topic_of_a_view_that_ended_is_kept_for_the_replay_window(
    control: ControlPlane,
) -> None:
    topic = control.subscription().topic
    control.apply(builders.catalog(grants=[]))

    control.clock.sleep(REPLAY_WINDOW_DAYS * _DAY)
    housekeeping(control).step()
    within = topic in control.broker.topics()
    control.clock.sleep(1)
    housekeeping(control).step()

    assert within
    assert topic not in control.broker.topics()


def test_a_topic_is_deleted_once(control: ControlPlane, monkeypatch: pytest.MonkeyPatch) -> None:
    control.apply(builders.catalog(grants=[]))
    control.clock.sleep(REPLAY_WINDOW_DAYS * _DAY + 1)
    deleted: list[list[str]] = []
    monkeypatch.setattr(control.topics, "delete", deleted.append)

    housekeeping(control).step()
    housekeeping(control).step()

    assert len(deleted) == 1


def test_a_topic_that_could_not_be_deleted_is_deleted_the_next_time(
    control: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = control.subscription().topic
    control.apply(builders.catalog(grants=[]))
    control.clock.sleep(REPLAY_WINDOW_DAYS * _DAY + 1)

    def away(_: object) -> None:
        raise BrokerUnavailable("away")

    with monkeypatch.context() as failing:
        failing.setattr(control.topics, "delete", away)
        with pytest.raises(BrokerUnavailable):
            housekeeping(control).step()
    housekeeping(control).step()

    assert topic not in control.broker.topics()


def test_the_topic_of_a_view_in_force_is_never_deleted(control: ControlPlane) -> None:
    control.clock.sleep(300 * _DAY)

    housekeeping(control).step()

    assert control.subscription().topic in control.broker.topics()


def test_answers_are_forgotten_after_a_day(control: ControlPlane) -> None:
    answers = MemoryKeptAnswers(control.clock)
    request = RequestKey(account="org-a", operation="POST /v1/x", key="k")
    answers.claim(request, b"1")
    control.clock.sleep(KEPT.total_seconds())
    housekeeping(control, answers).step()
    within = answers.claim(request, b"2")
    control.clock.sleep(1)

    housekeeping(control, answers).step()

    assert not isinstance(within, Claim | InProgress)
    assert isinstance(answers.claim(request, b"2"), Claim)
