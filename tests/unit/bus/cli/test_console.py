"""Unit tests of `bus.cli.console`: results to standard output, everything else beside it."""

import pytest

from bus.cli.console import console, download_bar, error_console, record_bar


def test_bars_leave_nothing_among_the_results(capsys: pytest.CaptureFixture[str]) -> None:
    """A result may be piped into another program."""
    with download_bar("fetching", 100) as on_bytes, record_bar("reading") as on_records:
        on_bytes(60)
        on_bytes(-60)
        on_bytes(100)
        on_records(1, 2)
        on_records(2, 2)
    console.print("result")

    assert capsys.readouterr().out == "result\n"


def test_a_bar_that_is_interrupted_lets_the_error_through() -> None:
    def fail() -> None:
        with record_bar("reading"):
            raise KeyError

    with pytest.raises(KeyError):
        fail()


def test_what_is_said_beside_the_results_is_not_among_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    error_console.print("step")

    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "step\n")
