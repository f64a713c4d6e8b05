"""Transactions that are open on the broker, whoever began them (KIP-664)."""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from bus.ports import Partition


@dataclass(frozen=True, slots=True)
class LogEnd:
    """Where a log ends, for whom."""

    stable: int
    """For who reads committed records: the first position of the oldest open transaction."""
    last: int
    """The position after the last record, committed or not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenTransaction:
    """The part of a transaction that stands in one partition."""

    partition: Partition
    producer: int
    """The broker's number for whoever writes it."""
    epoch: int
    coordinator_epoch: int
    start: int
    """The position of its first record; nothing from there on is read by others."""
    written_at: dt.datetime
    """When something was last written in it."""


class Transactions(Protocol):
    """All may raise `BrokerUnavailable`."""

    def ends(self, partitions: Collection[Partition]) -> Mapping[Partition, LogEnd]:
        """Return where these logs end; raises if one is gone, or has no leader now."""
        ...

    def open_in(self, partitions: Collection[Partition]) -> Sequence[OpenTransaction]:
        """Return what is open in these partitions."""
        ...

    def abort(self, transaction: OpenTransaction) -> None:
        """End it in its partition, as if its producer had aborted it."""
        ...
