"""The audit log for the command line, and where its signing key is."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bus.adapters.kafka.log_reader import KafkaLogReaders
from bus.adapters.postgres.audit_log import PostgresAuditReader, PostgresAuditWriter
from bus.adapters.postgres.pool import Postgres
from bus.adapters.signing_key_file import FILE_NAME, public_key_file
from bus.adapters.system_clock import SystemClock
from bus.audit import export
from bus.audit.chain import to_document
from bus.audit.checkpoint import PublicKeys, decode, read_public_keys
from bus.audit.verifier import Verdict, merged, verify
from bus.bootstrap.connections import kafka_connection, postgres_settings
from bus.domain.access import OPERATOR
from bus.domain.audit_log import Checkpoint
from bus.domain.identity import Actor, Role
from bus.errors import ConfigError
from bus.services.audit_queries import AuditQueries, stored_checkpoints, stored_rows
from bus.services.checkpoint_topic import published_checkpoints
from bus.settings import Settings

_KEYS_FOLDER = "keys"
#: Whoever runs commands on the platform's machine is its operator.
LOCAL_OPERATOR = Actor(
    account=OPERATOR, organisation="", jurisdiction="", roles=frozenset({Role.OPERATOR})
)

OnProgress = Callable[[int, int], None]


def audit_key_path(settings: Settings) -> Path:
    """Return where the key is that signs checkpoints."""
    return settings.audit.key_file or settings.state_folder / _KEYS_FOLDER / FILE_NAME


def public_keys(settings: Settings, given: Path | None) -> PublicKeys:
    """Return the public keys in the file that was given, else of the key of this installation."""
    path = given or public_key_file(audit_key_path(settings))
    return read_public_keys(_text(path, "name the public key's file with --public-key"))


@dataclass(frozen=True, slots=True)
class AuditParts:
    """The log in the database."""

    reader: PostgresAuditReader
    queries: AuditQueries


@contextmanager
def audit_log(settings: Settings) -> Iterator[AuditParts]:
    """Connect to the database, and let go at the end."""
    postgres = Postgres(postgres_settings(settings).dsn.get_secret_value(), most=2)
    reader = PostgresAuditReader(postgres)
    writer = PostgresAuditWriter(postgres)
    try:
        yield AuditParts(reader, AuditQueries(reader=reader, writer=writer, clock=SystemClock()))
    finally:
        postgres.close()


def verify_database(
    settings: Settings,
    *,
    public_key: Path | None,
    checkpoints: Path | None,
    topic: bool,
    on_progress: OnProgress,
) -> Verdict:
    """
    Verify the log in the database against all checkpoints that can be had.

    These are its own, those of the file `checkpoints` and, if `topic`, those on Kafka.
    """
    keys = public_keys(settings, public_key)
    with audit_log(settings) as parts:
        # What is compared with is read, or its end noted, before the rows are.
        sources = [stored_checkpoints(parts.reader)]
        if topic:
            readers = KafkaLogReaders(
                kafka_connection(settings, OPERATOR), group=f"{OPERATOR}.audit"
            )
            sources.append(published_checkpoints(readers, SystemClock()))
        if checkpoints is not None:
            sources.append(read_checkpoint_file(checkpoints))
        head = parts.reader.head()
        return verify(
            (to_document(row) for row in stored_rows(parts.reader)),
            merged(*sources),
            keys,
            log=head.log,
            head=head,
            on_progress=lambda done: on_progress(done, max(done, head.sequence)),
        )


def verify_export(
    settings: Settings,
    path: Path,
    *,
    public_key: Path | None,
    checkpoints: Path | None,
    on_progress: OnProgress,
) -> Verdict:
    """Verify the log in an export: nothing of the platform is asked."""
    keys = public_keys(settings, public_key)
    try:
        with path.open(encoding="utf-8", errors="replace", newline="\n") as file:
            head = export.read_head(file)
        with (
            path.open(encoding="utf-8", errors="replace", newline="\n") as of_checkpoints,
            path.open(encoding="utf-8", errors="replace", newline="\n") as of_rows,
        ):
            sources = [export.read_checkpoints(of_checkpoints)]
            if checkpoints is not None:
                sources.append(read_checkpoint_file(checkpoints))
            return verify(
                export.read_rows(of_rows),
                merged(*sources),
                keys,
                log=head.log,
                head=head,
                on_progress=lambda done: on_progress(done, max(done, head.sequence)),
            )
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be verified: {error}") from error


def write_export(settings: Settings, path: Path, *, on_progress: OnProgress) -> int:
    """Write the log to `path`, whole or not at all, and return how many rows it has."""
    part = path.with_name(f"{path.name}.part")
    try:
        with audit_log(settings) as parts, part.open("w", encoding="utf-8", newline="\n") as file:
            head, checkpoints, rows = parts.queries.export(LOCAL_OPERATOR, Role.OPERATOR)
            for number, line in enumerate(export.lines(head, checkpoints, rows)):
                file.write(line)
                if number % 1_000 == 0:
                    on_progress(min(number, head.sequence), head.sequence)
        part.replace(path)
    except OSError as error:
        raise ConfigError(f"the export cannot be written: {error}") from error
    finally:
        part.unlink(missing_ok=True)
    return head.sequence


def read_checkpoint_file(path: Path) -> Iterator[Checkpoint]:
    """Yield the checkpoints of a file, one a line, as they are on the topic."""
    for number, line in enumerate(
        _text(path, "name a file of checkpoints with --checkpoints").split("\n"), start=1
    ):
        if line.strip():
            try:
                yield decode(line)
            except ValueError as error:
                raise ConfigError(f"{path}, line {number}: {error}") from error


def _text(path: Path, advice: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read; {advice}") from error
