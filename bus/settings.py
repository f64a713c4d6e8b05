"""
Typed settings: from the environment (`ONESOURCE_…`), else from the state folder of `onesource up`.

Addresses and secrets are apart: `.onesource/platform.json` says where things are, credential files
say who we are. Secrets never show in a repr or a log.
"""

import ipaddress
import json
import os
import re
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from bus.errors import ConfigError, CredentialsMissing

DEFAULT_STATE_FOLDER = Path(".onesource")
PLATFORM_FILE = "platform.json"
CREDENTIALS_FOLDER = "credentials"
_PREFIX = "ONESOURCE_"


class KafkaSettings(BaseModel):
    """Where Kafka is and how to talk to it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bootstrap: str
    protocol: Literal["SASL_PLAINTEXT", "SASL_SSL"] = "SASL_PLAINTEXT"
    ca_file: str | None = None
    replication: int = 1

    @model_validator(mode="after")
    def _tls_beyond_loopback(self) -> "KafkaSettings":
        if self.protocol == "SASL_PLAINTEXT":
            for address in self.bootstrap.split(","):
                host = address.strip().rpartition(":")[0].strip("[]")
                if not is_loopback(host):
                    raise ValueError(
                        f"{host} is not this machine: use protocol SASL_SSL (design: TLS only)"
                    )
        return self


class PostgresSettings(BaseModel):
    """Where the control plane's database is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    dsn: SecretStr
    owner_dsn: SecretStr | None = None
    """
    For migrations, and for `onesource init`: there, of a role that may create roles and databases.

    The control plane itself does not need it.
    """


class ControlSettings(BaseModel):
    """Where the control plane answers."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str


class HTTPSettings(BaseModel):
    """Where this process answers: `/metrics`, `/healthz`, `/readyz`, and control its API."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = "127.0.0.1"
    port: int = Field(default=0, ge=0, le=65535)


class AuditSettings(BaseModel):
    """How the audit log is signed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key_file: Path | None = None
    """The private key; by default in `keys/` of the state folder. Made if it is not there."""
    checkpoint_seconds: float = Field(default=60.0, gt=0)
    checkpoint_rows: int = Field(default=1000, gt=0)


class RateSettings(BaseModel):
    """So many requests a second in the long run, and so many at once; of each control process."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    account_per_second: float = Field(default=50, gt=0)
    account_burst: int = Field(default=1_000, gt=0)
    address_per_second: float = Field(default=200, gt=0)
    address_burst: int = Field(default=4_000, gt=0)


class IdentitySettings(BaseModel):
    """How people and services prove who they are."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key_file: Path | None = None
    """The key that signs sessions; by default in `keys/` of the state folder. Made if missing."""
    public_url: str | None = None
    """Where browsers find control; by default where control answers."""


class PseudonymSettings(BaseModel):
    """What the keys of pseudonyms are derived from; for routers and `onesource verify` alone."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    folder: Path | None = None
    """With a file for each key version; by default in `keys/` of the state folder."""


class OIDCSettings(BaseModel):
    """The identity provider where people log in, and whose tokens services may show."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    issuer: str
    client_id: str | None = None
    """As what people log in; without it nobody does."""
    client_secret: SecretStr | None = None
    audience: str | None = None
    """For whom bearer tokens must be made; without it none are taken."""
    algorithms: tuple[str, ...] = ("RS256", "ES256", "EdDSA")
    """With which tokens may be signed: with public keys only."""
    ca_file: str | None = None

    @model_validator(mode="after")
    def _check(self) -> "OIDCSettings":
        public = re.compile(r"(RS|PS|ES)(256|384|512)|EdDSA")
        if not self.algorithms or not all(map(public.fullmatch, self.algorithms)):
            raise ValueError("algorithms: only those with public keys (RS256, ES256, EdDSA, …)")
        if self.audience is not None and self.audience == self.client_id:
            raise ValueError("audience: not the client's id, or ID tokens would open the API")
        return self


class Settings(BaseSettings):
    """All settings of a process; unknown ones are refused."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True
    )

    state_folder: Path = DEFAULT_STATE_FOLDER
    credentials: Path | None = None
    """The credentials file of this process; else the caller names a principal."""
    kafka: KafkaSettings | None = None
    postgres: PostgresSettings | None = None
    control: ControlSettings | None = None
    http: HTTPSettings = HTTPSettings()
    audit: AuditSettings = AuditSettings()
    rates: RateSettings = RateSettings()
    identity: IdentitySettings = IdentitySettings()
    pseudonyms: PseudonymSettings = PseudonymSettings()
    oidc: OIDCSettings | None = None
    token: SecretStr | None = None
    """Who acts at the control plane: an API token; else the session of `onesource login`."""
    slot: str = "0"
    """Tells replicas of one kind of process apart; stable across restarts."""
    log_format: Literal["console", "json"] = "console"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    cache: Path | None = None
    """Where the embedded broker's jars are kept."""
    maven_mirror: str | None = None
    profiles: Path | None = None
    """A folder with further jurisdiction profiles."""
    sink_dsn: SecretStr | None = None
    """The subscriber's own database, for `onesource sink` and `onesource verify`."""


class Credentials(BaseModel):
    """The content of a credentials file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    username: str
    password: SecretStr


def load_settings(**given: Any) -> Settings:  # noqa: ANN401 (any setting)
    """
    Return the settings: as given here, else from the environment, else from the state folder.

    Raise `ConfigError` naming every one that is wrong or unknown.
    """
    given = {name: value for name, value in given.items() if value is not None}
    named = {name for name in os.environ if name.startswith(_PREFIX)}
    unknown = sorted(
        name
        for name in named
        if name.removeprefix(_PREFIX).lower().split("__")[0] not in Settings.model_fields
    )
    if unknown:
        raise ConfigError(f"unknown settings in the environment: {', '.join(unknown)}")
    named_folder = given.get("state_folder") or os.environ.get(f"{_PREFIX}STATE_FOLDER")
    folder = Path(named_folder or DEFAULT_STATE_FOLDER)
    for key, value in _platform_file(folder / PLATFORM_FILE).items():
        if not any(name.startswith(f"{_PREFIX}{key.upper()}") for name in named):
            given.setdefault(key, value)
    try:
        return Settings(**given)
    except ValidationError as error:
        faults = [
            f"{_PREFIX}{'__'.join(str(part) for part in fault['loc']).upper()}: {fault['msg']}"
            for fault in error.errors()
        ]
        raise ConfigError("; ".join(faults)) from error


def require_own_platform(what: str) -> None:
    """
    Raise `ConfigError` if the environment names a platform; `what` starts one of its own.

    The environment has the last word on addresses: a demo would load the catalog of a live cluster.
    """
    parts = tuple(f"{_PREFIX}{part}" for part in ("KAFKA", "POSTGRES", "CONTROL", "CREDENTIALS"))
    named = sorted(name for name in os.environ if name.startswith(parts))
    if named:
        raise ConfigError(f"{what} runs on a platform of its own: unset {', '.join(named)}")


def _platform_file(path: Path) -> dict[str, Any]:
    """Return the addresses that a running `onesource up` wrote down; none if there is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(content, dict):
        return {}
    return {key: content[key] for key in ("kafka", "postgres", "control") if key in content}


def load_credentials(settings: Settings, principal: str | None = None) -> Credentials:
    """
    Return who this process is: `settings.credentials`, else `principal` of the state folder.

    Raise `CredentialsMissing` if there is no such file, `ConfigError` if it is not one.
    """
    path = settings.credentials
    if path is None:
        if principal is None:
            raise CredentialsMissing("name a credentials file with --credentials")
        path = settings.state_folder / CREDENTIALS_FOLDER / f"{principal}.json"
    return read_credentials(path)


def read_credentials(path: Path) -> Credentials:
    """
    Return the content of the credentials file at `path`.

    Raise `CredentialsMissing` if there is no such file, `ConfigError` if it is not one.
    """
    try:
        return Credentials.model_validate_json(path.read_bytes())
    except OSError as error:
        raise CredentialsMissing(
            f"there are no credentials at {path}; give a file with --credentials"
        ) from error
    except ValidationError as error:
        raise ConfigError(f"{path} is not a credentials file") from error


def is_loopback(host: str) -> bool:
    """Tell whether `host` names this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
