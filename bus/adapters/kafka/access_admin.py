"""Accounts, ACLs and quotas."""

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import Future
from typing import Any, TypeVar

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialDeletion,
    UserScramCredentialUpsertion,
)

from bus.adapters.kafka.connection import KafkaConnection
from bus.adapters.kafka.kafka_admin import KafkaAdmin
from bus.adapters.kafka.quotas import ClientQuotas
from bus.domain.access import AccessRule, Operation, Resource
from bus.domain.principal import SCRAM_ITERATIONS
from bus.errors import BrokerUnavailable

#: Brokers that are busy with making many topics take new permissions in late.
_EFFECT_SECONDS = 60.0
_EFFECT_PAUSE_SECONDS = 0.02
_NONE: frozenset[AccessRule] = frozenset()
T = TypeVar("T")
#: As good as nothing, and low enough to stop a fetch that is parked on the broker.
_THROTTLED_BYTES_PER_SECOND = 1.0

_RESOURCES = {
    Resource.TOPIC: ResourceType.TOPIC,
    Resource.GROUP: ResourceType.GROUP,
    Resource.TRANSACTIONAL_ID: ResourceType.TRANSACTIONAL_ID,
    Resource.CLUSTER: ResourceType.BROKER,
}
_OPERATIONS = {
    Operation.READ: AclOperation.READ,
    Operation.WRITE: AclOperation.WRITE,
    Operation.DESCRIBE: AclOperation.DESCRIBE,
    Operation.CREATE: AclOperation.CREATE,
    Operation.DELETE: AclOperation.DELETE,
    Operation.ALTER: AclOperation.ALTER,
    Operation.ALTER_CONFIGS: AclOperation.ALTER_CONFIGS,
    Operation.DESCRIBE_CONFIGS: AclOperation.DESCRIBE_CONFIGS,
}
_RESOURCES_BACK = {value: key for key, value in _RESOURCES.items()}
_OPERATIONS_BACK = {value: key for key, value in _OPERATIONS.items()}


class KafkaAccessAdmin:
    """See `bus.ports.AccessAdmin`."""

    def __init__(self, connection: KafkaConnection) -> None:
        self._connection = connection
        self._admin = KafkaAdmin(connection)
        self._quotas = ClientQuotas(connection)

    def set_password(self, principal: str, password: str) -> None:
        info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, SCRAM_ITERATIONS)
        self._alter(UserScramCredentialUpsertion(principal, info, password.encode()))

    def remove_account(self, principal: str) -> None:
        try:
            self._alter(UserScramCredentialDeletion(principal, ScramMechanism.SCRAM_SHA_512))
        except BrokerUnavailable as error:
            if not _is(error, KafkaError.RESOURCE_NOT_FOUND):
                raise

    def rules(
        self, principals: Collection[str] | None = None
    ) -> Mapping[str, frozenset[AccessRule]]:
        if principals is not None:
            found: dict[str, frozenset[AccessRule]] = {}
            for principal in principals:
                found.update(self._known_rules(principal))
            return found
        known = self._known_rules()
        if not known:
            # librdkafka hides a refusal behind an empty answer, and an empty one cannot be: the
            # bus's own processes have rules. Taken for true, it would leave old access uncut.
            raise BrokerUnavailable(
                "the broker shows no permissions, not even the bus's own: "
                f"may {self._connection.username} describe the cluster?"
            )
        return known

    def _known_rules(self, principal: str | None = None) -> Mapping[str, frozenset[AccessRule]]:
        # The stubs ask for text where None means "any".
        anything = AclBindingFilter(
            ResourceType.ANY,
            None,  # type: ignore[arg-type]
            ResourcePatternType.ANY,
            None if principal is None else f"User:{principal}",  # type: ignore[arg-type]
            None,  # type: ignore[arg-type]
            AclOperation.ANY,
            AclPermissionType.ANY,
        )
        found: dict[str, set[AccessRule]] = defaultdict(set)
        bindings = self._ask(
            lambda client: self._admin.answer(
                client.describe_acls(anything, request_timeout=self._admin.seconds)
            ),
            "read ACLs",
        )
        for binding in bindings:
            rule = AccessRule(
                _RESOURCES_BACK[binding.restype],
                binding.name,
                _OPERATIONS_BACK[binding.operation],
                binding.resource_pattern_type is ResourcePatternType.PREFIXED,
            )
            found[binding.principal.removeprefix("User:")].add(rule)
        return {principal: frozenset(rules) for principal, rules in found.items()}

    def allow(self, rules: Mapping[str, frozenset[AccessRule]]) -> None:
        bindings = list(_bindings(rules))
        if bindings:
            self._ask(
                lambda client: self._all(
                    client.create_acls(bindings, request_timeout=self._admin.seconds)
                ),
                "create ACLs",
            )
            self._await_effect(rules)

    def forbid(
        self, rules: Mapping[str, frozenset[AccessRule]], *, throttle: Collection[str] = ()
    ) -> None:
        filters = [_exactly(binding) for binding in _bindings(rules)]
        # librdkafka works on the one while this thread asks for the other.
        begun = [self._delete(self._admin.client, filters)]
        try:
            self._quotas.set_consumer_byte_rates(
                dict.fromkeys(throttle, _THROTTLED_BYTES_PER_SECOND)
            )
        finally:
            self._ask(
                lambda client: self._all(begun.pop() if begun else self._delete(client, filters)),
                "delete ACLs",
            )
        self._await_gone(rules)

    def _delete(
        self, client: AdminClient, filters: list[AclBindingFilter]
    ) -> Mapping[Any, Future[Any]]:
        if not filters:
            return {}
        return client.delete_acls(filters, request_timeout=self._admin.seconds)

    def throttle(self, principal: str) -> None:
        self._quotas.set_consumer_byte_rates({principal: _THROTTLED_BYTES_PER_SECOND})

    def unthrottle(self, principal: str) -> None:
        self._quotas.set_consumer_byte_rates({principal: None})

    def throttled(self) -> frozenset[str]:
        return frozenset(
            principal
            for principal, rate in self._quotas.consumer_byte_rates().items()
            if rate == _THROTTLED_BYTES_PER_SECOND
        )

    def _await_gone(self, rules: Mapping[str, frozenset[AccessRule]]) -> None:
        """Wait until the broker has forgotten permissions: the controller confirms before that."""
        deadline = time.monotonic() + _EFFECT_SECONDS
        left = {principal: gone for principal, gone in rules.items() if gone}
        while left:
            known = self._known_rules(next(iter(left)) if len(left) == 1 else None)
            left = {name: gone for name, gone in left.items() if gone & known.get(name, _NONE)}
            if left and time.monotonic() > deadline:
                raise BrokerUnavailable("the broker has not let go of the old permissions")
            if left:
                time.sleep(_EFFECT_PAUSE_SECONDS)

    def close(self) -> None:
        """Let go of the connection for quotas."""
        self._quotas.close()

    def _await_effect(self, rules: Mapping[str, frozenset[AccessRule]]) -> None:
        """
        Wait until the broker knows new permissions.

        The controller confirms them before the brokers have read its log; a client that comes in
        between is refused, and a producer takes that for final.
        """
        deadline = time.monotonic() + _EFFECT_SECONDS
        while True:
            # One principal is asked for by name: an answer with all does not stay small.
            known = self._known_rules(next(iter(rules)) if len(rules) == 1 else None)
            if all(wanted <= known.get(principal, _NONE) for principal, wanted in rules.items()):
                return
            if time.monotonic() > deadline:
                raise BrokerUnavailable("the broker has not taken the new permissions in")
            time.sleep(_EFFECT_PAUSE_SECONDS)

    def _alter(
        self, alteration: UserScramCredentialUpsertion | UserScramCredentialDeletion
    ) -> None:
        self._ask(
            lambda client: self._all(
                client.alter_user_scram_credentials(
                    [alteration], request_timeout=self._admin.seconds
                )
            ),
            f"alter the account {alteration.user}",
        )

    def _ask(self, request: Callable[[AdminClient], T], doing: str) -> T:
        try:
            return self._admin.ask(request)
        except KafkaException as error:
            raise BrokerUnavailable(f"could not {doing}: {error}") from error

    def _all(self, futures: Mapping[Any, Future[Any]]) -> None:
        self._admin.answers(futures.values())


def _is(error: BrokerUnavailable, code: int) -> bool:
    cause = error.__cause__
    return isinstance(cause, KafkaException) and bool(cause.args[0].code() == code)


def _bindings(rules: Mapping[str, frozenset[AccessRule]]) -> Iterable[AclBinding]:
    for principal, allowed in rules.items():
        for rule in allowed:
            yield AclBinding(
                _RESOURCES[rule.resource],
                rule.name,
                ResourcePatternType.PREFIXED if rule.prefixed else ResourcePatternType.LITERAL,
                f"User:{principal}",
                "*",
                _OPERATIONS[rule.operation],
                AclPermissionType.ALLOW,
            )


def _exactly(binding: AclBinding) -> AclBindingFilter:
    return AclBindingFilter(
        binding.restype,
        binding.name,
        binding.resource_pattern_type,
        binding.principal,
        binding.host,
        binding.operation,
        binding.permission_type,
    )
