"""Unit tests of `bus.logs`, each in a process of its own: logs are configured once a process."""

import json
import subprocess
import sys
from typing import Any

import pytest


def logged(code: str, *, form: str = "json", level: str = "INFO") -> list[str]:
    """Return the lines that a process logs; nothing goes to standard output."""
    program = (
        "import logging, structlog\n"
        "from bus.logs import configure_logs\n"
        "early = structlog.get_logger('early')\n"
        f"configure_logs(level={level!r}, form={form!r}, process='router')\n"
        "log = structlog.get_logger('ours')\n" + code
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ran.stdout == ""
    return ran.stderr.splitlines()


def events(code: str, *, level: str = "INFO") -> list[dict[str, Any]]:
    """Return the events that a process logs as JSON."""
    return [json.loads(line) for line in logged(code, level=level)]


def test_an_event_is_one_object_with_its_fields_process_level_and_time() -> None:
    (event,) = events("log.info('policy published', version=7, resource='区划')")

    assert event.pop("timestamp").endswith("Z")
    assert event == {
        "event": "policy published",
        "version": 7,
        "resource": "区划",
        "process": "router",
        "level": "info",
    }


def test_a_logger_that_was_made_before_is_configured_too() -> None:
    """Modules make theirs when they are imported."""
    (event,) = events("early.warning('late')")

    assert (event["event"], event["process"]) == ("late", "router")


def test_what_libraries_log_joins_in_the_same_form() -> None:
    (event,) = events("logging.getLogger('librdkafka').warning('broker %s is down', 'b1')")

    assert event["event"] == "broker b1 is down"
    assert (event["process"], event["level"]) == ("router", "warning")


def test_an_error_carries_its_traceback_in_its_one_line() -> None:
    code = "try:\n    1 / 0\nexcept ZeroDivisionError:\n    log.exception('failed')\n"

    (event,) = events(code)

    assert event["level"] == "error"
    assert "ZeroDivisionError" in event["exception"]


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("DEBUG", ["a", "b", "c", "d"]),
        ("INFO", ["b", "c", "d"]),
        ("WARNING", ["c", "d"]),
        ("ERROR", ["d"]),
    ],
)
def test_what_is_below_the_level_is_not_logged(level: str, expected: list[str]) -> None:
    code = "log.debug('a'); log.info('b'); log.warning('c'); log.error('d')"

    assert [event["event"] for event in events(code, level=level)] == expected


def test_what_no_operator_needs_is_left_out() -> None:
    code = (
        "for name in ('uvicorn.access', 'httpx2', 'alembic', 'psycopg.pool'):\n"
        "    logging.getLogger(name).info('chatter')\n"
        "    logging.getLogger(name).warning(name)\n"
    )

    assert [event["event"] for event in events(code)] == [
        *("uvicorn.access", "httpx2", "alembic", "psycopg.pool")
    ]


def test_for_people_an_event_is_one_line_of_text() -> None:
    (line,) = logged("log.info('policy published', version=7)", form="console")

    assert "policy published" in line
    assert "version=7" in line
    assert "process=router" in line
    assert "\x1b" not in line


def test_configuring_again_replaces_what_was() -> None:
    code = "configure_logs(level='INFO', form='json', process='sink')\nlog.info('once')"

    assert [event["process"] for event in events(code)] == ["sink"]
