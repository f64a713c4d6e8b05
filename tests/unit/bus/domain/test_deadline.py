"""Unit tests of `bus.domain.deadline`."""

import datetime as dt

import pytest

from bus.domain.deadline import Deadline, retry_at

NOW = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)


def test_failures_are_tried_again_ever_more_rarely_but_for_ever() -> None:
    """R-088: what is due is not forgotten because it failed."""
    pauses = [(retry_at(attempts, NOW) - NOW).total_seconds() for attempts in range(1, 10)]

    assert pauses == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]
    assert retry_at(10**9, NOW) - NOW == dt.timedelta(hours=1)


def test_a_deadline_without_time_zone_is_a_fault_of_the_caller() -> None:
    naive = dt.datetime(2026, 1, 5)  # noqa: DTZ001

    with pytest.raises(ValueError, match="time zone"):
        Deadline(subject_kind="request", subject="r1", kind="overdue", due_at=naive)
