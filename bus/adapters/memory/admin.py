"""Topic and access administration in memory."""

from collections.abc import Collection, Mapping, Sequence

from bus.adapters.memory.broker import MemoryBroker
from bus.domain.access import AccessRule
from bus.ports import TopicSpec


class MemoryTopicAdmin:
    """See `bus.ports.TopicAdmin`."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker

    def ensure(self, specs: Sequence[TopicSpec]) -> None:
        for spec in specs:
            self._broker.create(spec.name, spec.partitions)

    def existing(self, prefix: str) -> Mapping[str, int]:
        return {
            name: partitions
            for name, partitions in self._broker.topics().items()
            if name.startswith(prefix)
        }

    def delete(self, names: Collection[str]) -> None:
        for name in names:
            self._broker.delete(name)


class MemoryAccessAdmin:
    """See `bus.ports.AccessAdmin`."""

    def __init__(self) -> None:
        self.passwords: dict[str, str] = {}
        self._throttled: set[str] = set()
        self._rules: dict[str, frozenset[AccessRule]] = {}

    def set_password(self, principal: str, password: str) -> None:
        self.passwords[principal] = password

    def remove_account(self, principal: str) -> None:
        self.passwords.pop(principal, None)

    def rules(
        self, principals: Collection[str] | None = None
    ) -> Mapping[str, frozenset[AccessRule]]:
        return {
            principal: rules
            for principal, rules in self._rules.items()
            if rules and (principals is None or principal in principals)
        }

    def allow(self, rules: Mapping[str, frozenset[AccessRule]]) -> None:
        for principal, added in rules.items():
            self._rules[principal] = self._rules.get(principal, frozenset()) | added

    def forbid(
        self, rules: Mapping[str, frozenset[AccessRule]], *, throttle: Collection[str] = ()
    ) -> None:
        for principal in throttle:
            self.throttle(principal)
        for principal, removed in rules.items():
            self._rules[principal] = self._rules.get(principal, frozenset()) - removed

    def throttle(self, principal: str) -> None:
        self._throttled.add(principal)

    def unthrottle(self, principal: str) -> None:
        self._throttled.discard(principal)

    def throttled(self) -> frozenset[str]:
        return frozenset(self._throttled)
