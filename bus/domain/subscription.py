"""
View incarnations and the subscriptions that read them (design.md §5, §9).

A subscription is delivered from the incarnation `topic`. When its grant is widened it stays there
until the incarnation `next_topic` has been filled, and then moves on.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bus.domain.names import group_prefix
from bus.domain.view import View


@dataclass(frozen=True, slots=True, kw_only=True)
class Incarnation:
    """One life of a view, on a topic of its own."""

    view: View
    number: int
    topic: str
    partitions: int
    live: bool = False
    """Whether it has been filled in every source partition."""
    fill_end: Mapping[int, int] = field(default_factory=dict)
    """By partition: an offset at which the topic held the whole view; once it is live."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """The technical delivery of one grant (its id is the grant's)."""

    id: str
    principal: str
    ended: bool
    topic: str
    next_topic: str | None = None
    blocked: bool = False
    """Its grant is suspended: nothing may be read, but its view is kept."""

    @property
    def group_prefix(self) -> str:
        """The prefix that the consumer groups of this subscription must have."""
        return group_prefix(self.principal)

    def topics(self) -> tuple[str, ...]:
        """Return the topics that the subscription's principal may read."""
        return () if self.blocked else self.kept_topics()

    def kept_topics(self) -> tuple[str, ...]:
        """Return the topics that the router keeps for this subscription."""
        if self.ended:
            return ()
        return (self.topic,) if self.next_topic is None else (self.topic, self.next_topic)
