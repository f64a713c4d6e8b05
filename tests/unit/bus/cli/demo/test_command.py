"""Unit tests of `bus.cli.demo.command`: what is refused before anything is started."""

import pytest

from tests.command_line import CommandLine


@pytest.mark.parametrize(
    "name", ["ONESOURCE_KAFKA__BOOTSTRAP", "ONESOURCE_POSTGRES__DSN", "ONESOURCE_CREDENTIALS"]
)
def test_a_demo_never_touches_the_platform_that_the_environment_names(
    onesource: CommandLine, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """It would apply its own catalog there, and so revoke every grant."""
    monkeypatch.setenv(name, "elsewhere")

    ran = onesource("demo")

    assert ran.status == 5
    assert "error [CONFIG_INVALID]" in ran.err
    assert f"unset {name}" in ran.err
    assert not (onesource.folder / ".onesource-demo").exists()


def test_a_data_set_that_is_not_there_is_refused(onesource: CommandLine) -> None:
    ran = onesource("demo", "--dataset", "rivers")

    assert ran.status == 2
    assert "streets, villages" in ran.err
