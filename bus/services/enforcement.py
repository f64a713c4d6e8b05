"""
Make the data plane follow one decision, and only what the decision concerns.

`settle` works inside the decision's transaction: topics and accounts exist, what may no longer be
read is cut, the new policy is queued. `finish` gives, after the commit, what may be read now. A
crash in between leaves too little allowed, never too much, and housekeeping puts it right.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

from bus.domain.principal import PrincipalKind
from bus.domain.subscription import Subscription
from bus.ports import CatalogTransaction, Clock, EventCodec, TopicAdmin
from bus.services.access import Access
from bus.services.data_plane import refresh


@dataclass(slots=True)
class Settled:
    """What a decision has changed in the data plane."""

    policy_version: int | None = None
    subscriptions: tuple[Subscription, ...] = ()
    providers: tuple[str, ...] = ()
    passwords: dict[str, str] = field(default_factory=dict)
    """Of accounts that were created: handed over once, stored nowhere."""


class Enforcement:
    """Topics, accounts, permissions and policy, as decisions need them."""

    def __init__(
        self, *, topics: TopicAdmin, access: Access, codec: EventCodec, clock: Clock
    ) -> None:
        self._topics = topics
        self._access = access
        self._codec = codec
        self._clock = clock

    def settle(self, transaction: CatalogTransaction, resources: Collection[str]) -> Settled:
        """Bring the data plane of `resources` in line with their entries and grants."""
        refreshed = refresh(transaction, self._codec, self._clock, resources)
        settled = Settled(refreshed.policy_version, refreshed.changed)
        if refreshed.policy_version is not None:
            self._topics.ensure(refreshed.topics)
        names = [each.principal for each in refreshed.changed if not each.ended]
        known = transaction.principals(names) if names else {}
        for subscription in refreshed.changed:
            if not subscription.ended and subscription.principal not in known:
                settled.passwords[subscription.principal] = self._access.issue(
                    transaction,
                    subscription.principal,
                    PrincipalKind.SUBSCRIPTION,
                    subscription.id,
                )
        self._access.cut_subscriptions(transaction, refreshed.changed)
        return settled

    def finish(self, settled: Settled) -> None:
        """Give what may be read now; call it after the commit."""
        self._access.give_subscriptions(settled.subscriptions)

    def give_providers(self, transaction: CatalogTransaction, providers: Collection[str]) -> None:
        """Let providers write the source topics of their entries."""
        self._access.give_providers(transaction, providers)

    def issue(
        self, transaction: CatalogTransaction, name: str, kind: PrincipalKind, owner: str
    ) -> str:
        """Create a Kafka account, or give it a new password; return the password, once."""
        return self._access.issue(transaction, name, kind, owner)
