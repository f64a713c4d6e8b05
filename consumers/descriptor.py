"""What a subscriber has to know of its subscription (`GET /v1/subscriptions/{id}`)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bus.adapters.control_http.client import ControlClient
from bus.errors import SubscriptionEnded
from bus.ports import Partition


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptor:
    """Where and how a subscription is delivered, under which grant, for which purpose."""

    id: str
    state: str
    grant: str
    grant_version: int
    grant_state: str
    purpose: str
    share_class: str | None
    resource: str
    jurisdiction: str
    provider: str
    entry_version: int
    items: tuple[Mapping[str, Any], ...]
    incarnation: int
    topic: str
    partitions: int
    subject: str
    principal: str
    group_prefix: str
    fill_end: Mapping[int, int] | None
    """By partition: where the topic held the whole view; None while it is being filled."""
    replay_window_days: int

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Descriptor":
        """Return the descriptor in the control plane's answer."""
        fill_end = content["fill_end"]
        return cls(
            id=content["id"],
            state=content["state"],
            grant=content["grant"]["id"],
            grant_version=content["grant"]["version"],
            grant_state=content["grant"]["state"],
            purpose=content["purpose"],
            share_class=content["class"],
            resource=content["resource"]["code"],
            jurisdiction=content["resource"]["jurisdiction"],
            provider=content["resource"]["provider"],
            entry_version=content["resource"]["entry_version"],
            items=tuple(content["items"]),
            incarnation=content["incarnation"],
            topic=content["topic"],
            partitions=content["partitions"],
            subject=content["subject"],
            principal=content["principal"],
            group_prefix=content["group_prefix"],
            fill_end=None
            if fill_end is None
            else {int(number): end for number, end in fill_end.items()},
            replay_window_days=content["replay_window_days"],
        )

    @property
    def topic_partitions(self) -> tuple[Partition, ...]:
        """The partitions of the view topic."""
        return tuple(Partition(self.topic, number) for number in range(self.partitions))

    @property
    def key_items(self) -> tuple[str, ...]:
        """The names of the key items, in catalog order."""
        return tuple(item["name"] for item in self.items if item["key"])

    def filled(self, positions: Mapping[Partition, int]) -> bool:
        """Tell whether a reader at these positions has seen the whole view."""
        return self.fill_end is not None and all(
            positions.get(Partition(self.topic, number), 0) >= end
            for number, end in self.fill_end.items()
        )


def fetch_descriptor(control: ControlClient, subscription: str) -> Descriptor:
    """
    Return the present descriptor of `subscription`.

    Raise `SubscriptionEnded` if its grant is over, and what `ControlClient` raises.
    """
    descriptor = Descriptor.from_json(control.subscription(subscription))
    if descriptor.state == "ENDED":
        raise SubscriptionEnded(
            f"grant {descriptor.grant} of subscription {subscription} is "
            f"{descriptor.grant_state.lower()}; nothing more will come"
        )
    return descriptor
