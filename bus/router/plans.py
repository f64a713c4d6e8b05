"""Plans, one for each resource, made when they are asked for and when their policy changed."""

from dataclasses import dataclass

from bus.domain.policy import Policy, ResourcePolicy, ViewPolicy
from bus.ports.pseudonym_secrets import PseudonymSecrets
from bus.views.plan import Plan, compile_plan
from bus.views.row_filter import FilterCompiler


@dataclass(slots=True)
class _Planned:
    """What the plan of a resource is made from, and the plan, once somebody wanted it."""

    resource: ResourcePolicy
    views: tuple[ViewPolicy, ...]
    version: int
    """The policy version that resource and views are from."""
    plan: Plan | None = None


class Plans:
    """
    The plans of the newest policy that `follow` was given.

    A router has a share of the partitions, and makes the plans of these; they compile themselves
    when their first record comes.
    """

    def __init__(
        self, compile_filter: FilterCompiler, secrets: PseudonymSecrets | None = None
    ) -> None:
        self._compile_filter = compile_filter
        self._secrets = secrets
        self._planned: dict[str, _Planned] = {}
        #: Schema ids of all resources and views; the plans look at it.
        self._schemas: set[int] = set()
        self.version = 0

    def follow(self, policy: Policy) -> None:
        """Take in what is new or has changed; forget what is gone."""
        self._schemas.clear()
        for resource in policy.resources.values():
            self._schemas.update(schema.id for schema in resource.schemas)
        for view in policy.views.values():
            self._schemas.update(view.projections.values())
        views_of = policy.views_by_resource()
        planned: dict[str, _Planned] = {}
        for topic, resource in policy.resources.items():
            views = views_of.get(topic, ())
            known = self._planned.get(topic)
            if known is not None and (known.resource, known.views) == (resource, views):
                planned[topic] = known
            else:
                planned[topic] = _Planned(resource, views, policy.version)
        self._planned = planned
        self.version = policy.version

    def topics(self) -> frozenset[str]:
        """Return the source topics."""
        return frozenset(self._planned)

    def knows(self, topic: str) -> bool:
        """Tell whether the policy has a source topic."""
        return topic in self._planned

    def knows_schema(self, schema: int) -> bool:
        """Tell whether a schema is registered, for whatever topic."""
        return schema in self._schemas

    def of(self, topic: str) -> tuple[Plan, int] | None:
        """
        Return the plan of a source topic, and the policy version it is from.

        Raise `PseudonymKeyUnusable` if one of its views has pseudonyms that cannot be made here.
        """
        planned = self._planned.get(topic)
        if planned is None:
            return None
        if planned.plan is None:
            planned.plan = compile_plan(
                planned.resource,
                planned.views,
                compile_filter=self._compile_filter,
                registered=self._schemas,
                secrets=self._secrets,
            )
        return planned.plan, planned.version
