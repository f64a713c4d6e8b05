"""The control process: HTTP, relay, and the watch over fills, expiry and access."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from fastapi import FastAPI

from bus.adapters.avro.codec import AvroEventCodec
from bus.adapters.avro.compatibility import incompatibilities
from bus.adapters.definitions.installed_profiles import InstalledProfiles
from bus.adapters.kafka.checkpoint_publisher import KafkaCheckpointPublisher
from bus.adapters.kafka.log_reader import KafkaLogReaders
from bus.adapters.kafka.transactional_writer import KafkaTransactionalWriter
from bus.adapters.kafka.transactions import KafkaTransactions
from bus.adapters.postgres.audit_log import PostgresCheckpointStore
from bus.adapters.postgres.catalog_reader import PostgresCatalogReader
from bus.adapters.postgres.idempotency import PostgresKeptAnswers
from bus.adapters.postgres.outbox import PostgresOutbox, PostgresRelayLock
from bus.adapters.postgres.registry import PostgresSchemaRegistry
from bus.adapters.signing_key_file import ensure_signing_key
from bus.adapters.system_clock import SystemClock
from bus.bootstrap.audit import audit_key_path
from bus.bootstrap.catalog import catalog
from bus.bootstrap.connections import kafka_connection, postgres_settings
from bus.bootstrap.control_services import control_plane
from bus.bootstrap.identity import identity
from bus.control.app import make_app
from bus.control.background import Background, Repeated
from bus.control.rate_limits import Rate, RateLimits
from bus.domain.access import CONTROL, RELAY_TRANSACTIONAL_ID
from bus.ports import Clock
from bus.services import open_transactions, scheduler
from bus.services.audit_checkpoints import AuditCheckpoints
from bus.services.fill_watch import FillWatch
from bus.services.housekeeping import Housekeeping
from bus.services.open_transactions import OpenTransactions
from bus.services.relay import Relay
from bus.services.state_table import StateTable
from bus.settings import Settings

#: How often to look whether the first record of a bound entry has arrived.
_FIRST_DATA_SECONDS = 0.5
#: How often to look for subscribers that lost a part of their access and may read on.
_RELEASE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class ControlParts:
    """What the control process runs."""

    app: FastAPI
    background: Background


@contextmanager
def control(settings: Settings, clock: Clock | None = None) -> Iterator[ControlParts]:
    """
    Connect the control plane, and let go of everything at the end.

    `clock` is the time by which deadlines are counted and rung.
    """
    connection = kafka_connection(settings, CONTROL)
    codec = AvroEventCodec()
    clock = clock or SystemClock()
    profiles = InstalledProfiles(settings.profiles)
    # A fault in one of them is said now, and not to whoever asks first.
    profiles.names()
    readers = KafkaLogReaders(connection, group=f"{CONTROL}.reader")
    with catalog(settings) as parts, identity(settings, parts.postgres, clock) as who:
        answers = PostgresKeptAnswers(parts.postgres)
        relay = Relay(
            outbox=PostgresOutbox(parts.postgres),
            lock=PostgresRelayLock(postgres_settings(settings).dsn.get_secret_value()),
            connect=lambda: KafkaTransactionalWriter(
                connection, transactional_id=RELAY_TRANSACTIONAL_ID
            ),
            readers=readers,
            codec=codec,
            clock=clock,
        )
        plane = control_plane(parts, readers, clock, profiles)
        hanging = OpenTransactions(
            transactions=KafkaTransactions(connection), topics=parts.topics, clock=clock
        )
        background = Background(
            relay=relay,
            connect_watch=lambda: FillWatch(
                store=parts.store,
                changes=parts.changes,
                state=StateTable(readers, codec, clock),
                readers=readers,
                clock=clock,
            ),
            housekeeping=Housekeeping(
                store=parts.store,
                changes=parts.changes,
                topics=parts.topics,
                answers=answers,
                clock=clock,
            ),
            checkpoints=AuditCheckpoints(
                store=PostgresCheckpointStore(parts.postgres),
                publisher=KafkaCheckpointPublisher(connection),
                key=ensure_signing_key(audit_key_path(settings)),
                clock=clock,
                seconds=settings.audit.checkpoint_seconds,
                rows=settings.audit.checkpoint_rows,
            ),
            repeated=(
                Repeated("release", parts.changes.release_narrowed, _RELEASE_SECONDS),
                Repeated("open-transactions", hanging.step, open_transactions.EVERY_SECONDS),
                Repeated("scheduler", plane.scheduler.step, scheduler.POLL_SECONDS),
                Repeated(
                    "first-data", plane.services.entries.look_for_first_data, _FIRST_DATA_SECONDS
                ),
            ),
        )
        app = make_app(
            reader=PostgresCatalogReader(parts.postgres),
            schemas=PostgresSchemaRegistry(parts.postgres),
            incompatibilities=incompatibilities,
            answers=answers,
            limits=_limits(settings),
            identity=who,
            not_ready=background.not_ready,
            services=plane.services,
        )
        yield ControlParts(app, background)


def _limits(settings: Settings) -> RateLimits:
    rates = settings.rates
    return RateLimits(
        account=Rate(per_second=rates.account_per_second, burst=rates.account_burst),
        address=Rate(per_second=rates.address_per_second, burst=rates.address_burst),
    )
