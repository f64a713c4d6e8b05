"""
The seams between the core and the outside.

Each has a real adapter and one in memory, and one contract suite that both pass. Offsets have exact
words: a *position* is the offset of the next record to read, a *committed* one survives us.
"""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeAlias

from bus.domain.access import AccessRule, Source
from bus.domain.catalog import LiveCatalog, LiveGrant
from bus.domain.dead_letter import DeadLetter
from bus.domain.entry import CatalogEntry
from bus.domain.grant import Grant, GrantState
from bus.domain.organisation import Organisation
from bus.domain.policy import (
    PolicyHeartbeat,
    PolicyVersion,
    ResourcePolicy,
    ViewPolicy,
    WriterSchema,
)
from bus.domain.principal import Principal
from bus.domain.router_state import RouterState
from bus.domain.subscription import Incarnation, Subscription
from bus.domain.view import View
from bus.ports.record_writer import RecordWriter


class Clock(Protocol):
    """Tells the time, so that no core function asks the operating system for it."""

    def now(self) -> dt.datetime:
        """Return an aware UTC datetime."""
        ...

    def monotonic(self) -> float:
        """Return seconds from an arbitrary start, never going back."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


BusEvent: TypeAlias = (
    ResourcePolicy | ViewPolicy | PolicyVersion | PolicyHeartbeat | RouterState | DeadLetter
)


class EventCodec(Protocol):
    """The wire form of the bus's own events."""

    def encode(self, event: BusEvent) -> bytes:
        """Return `event` as bytes."""
        ...

    def decode(self, data: bytes) -> BusEvent:
        """Return the event; raise `ContractError` if these are no bytes of an event."""
        ...


# --- The control plane's store --------------------------------------------------------------------


class CatalogTransaction(Protocol):
    """
    One change of the control plane's state, whole or not at all.

    Transactions that write are serial: the second waits until the first has ended.
    """

    def live(self, resources: Collection[str] | None = None) -> LiveCatalog:
        """
        Return the catalog in force: all of it, or what concerns `resources`.

        That is: their entries, the grants on them that have not ended, the organisations of both.
        """
        ...

    def grant(self, grant: str) -> LiveGrant | None:
        """Return one grant."""
        ...

    def grant_version(self, grant: str, version: int) -> Grant | None:
        """Return a grant as it was in one of its versions."""
        ...

    def governed(self) -> frozenset[str]:
        """Return the jurisdictions that are governed through the API, not by files."""
        ...

    def organisation(self, code: str) -> Organisation | None:
        """Return one organisation."""
        ...

    def organisations(self) -> Sequence[Organisation]:
        """Return all organisations, by code."""
        ...

    def provided(self, providers: Collection[str]) -> Sequence[CatalogEntry]:
        """Return the entries in force of these providers."""
        ...

    def sources(self) -> Sequence[Source]:
        """Return who provides what, of all entries in force."""
        ...

    def active_organisations(self) -> Sequence[str]:
        """Return the codes of the organisations that take part."""
        ...

    def over(self, today: dt.date) -> Sequence[str]:
        """Return the resources with active grants whose last day was before `today`."""
        ...

    def save_organisation(self, organisation: Organisation) -> None:
        """Register an organisation, or replace what is known of it."""
        ...

    def save_entry(self, entry: CatalogEntry, *, version: int, schema_id: int) -> None:
        """Add a version of an entry; its records are written with schema `schema_id`."""
        ...

    def retire_entry(self, resource: str) -> None:
        """Take an entry out of the catalog."""
        ...

    def save_grant(self, grant: Grant, *, version: int, state: GrantState) -> None:
        """Add a version of a grant, or end it."""
        ...

    def schema_id(self, text: str) -> int:
        """Return the id of a schema, a new one if the text is new."""
        ...

    def add_to_subject(self, subject: str, schema_id: int) -> None:
        """Make a schema a version of `subject`, unless it is one already."""
        ...

    def writer_schemas(self, resource: str, generation: int) -> Sequence[WriterSchema]:
        """Return the schemas of all entry versions of a generation, oldest first."""
        ...

    def incarnations(self, resources: Collection[str] | None = None) -> Sequence[Incarnation]:
        """Return the view incarnations (of `resources`) that have not ended, in a fixed order."""
        ...

    def filling(self) -> Sequence[Incarnation]:
        """Return the view incarnations that are not filled yet and have not ended."""
        ...

    def open_incarnation(self, view: View, *, partitions: int) -> Incarnation:
        """Begin a new life of `view`; its topic name has never been used."""
        ...

    def mark_live(self, topic: str, fill_end: Mapping[int, int]) -> None:
        """Note that an incarnation is filled, and where."""
        ...

    def end_incarnation(self, topic: str, at: dt.datetime) -> None:
        """End an incarnation; its topic is kept for the replay window."""
        ...

    def expired_topics(self, before: dt.datetime) -> Sequence[str]:
        """Return the topics of incarnations that ended before then and are not deleted yet."""
        ...

    def topic_deleted(self, topic: str, at: dt.datetime) -> None:
        """Note that the topic of an ended incarnation is gone."""
        ...

    def subscriptions(self, resources: Collection[str] | None = None) -> Sequence[Subscription]:
        """Return all subscriptions (on `resources`), ended ones too."""
        ...

    def save_subscription(self, subscription: Subscription) -> None:
        """Add or replace a subscription."""
        ...

    def principals(self, names: Collection[str] | None = None) -> Mapping[str, Principal]:
        """Return all principals, or those called `names`, by name."""
        ...

    def save_principal(self, principal: Principal) -> None:
        """Add or replace a principal."""
        ...

    def policy_objects(self, ids: Collection[str] | None = None) -> Mapping[str, bytes]:
        """Return what the newest policy version holds (of the objects `ids`), by object id."""
        ...

    def publish_policy(self, changes: Mapping[str, bytes | None]) -> int:
        """Queue a new policy version with these objects replaced or removed; return its number."""
        ...


class CatalogStore(Protocol):
    """The control plane's state."""

    def transaction(self) -> AbstractContextManager[CatalogTransaction]:
        """
        Return a transaction that commits if its block ends without an exception.

        Raise `StoreUnavailable` if the store does not answer.
        """
        ...

    def snapshot(self) -> AbstractContextManager[CatalogTransaction]:
        """Return one state of the store to read, without waiting for anybody who writes."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """Everything about one subscription: what its descriptor is made of."""

    subscription: Subscription
    grant: Grant
    grant_version: int
    state: GrantState
    entry: CatalogEntry
    entry_version: int
    incarnation: Incarnation


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """Everything a provider needs to publish to a resource."""

    entry: CatalogEntry
    version: int
    schema: WriterSchema


class CatalogReader(Protocol):
    """Reads of the control plane's state that wait for no transaction."""

    def principal(self, name: str) -> Principal | None:
        """Return one principal."""
        ...

    def delivery(self, subscription: str) -> Delivery | None:
        """Return one subscription with all that belongs to it."""
        ...

    def publication(self, resource: str) -> Publication | None:
        """Return the entry in force of a resource."""
        ...

    def topics_of(self, principal: Principal) -> frozenset[str]:
        """Return the data topics that a provider or subscriber may read."""
        ...


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """A record that the relay has to publish."""

    sequence: int
    policy_version: int
    topic: str
    key: str
    value: bytes | None


class Outbox(Protocol):
    """What committed transactions want published, in commit order."""

    def next_version(self) -> Sequence[OutboxRow]:
        """Return the rows of the oldest version that is not published; none: an empty list."""
        ...

    def mark_published(self, through_version: int) -> None:
        """Forget the rows up to this version."""
        ...

    def newest_version(self) -> int:
        """Return the number of the newest policy version, published or not."""
        ...

    def pending_versions(self) -> int:
        """Return how many versions wait to be published."""
        ...


class RelayLock(Protocol):
    """Makes sure that one relay at a time publishes."""

    def acquire(self) -> bool:
        """Try to become the relay; return whether that is us now."""
        ...

    def held(self) -> bool:
        """Return whether we are still the relay; once lost, `acquire` has to be called again."""
        ...

    def release(self) -> None:
        """Let another one relay."""
        ...


# --- Kafka: administration ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicSpec:
    """A topic as it must be."""

    name: str
    partitions: int
    config: Mapping[str, str]


class TopicAdmin(Protocol):
    """Makes and removes topics."""

    def ensure(self, specs: Sequence[TopicSpec]) -> None:
        """Create the topics that do not exist; leave the others. Raise `BrokerUnavailable`."""
        ...

    def existing(self, prefix: str) -> Mapping[str, int]:
        """Return the topics whose names start with `prefix`, with their partition counts."""
        ...

    def delete(self, names: Collection[str]) -> None:
        """Delete topics; those that do not exist are no error."""
        ...


class AccessAdmin(Protocol):
    """Accounts, permissions and quotas."""

    def set_password(self, principal: str, password: str) -> None:
        """Create the account, or replace its password."""
        ...

    def remove_account(self, principal: str) -> None:
        """Remove the account; one that does not exist is no error."""
        ...

    def rules(
        self, principals: Collection[str] | None = None
    ) -> Mapping[str, frozenset[AccessRule]]:
        """Return what each principal may do, or each of `principals`."""
        ...

    def allow(self, rules: Mapping[str, frozenset[AccessRule]]) -> None:
        """Add permissions."""
        ...

    def forbid(
        self, rules: Mapping[str, frozenset[AccessRule]], *, throttle: Collection[str] = ()
    ) -> None:
        """
        Remove permissions; those that do not exist are no error.

        The principals `throttle` are throttled in the same time: nobody waits for one after the
        other. If this raises, either may have been done.
        """
        ...

    def throttle(self, principal: str) -> None:
        """Let the principal read next to nothing: cuts fetches that are parked on the broker."""
        ...

    def unthrottle(self, principal: str) -> None:
        """Take the throttle away."""
        ...

    def throttled(self) -> frozenset[str]:
        """Return the principals that are throttled."""
        ...


# --- Kafka: records -------------------------------------------------------------------------------


class Partition(NamedTuple):
    """A partition of a topic."""

    topic: str
    number: int


class Committed(NamedTuple):
    """A committed position and the note that was committed with it."""

    position: int
    note: str


HeadersRead: TypeAlias = Sequence[tuple[str, str | bytes | None]] | Mapping[str, str | bytes | None]


class Record(Protocol):
    """
    A record as it was read.

    This is the shape of confluent-kafka's `Message`, which the data plane passes on untouched: one
    object less for each record.
    """

    def topic(self) -> str | None:
        """Return the topic; never None on a record that was read."""
        ...

    def partition(self) -> int | None:
        """Return the partition; never None on a record that was read."""
        ...

    def offset(self) -> int | None:
        """Return the offset; never None on a record that was read."""
        ...

    def key(self) -> bytes | None:
        """Return the key."""
        ...

    def value(self) -> bytes | None:
        """Return the value; None is a delete."""
        ...

    def headers(self) -> HeadersRead | None:
        """Return the headers; None if there are none."""
        ...

    def timestamp(self) -> tuple[int, int]:
        """Return (kind, milliseconds since 1970): kind 2 is the time of acceptance."""
        ...


@dataclass(frozen=True, slots=True)
class UnreadableBatch:
    """A batch that the client cannot read (bad compression, bad checksum)."""

    partition: Partition
    start: int
    end: int
    """The first position after it."""
    reason: str


@dataclass(frozen=True, slots=True)
class LostPosition:
    """The position is outside the log: going on would jump."""

    partition: Partition
    reason: str


ReadFault: TypeAlias = UnreadableBatch | LostPosition


class GroupListener(Protocol):
    """Is told what a consumer group member owns. Called from within `GroupConsumer.consume`."""

    def assigned(self, partitions: Sequence[Partition]) -> None:
        """Take note: these are ours, and paused until `GroupConsumer.start` is called for them."""
        ...

    def revoked(self, partitions: Sequence[Partition]) -> None:
        """Take note: these are ours no more."""
        ...


class GroupConsumer(Protocol):
    """A member of a consumer group that reads committed records; positions are never reset."""

    def follow(self, topics: Collection[str], listener: GroupListener) -> None:
        """Take part in reading exactly these topics."""
        ...

    def consume(self, most: int, seconds: float) -> tuple[Sequence[Record], Sequence[ReadFault]]:
        """
        Return up to `most` records of started partitions, waiting at most `seconds` for the first.

        Raise `BrokerUnavailable` on a fatal error: the process must start afresh.
        """
        ...

    def committed(self, partitions: Sequence[Partition]) -> Mapping[Partition, Committed]:
        """
        Return the stable committed positions; a partition without one is left out.

        Raise `BrokerUnavailable` if a transaction on one of them has not ended in time.
        """
        ...

    def ends(self) -> Mapping[Partition, int]:
        """Return the ends of the logs of our partitions as last heard of; costs no request."""
        ...

    def start(self, positions: Mapping[Partition, int]) -> None:
        """Read these partitions from these positions on."""
        ...

    def pause(self, partitions: Collection[Partition]) -> None:
        """Read these partitions no more until they are started."""
        ...

    def close(self) -> None:
        """Leave the group."""
        ...


class TransactionalWriter(RecordWriter, Protocol):
    """
    Writes records and consumer positions in one transaction.

    To write may raise `TransactionAborted`; after it nothing of the transaction is visible. After
    `TransactionUnknown` the writer has replaced itself, so that the transaction has ended, one way
    or the other.
    """

    def begin(self) -> None:
        """Begin a transaction."""
        ...

    def commit(
        self, positions: Mapping[Partition, Committed], consumer: GroupConsumer | None
    ) -> None:
        """Commit the records, and `positions` in the name of `consumer`'s group membership."""
        ...

    def abort(self) -> None:
        """Abort; never raises on a transaction that has already ended."""
        ...

    def close(self) -> None:
        """End an open transaction and let go."""
        ...


class LogReader(Protocol):
    """Reads committed records of given partitions, without a group."""

    def read(self, most: int, seconds: float) -> Sequence[Record]:
        """Return up to `most` records, waiting at most `seconds`; skips batches it cannot read."""
        ...

    def position(self, partition: Partition) -> int:
        """Return the position that every record before has been returned for."""
        ...

    def seek(self, partition: Partition, position: int) -> None:
        """Go on from `position`."""
        ...

    def close(self) -> None:
        """Let go."""
        ...


class LogReaders(Protocol):
    """Opens log readers and tells where logs begin and end."""

    def open(self, starts: Mapping[Partition, int]) -> LogReader:
        """Return a reader of these partitions from these positions on."""
        ...

    def beginnings(self, partitions: Collection[Partition]) -> Mapping[Partition, int]:
        """Return the first positions; raise `AccessDenied` where Kafka does not show a topic."""
        ...

    def ends(self, partitions: Collection[Partition]) -> Mapping[Partition, int]:
        """
        Return the high watermarks: the positions after the last record, committed or not.

        Raise `AccessDenied` where Kafka does not show a topic.
        """
        ...

    def group_positions(
        self, group: str, partitions: Collection[Partition]
    ) -> Mapping[Partition, int]:
        """Return what a consumer group has committed, as far as it has."""
        ...
