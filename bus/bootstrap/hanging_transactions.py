"""The transactions that hang on the embedded platform, with its broker's own account."""

import datetime as dt
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bus.adapters.embedded.state_folder import StateFolder
from bus.adapters.kafka.topic_admin import KafkaTopicAdmin
from bus.adapters.kafka.transactions import KafkaTransactions
from bus.bootstrap.embedded_platform import broker_admin
from bus.errors import PlatformNotRunning
from bus.ports.transactions import OpenTransaction, Transactions
from bus.services.open_transactions import hanging_now, partitions


@dataclass(frozen=True, slots=True)
class Hanging:
    """What hangs, and how to end it."""

    transactions: Sequence[OpenTransaction]
    _at: Transactions

    def end(self, transaction: OpenTransaction) -> None:
        """End a transaction; raise `BrokerUnavailable` if the broker does not."""
        self._at.abort(transaction)

    def name(self, transaction: OpenTransaction) -> str:
        """Return what an operator has to know of a transaction."""
        topic, number = transaction.partition
        return (
            f"{topic}/{number} from position {transaction.start}, "
            f"producer {transaction.producer}, last written {transaction.written_at:%F %T}Z"
        )


@contextmanager
def hanging(state: Path) -> Iterator[Hanging]:
    """Find what hangs on the platform in `state`; raise `PlatformNotRunning` if none runs there."""
    folder = StateFolder(state)
    if not folder.is_held():
        raise PlatformNotRunning(f"nothing runs in {state}; start it with `onesource up`")
    connection = broker_admin(folder, folder.platform()["kafka"]["bootstrap"])
    with closing(KafkaTransactions(connection)) as transactions:
        where = list(partitions(KafkaTopicAdmin(connection)))
        found = hanging_now(transactions, where, dt.datetime.now(dt.UTC))
        yield Hanging(found, transactions)
