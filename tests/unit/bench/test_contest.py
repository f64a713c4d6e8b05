"""Unit tests of what the benchmarks compute."""

import pytest

from bench.contest import Course


def test_a_course_tells_where_it_began_ended_and_how_it_grew() -> None:
    samples = tuple((float(10 * at), 100.0 + at) for at in range(20))
    course = Course("endurance", "memory", "MiB", samples)

    assert (course.first, course.last, course.most) == (100.5, 118.5, 119.0)
    assert course.slope == pytest.approx(0.1 * 3600)


def test_one_sample_is_no_trend() -> None:
    assert Course("endurance", "memory", "MiB", ((0.0, 5.0),)).slope == 0.0
