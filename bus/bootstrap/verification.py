"""The verifier, with an operator's account."""

import io
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import fastavro
import psycopg
from psycopg import sql

from bus.adapters.avro.codec import AvroEventCodec
from bus.adapters.cel.cel_python import row_predicate
from bus.adapters.kafka.log_reader import KafkaLogReaders
from bus.adapters.system_clock import SystemClock
from bus.bootstrap.accounts import Account, account
from bus.bootstrap.pseudonyms import pseudonym_secrets
from bus.domain.access import OPERATOR
from bus.domain.names import META, OWN_COLUMNS
from bus.domain.record_key import record_key
from bus.errors import ConfigError, StoreUnavailable
from bus.ports import Partition
from bus.ports.pseudonym_secrets import PseudonymSecrets
from bus.services.policy_follower import PolicyFollower
from bus.services.verification.rows import Comparison, RowDigests
from bus.services.verification.verifier import Verified, Verifier
from bus.settings import Settings

_CATCH_UP_SECONDS = 30.0
_LOOK_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Verification:
    """What `onesource verify` needs."""

    account: Account
    readers: KafkaLogReaders
    clock: SystemClock
    secrets: PseudonymSecrets

    def verify(
        self,
        subscription: str,
        *,
        wait_seconds: float,
        on_progress: Callable[[int, int], None] = lambda *_: None,
    ) -> Verified:
        """
        Compare the view of `subscription` with its source.

        Raise `ConfigError` if the view is still being filled after `wait_seconds`, or the router
        does not catch up within as long again, `PseudonymKeyUnusable` if the view has pseudonyms
        and their secret is not here.
        """
        descriptor = self._await_fill(subscription, wait_seconds)
        codec = AvroEventCodec()
        follower = PolicyFollower(self.readers, codec, self.clock)
        deadline = self.clock.monotonic() + _CATCH_UP_SECONDS
        try:
            while follower.policy is None:
                follower.poll(_LOOK_SECONDS)
                if self.clock.monotonic() > deadline:
                    raise ConfigError("no policy can be read: is control running?")
        finally:
            follower.close()
        verifier = Verifier(self.readers, codec, self.clock, row_predicate, self.secrets)
        return verifier.verify(
            follower.policy,
            descriptor["topic"],
            self._decode,
            wait_seconds=wait_seconds,
            on_progress=lambda _, done, total: on_progress(done, total),
        )

    def _await_fill(self, subscription: str, wait_seconds: float) -> dict[str, Any]:
        deadline = self.clock.monotonic() + wait_seconds
        while True:
            descriptor = self.account.control.subscription(subscription)
            if descriptor["state"] != "SNAPSHOTTING":
                return descriptor
            if self.clock.monotonic() > deadline:
                raise ConfigError(f"the view of {subscription} is still being filled")
            self.clock.sleep(_LOOK_SECONDS)

    def compare_table(
        self,
        subscription: str,
        verified: Verified,
        *,
        dsn: str,
        schema: str,
        table: str | None,
        wait_seconds: float,
    ) -> Comparison:
        """Compare a sink's table with what the verification of its view has computed."""
        descriptor = self.account.control.subscription(subscription)
        name = table or descriptor["resource"]["code"].replace("-", "_")
        keys = [item["name"] for item in descriptor["items"] if item["key"]]
        partitions = [
            Partition(descriptor["topic"], number) for number in range(descriptor["partitions"])
        ]
        try:
            with psycopg.connect(dsn) as connection:
                self._await_sink(connection, subscription, partitions, wait_seconds)
                rows = _table_rows(connection, schema, name, keys)
                rows.leave_out(verified.undecided)
                return verified.expected.compare(rows)
        except psycopg.Error as error:
            raise StoreUnavailable(f"the table cannot be read: {error}") from error

    def _await_sink(
        self,
        connection: psycopg.Connection[Any],
        subscription: str,
        partitions: list[Partition],
        wait_seconds: float,
    ) -> None:
        """Wait until the sink stands at the end of the view topic."""
        ends = self.readers.ends(partitions)
        deadline = self.clock.monotonic() + wait_seconds
        while True:
            with connection.transaction():
                rows = connection.execute(
                    "SELECT partition, position FROM onesource_sink.position"
                    " WHERE subscription = %s AND topic = %s",
                    (subscription, partitions[0].topic),
                ).fetchall()
            positions = dict(rows)
            if all(positions.get(each.number, 0) >= end for each, end in ends.items()):
                return
            if self.clock.monotonic() > deadline:
                raise ConfigError("the sink is behind and does not catch up: is it running?")
            self.clock.sleep(_LOOK_SECONDS)

    def _decode(self, value: bytes) -> Mapping[str, Any]:
        text = self.account.control.schema(int.from_bytes(value[1:5], "big"))
        schema = _PARSED.get(text)
        if schema is None:
            schema = _PARSED[text] = fastavro.parse_schema(json.loads(text))
        record = fastavro.schemaless_reader(io.BytesIO(value[5:]), schema, None)
        if not isinstance(record, dict):
            raise ConfigError("a view record must be a record")
        record.pop(META)
        return record


_PARSED: dict[str, fastavro.types.Schema] = {}


def _table_rows(
    connection: psycopg.Connection[Any], schema: str, name: str, keys: list[str]
) -> RowDigests:
    rows = RowDigests()
    statement = sql.SQL("SELECT * FROM {}").format(sql.Identifier(schema, name))
    with connection.cursor(name="onesource_verify") as cursor:
        cursor.itersize = 10_000
        cursor.execute(statement)
        names: list[str] = []
        for values in cursor:
            names = names or [column.name for column in cursor.description or ()]
            row = {
                column: value
                for column, value in zip(names, values, strict=True)
                if not column.startswith(OWN_COLUMNS)
            }
            rows.put(record_key([row[key] for key in keys]), row)
    return rows


@contextmanager
def verification(settings: Settings) -> Iterator[Verification]:
    """Connect as operator, and let go at the end."""
    operator = account(settings, OPERATOR)
    try:
        yield Verification(
            operator,
            KafkaLogReaders(operator.kafka, group=f"{OPERATOR}.verify"),
            SystemClock(),
            pseudonym_secrets(settings),
        )
    finally:
        operator.control.close()
