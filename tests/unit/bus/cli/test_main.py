"""Unit tests of `bus.cli.main`: help that teaches, errors that are clear, statuses that tell."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import typer

from bus.adapters.credentials_files import save_credentials
from bus.adapters.embedded.processes import free_port
from bus.cli import main as module
from bus.errors import (
    BusError,
    ConfigError,
    DeliveryFailed,
    NotFound,
    PlatformNotRunning,
    Refused,
    StopPartition,
    StoreUnavailable,
    TransientError,
)
from tests.command_line import CommandLine

#: Of these nothing may be loaded before a command needs it.
HEAVY = ("confluent_kafka", "psycopg", "fastapi", "uvicorn", "cel_expr_python", "alembic", "kafka")


def commands() -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield all commands and groups, with the words that call them."""

    def walk(
        words: tuple[str, ...], command: click.Command
    ) -> Iterator[tuple[tuple[str, ...], click.Command]]:
        yield words, command
        for name, inner in getattr(command, "commands", {}).items():
            yield from walk((*words, name), inner)

    yield from walk((), typer.main.get_command(module.app))  # type: ignore[arg-type]


COMMANDS = dict(commands())
each_command = pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words) or "-")


# --- Help -----------------------------------------------------------------------------------------


def test_the_commands_are_those_that_are_documented() -> None:
    assert {" ".join(words) for words, command in COMMANDS.items() if _is_leaf(command)} == {
        *("up", "down", "status", "doctor", "init", "control", "router", "demo"),
        *("catalog plan", "catalog apply", "catalog credentials"),
        *("profile list", "profile show"),
        *("calendar show", "calendar amend"),
        *("login", "logout", "org jurisdiction", "org register", "org list", "org show"),
        "org rekey",
        *("entry draft", "entry list", "entry show", "entry submit", "entry bind", "entry act"),
        *("request submit", "request list", "request show", "request approve", "request refuse"),
        *("request activate", "request act"),
        *("grant list", "grant show", "grant suspend", "grant resume", "grant revoke"),
        *("publish file", "publish record", "tail", "sink postgres"),
        *("verify", "dlq list", "dlq show", "dlq redrive"),
        *("account list", "account create", "account password", "account token"),
        *("audit verify", "audit export", "audit list", "audit trace"),
    }


def _is_leaf(command: click.Command) -> bool:
    return not hasattr(command, "commands")


@each_command
def test_help_says_what_a_command_does(onesource: CommandLine, words: tuple[str, ...]) -> None:
    onesource.width(200)

    ran = onesource(*words, "--help")

    assert ran.status == 0
    assert ran.err == ""
    assert f"Usage: onesource {' '.join(words)}".rstrip() in ran.out
    sentence = (COMMANDS[words].help or "").split("\n\n")[0].strip()
    assert sentence
    plain = re.sub(r"\s+", " ", sentence.replace("[bold]", "").replace("[/bold]", ""))
    assert plain in re.sub(r"[\s│]+", " ", ran.out)


@each_command
def test_every_argument_and_option_is_explained(words: tuple[str, ...]) -> None:
    unexplained = [
        parameter.name
        for parameter in COMMANDS[words].params
        if not getattr(parameter, "help", None)
    ]

    assert unexplained == []


@pytest.mark.parametrize("words", [(), ("catalog",), ("publish",), ("dlq",), ("sink",)])
def test_without_a_command_there_is_help(onesource: CommandLine, words: tuple[str, ...]) -> None:
    ran = onesource(*words)

    assert ran.status == 2
    assert "Usage: onesource" in ran.out + ran.err
    assert "Commands" in ran.out + ran.err


def test_the_first_page_says_how_to_begin_and_what_the_statuses_mean(
    onesource: CommandLine,
) -> None:
    onesource.width(200)

    page = onesource("--help").out

    assert "onesource up" in page
    assert "onesource catalog apply" in page
    for status in (0, 1, 2, 3, 4, 5):
        assert re.search(rf"\b{status} [a-z]", page)


def test_help_does_not_wait_for_what_only_commands_need() -> None:
    code = f"import sys, bus.cli.main; print([name for name in {HEAVY!r} if name in sys.modules])"

    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert ran.stdout == "[]\n"


# --- Usage errors ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nonsense"], "No such command 'nonsense'"),
        (["status", "--nonsense"], "No such option: --nonsense"),
        (["tail"], "Missing argument"),
        (["tail", "x", "--max", "0"], "'--max': Input should be greater than or equal to 1"),
        (["tail", "x", "--max", "many"], "'--max': Input should be a valid integer"),
        (["publish", "file", "divisions"], "Missing argument"),
        (
            ["publish", "file", "divisions", "a.csv", "--delete-share", "2"],
            "less than or equal to 1",
        ),
        (["publish", "file", "divisions", "a.csv", "--rate", "0"], "greater than or equal to 0.1"),
        (["sink", "postgres", "x"], "Missing option '--dsn'"),
        (["init"], "Missing option '--secrets'"),
        (["dlq", "list", "divisions", "--limit", "0"], "greater than or equal to 1"),
        (["dlq", "show", "divisions", "first"], "'number': Input should be a valid integer"),
        (["demo", "--dataset", "hamlets"], "'hamlets' is not one of streets, villages"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_call_is_told_what_is_wrong_and_where_to_read(
    onesource: CommandLine, arguments: list[str], said: str
) -> None:
    onesource.width(200)

    ran = onesource(*arguments)

    assert ran.status == 2
    assert said in ran.err
    assert "--help" in ran.err
    assert ran.out == ""


# --- Errors of ours -------------------------------------------------------------------------------


def test_a_rule_that_forbids_is_status_3(onesource: CommandLine) -> None:
    ran = onesource("catalog", "plan", "nowhere")

    assert ran.status == 3
    assert ran.err.splitlines() == [
        "error [DEFINITION_INVALID]",
        "nowhere/organisations.yaml: there is no such file; it names the organisations",
    ]
    assert ran.out == ""


def test_what_does_not_answer_is_status_4(
    onesource: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_credentials(onesource.folder / ".onesource" / "credentials", "os-operator", "secret")
    monkeypatch.setenv("ONESOURCE_KAFKA__BOOTSTRAP", "127.0.0.1:1")
    monkeypatch.setenv("ONESOURCE_CONTROL__URL", f"http://127.0.0.1:{free_port()}")

    ran = onesource("dlq", "list", "divisions")

    assert ran.status == 4
    assert ran.err.startswith("error [CONTROL_UNAVAILABLE]\nthe control plane does not answer")
    assert "secret" not in ran.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["tail", "divisions-housing"],
        ["verify", "divisions-housing"],
        ["publish", "record", "divisions", "{}"],
        ["publish", "file", "divisions", "a.csv"],
        ["dlq", "list", "divisions"],
        ["dlq", "show", "divisions", "1"],
        ["dlq", "redrive", "divisions"],
        ["catalog", "credentials", "org-housing"],
    ],
    ids=" ".join,
)
def test_where_nothing_runs_a_command_says_what_to_do(
    onesource: CommandLine, arguments: list[str]
) -> None:
    ran = onesource(*arguments)

    assert ran.status == 5
    assert ran.err.startswith("error [CONFIG_INVALID]\nwhere is Kafka? Run `onesource up`")
    assert len(ran.err.splitlines()) == 2


def test_missing_credentials_are_told_where_they_were_looked_for(
    onesource: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONESOURCE_KAFKA__BOOTSTRAP", "127.0.0.1:1")

    by_default = onesource("tail", "divisions-housing")
    by_name = onesource("tail", "divisions-housing", "--credentials", "mine.json")

    assert (by_default.status, by_name.status) == (5, 5)
    assert "[CREDENTIALS_MISSING]" in by_default.err
    assert ".onesource/credentials/sub-divisions-housing.json" in by_default.err
    assert "no credentials at mine.json" in by_name.err


def test_a_setting_that_there_is_not_is_refused(
    onesource: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONESOURCE_KAFKA_BOOTSTRAP", "127.0.0.1:1")

    ran = onesource("tail", "divisions-housing")

    assert ran.status == 5
    assert "ONESOURCE_KAFKA_BOOTSTRAP" in ran.err


@pytest.mark.parametrize("command", ["control", "router"])
def test_a_process_of_the_bus_does_not_start_without_settings(command: str, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if "ONESOURCE" not in name}

    ran = subprocess.run(
        [sys.executable, "-m", "bus.cli.main", command],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 5
    assert ran.stderr.startswith("error [CONFIG_INVALID]\nwhere is Kafka?")


def test_a_long_message_keeps_its_lines_however_narrow_the_terminal_is(
    onesource: CommandLine,
) -> None:
    onesource.width(30)
    folder = "a-folder-whose-name-is-longer-than-the-terminal-is-wide"

    ran = onesource("catalog", "plan", folder)

    assert f"{folder}/organisations.yaml: there is no such file" in ran.err


def test_what_a_message_quotes_is_not_taken_for_markup(onesource: CommandLine) -> None:
    ran = onesource("catalog", "plan", "[bold]x[/red]")

    assert ran.status == 3
    assert "[bold]x[/red]/organisations.yaml" in ran.err


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Refused("x"), 3),
        (NotFound("x"), 3),
        (TransientError("x"), 4),
        (StoreUnavailable("x"), 4),
        (ConfigError("x"), 5),
        (PlatformNotRunning("x"), 5),
        (StopPartition("x"), 1),
        (DeliveryFailed("x"), 1),
        (BusError("x"), 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_kind_of_error_has_its_status(
    onesource: CommandLine, monkeypatch: pytest.MonkeyPatch, error: BusError, status: int
) -> None:
    def fail(**_: object) -> None:
        raise error

    monkeypatch.setattr(module, "app", fail)

    ran = onesource()

    assert (ran.status, ran.out) == (status, "")
    assert ran.err == f"error [{error.code}]\nx\n"


def test_an_interrupted_command_says_nothing(
    onesource: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(**_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "app", interrupt)

    ran = onesource()

    assert (ran.status, ran.out, ran.err) == (130, "", "")
