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
from bus.ports import CatalogTransaction, Clock, EventCodec, TopicAdmin, TopicSpec
from bus.services.access import Access
from bus.services.data_plane import refresh


@dataclass(slots=True)
class Settled:
    """What a decision has changed in the data plane."""

    policy_version: int | None = None
    resources: tuple[str, ...] = ()
    subscriptions: tuple[Subscription, ...] = ()
    providers: tuple[str, ...] = ()
    passwords: dict[str, str] = field(default_factory=dict)
    """Of accounts that were created: handed over once, stored nowhere."""

    @property
    def gives(self) -> bool:
        """Whether somebody may read something now who could not before."""
        return any(each.topics() for each in self.subscriptions)


class Enforcement:
    """Topics, accounts, permissions and policy, as decisions need them."""

    def __init__(
        self, *, topics: TopicAdmin, access: Access, codec: EventCodec, clock: Clock
    ) -> None:
        self._topics = topics
        self._access = access
        self._codec = codec
        self._clock = clock
        #: Topics that were created, or were there. They go with an incarnation, whose name never
        #: comes again.
        self._known: set[str] = set()

    def settle(self, transaction: CatalogTransaction, resources: Collection[str]) -> Settled:
        """Bring the data plane of `resources` in line with their entries and grants."""
        refreshed = refresh(transaction, self._codec, self._clock, resources)
        settled = Settled(refreshed.policy_version, tuple(resources), refreshed.changed)
        self._access.cut_subscriptions(transaction, refreshed.changed)
        self._ensure(refreshed.topics)
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
        return settled

    def _ensure(self, topics: Collection[TopicSpec]) -> None:
        """Create the topics that are not known to exist; most decisions need no new one."""
        missing = [spec for spec in topics if spec.name not in self._known]
        self._topics.ensure(missing)
        self._known.update(spec.name for spec in missing)

    def finish(self, transaction: CatalogTransaction, settled: Settled) -> None:
        """
        Give what may be read now, in a transaction that writes, after that of the decision.

        What stands at this moment is given: it may have been taken away again in between.
        """
        changed = {each.id for each in settled.subscriptions}
        self._access.give_subscriptions(
            [each for each in transaction.subscriptions(settled.resources) if each.id in changed],
            new=settled.passwords.keys(),
        )

    def give_providers(self, transaction: CatalogTransaction, providers: Collection[str]) -> None:
        """Let providers write the source topics of their entries."""
        self._access.give_providers(transaction, providers)

    def issue(
        self, transaction: CatalogTransaction, name: str, kind: PrincipalKind, owner: str
    ) -> str:
        """Create a Kafka account, or give it a new password; return the password, once."""
        return self._access.issue(transaction, name, kind, owner)
