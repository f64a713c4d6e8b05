"""Unit tests of `bus.settings`: where things are, who we are, and what is refused."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from bus.errors import ConfigError, CredentialsMissing
from bus.settings import (
    KafkaSettings,
    is_loopback,
    load_credentials,
    load_settings,
    read_credentials,
)

PLATFORM = {
    "kafka": {"bootstrap": "127.0.0.1:9092"},
    "postgres": {"dsn": "postgresql://app:app-secret@127.0.0.1/onesource"},
    "control": {"url": "http://127.0.0.1:8080"},
    "ports": {"kafka": 9092},
}

Set = Callable[..., None]


@pytest.fixture(autouse=True)
def set_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Set:
    """Return a function that sets settings, in an environment and a folder without any."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("ONESOURCE_")]:
        monkeypatch.delenv(name)

    def set_all(**settings: str) -> None:
        for name, value in settings.items():
            monkeypatch.setenv(f"ONESOURCE_{name}", value)

    return set_all


def write_platform(folder: Path, content: Any) -> None:
    """Write down where a platform is, as `onesource up` does."""
    folder.mkdir(exist_ok=True)
    (folder / "platform.json").write_text(json.dumps(content), encoding="utf-8")


# --- Where they come from -------------------------------------------------------------------------


def test_without_any_the_defaults_are_safe() -> None:
    settings = load_settings()

    assert settings.state_folder == Path(".onesource")
    assert (settings.kafka, settings.postgres, settings.control) == (None, None, None)
    assert settings.http.host == "127.0.0.1"
    assert settings.log_level == "INFO"


def test_addresses_come_from_the_platform_that_runs_here(tmp_path: Path) -> None:
    write_platform(tmp_path / ".onesource", PLATFORM)

    settings = load_settings()

    assert settings.kafka == KafkaSettings(bootstrap="127.0.0.1:9092")
    assert settings.control is not None
    assert settings.control.url == "http://127.0.0.1:8080"
    assert settings.postgres is not None
    assert settings.postgres.dsn.get_secret_value() == PLATFORM["postgres"]["dsn"]  # type: ignore[index]


def test_the_environment_goes_before_the_platform_one_address_at_a_time(
    tmp_path: Path, set_environment: Set
) -> None:
    write_platform(tmp_path / ".onesource", PLATFORM)
    set_environment(KAFKA__BOOTSTRAP="127.0.0.1:1")

    settings = load_settings()

    assert settings.kafka == KafkaSettings(bootstrap="127.0.0.1:1")
    assert settings.control is not None
    assert settings.control.url == "http://127.0.0.1:8080"


def test_what_is_given_goes_before_the_environment(tmp_path: Path, set_environment: Set) -> None:
    write_platform(tmp_path / "mine", PLATFORM)
    set_environment(STATE_FOLDER="theirs", LOG_LEVEL="ERROR")

    settings = load_settings(state_folder=tmp_path / "mine", log_level="DEBUG", credentials=None)

    assert settings.state_folder == tmp_path / "mine"
    assert settings.log_level == "DEBUG"
    assert settings.kafka is not None


def test_the_state_folder_may_be_named_in_the_environment(
    tmp_path: Path, set_environment: Set
) -> None:
    write_platform(tmp_path / "elsewhere", PLATFORM)
    set_environment(STATE_FOLDER=str(tmp_path / "elsewhere"))

    assert load_settings().kafka is not None


@pytest.mark.parametrize("content", ["", "{", "[]", "7", '"kafka"', "null"])
def test_a_platform_file_that_is_none_is_as_good_as_missing(tmp_path: Path, content: str) -> None:
    write_platform(tmp_path / ".onesource", {})
    (tmp_path / ".onesource" / "platform.json").write_text(content, encoding="utf-8")

    assert load_settings().kafka is None


# --- What is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KAFKA_BOOTSTRAP", "127.0.0.1:1"),
        ("NOTHING", "x"),
        ("HTTP__SOCKET", "x"),
        ("HTTP__PORT", "65536"),
        ("HTTP__PORT", "-1"),
        ("HTTP__PORT", "http"),
        ("LOG_LEVEL", "LOUD"),
        ("LOG_FORMAT", "xml"),
        ("KAFKA__PROTOCOL", "PLAINTEXT"),
        ("POSTGRES__PASSWORD", "x"),
    ],
)
def test_what_is_unknown_or_wrong_is_refused_by_its_name(
    set_environment: Set, name: str, value: str
) -> None:
    set_environment(**{name: value})

    with pytest.raises(ConfigError, match=f"ONESOURCE_{name}"):
        load_settings()


def test_everything_that_is_wrong_is_said_at_once(set_environment: Set) -> None:
    set_environment(LOG_LEVEL="LOUD", HTTP__PORT="x")

    with pytest.raises(ConfigError) as caught:
        load_settings()

    assert "ONESOURCE_LOG_LEVEL" in str(caught.value)
    assert "ONESOURCE_HTTP__PORT" in str(caught.value)


def test_no_secret_is_shown(set_environment: Set, tmp_path: Path) -> None:
    write_platform(tmp_path / ".onesource", PLATFORM)
    set_environment(SINK_DSN="postgresql://me:sink-secret@127.0.0.1/mine")
    settings = load_settings()
    set_environment(POSTGRES__DSN="postgresql://a:env-secret@b/c", POSTGRES__MORE="more-secret")
    with pytest.raises(ConfigError) as caught:
        load_settings()

    assert "secret" not in repr(settings)
    assert "secret" not in str(caught.value)
    assert isinstance(settings.sink_dsn, SecretStr)


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError):
        load_settings().slot = "1"


# --- TLS beyond this machine ----------------------------------------------------------------------

HERE = st.sampled_from(["127.0.0.1", "127.9.9.9", "localhost", "[::1]"])
AWAY = st.sampled_from(
    ["10.0.0.1", "kafka.example", "[2001:db8::1]", "192.0.2.1", "localhost.x", ""]
)


@given(hosts=st.lists(HERE, min_size=1), protocol=st.sampled_from(["SASL_PLAINTEXT", "SASL_SSL"]))
def test_on_this_machine_passwords_may_go_without_tls(hosts: list[str], protocol: Any) -> None:
    bootstrap = ", ".join(f"{host}:9092" for host in hosts)

    assert KafkaSettings(bootstrap=bootstrap, protocol=protocol).protocol == protocol


@given(here=st.lists(HERE), away=AWAY, data=st.data())
def test_one_address_elsewhere_asks_for_tls(here: list[str], away: str, data: Any) -> None:
    hosts = data.draw(st.permutations([*here, away]))
    bootstrap = ",".join(f"{host}:9092" for host in hosts)

    with pytest.raises(ValidationError, match="use protocol SASL_SSL"):
        KafkaSettings(bootstrap=bootstrap)
    assert KafkaSettings(bootstrap=bootstrap, protocol="SASL_SSL").bootstrap == bootstrap


def test_loopback_is_a_name_or_an_address_of_this_machine() -> None:
    assert all(is_loopback(host) for host in ("localhost", "127.0.0.1", "127.1.2.3", "::1"))
    assert not any(is_loopback(host) for host in ("", "example.org", "10.0.0.1", "127.0.0.1.x"))


# --- Credentials ----------------------------------------------------------------------------------


def write_credentials(path: Path, content: object) -> Path:
    """Write a credentials file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_credentials_come_from_the_named_file_else_from_the_state_folder(tmp_path: Path) -> None:
    write_credentials(
        tmp_path / ".onesource" / "credentials" / "os-router.json",
        {"username": "os-router", "password": "a"},
    )
    named = write_credentials(tmp_path / "mine.json", {"username": "org-me", "password": "b"})

    assert load_credentials(load_settings(), "os-router").username == "os-router"
    assert load_credentials(load_settings(credentials=named), "os-router").username == "org-me"


def test_missing_credentials_say_where_they_were_looked_for(tmp_path: Path) -> None:
    with pytest.raises(CredentialsMissing, match=r"credentials/os-router\.json"):
        load_credentials(load_settings(), "os-router")
    with pytest.raises(CredentialsMissing, match="--credentials"):
        load_credentials(load_settings())


@pytest.mark.parametrize(
    "content",
    [
        [],
        {"username": "a"},
        {"password": "very-secret"},
        {"username": "a", "password": "very-secret", "more": 1},
        {"username": 7, "password": "very-secret"},
    ],
)
def test_a_file_that_is_none_is_refused_without_what_it_holds(
    tmp_path: Path, content: object
) -> None:
    path = write_credentials(tmp_path / "mine.json", content)

    with pytest.raises(ConfigError, match="is not a credentials file") as caught:
        read_credentials(path)

    assert "very-secret" not in str(caught.value)


def test_a_password_is_not_shown(tmp_path: Path) -> None:
    path = write_credentials(tmp_path / "mine.json", {"username": "a", "password": "very-secret"})

    assert "very-secret" not in repr(read_credentials(path))
