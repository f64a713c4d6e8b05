"""Compiled plans, one for each resource, compiled again only when its policy has changed."""

from bus.domain.policy import Policy
from bus.views.plan import Plan, compile_plan
from bus.views.row_filter import FilterCompiler


class Plans:
    """The plans of the newest policy that `follow` was given."""

    def __init__(self, compile_filter: FilterCompiler) -> None:
        self._compile_filter = compile_filter
        self._plans: dict[str, tuple[Plan, int]] = {}
        #: Schema ids of all resources and views; the plans look at it.
        self._schemas: set[int] = set()
        self.version = 0

    def follow(self, policy: Policy) -> None:
        """Compile what is new or has changed; forget what is gone."""
        self._schemas.clear()
        for resource in policy.resources.values():
            self._schemas.update(schema.id for schema in resource.schemas)
        for view in policy.views.values():
            self._schemas.update(view.projections.values())
        views_of = policy.views_by_resource()
        plans: dict[str, tuple[Plan, int]] = {}
        for topic, resource in policy.resources.items():
            views = views_of.get(topic, ())
            known = self._plans.get(topic)
            if known is not None and (known[0].resource, known[0].views) == (resource, views):
                plans[topic] = known
                continue
            plan = compile_plan(
                resource, views, compile_filter=self._compile_filter, registered=self._schemas
            )
            plans[topic] = (plan, policy.version)
        self._plans = plans
        self.version = policy.version

    def topics(self) -> frozenset[str]:
        """Return the source topics."""
        return frozenset(self._plans)

    def knows_schema(self, schema: int) -> bool:
        """Tell whether a schema is registered, for whatever topic."""
        return schema in self._schemas

    def of(self, topic: str) -> tuple[Plan, int] | None:
        """Return the plan of a source topic, and the policy version it is from."""
        return self._plans.get(topic)
