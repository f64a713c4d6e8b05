"""
What the data plane is told (design.md §6): the compiled policy.

The control plane publishes it in whole versions; whoever reads it applies whole versions. A
`Policy` value is one such version, complete.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bus.domain.names import value_subject
from bus.domain.view import View


def resource_object_id(jurisdiction: str, resource: str) -> str:
    """Return the key of a resource on the policy topic."""
    return f"resource/{jurisdiction}/{resource}"


def view_object_id(topic: str) -> str:
    """Return the key of a view incarnation on the policy topic."""
    return f"view/{topic}"


@dataclass(frozen=True, slots=True)
class WriterSchema:
    """A schema that records on a source topic may be written with."""

    id: int
    entry_version: int
    """The newest entry version with this schema."""
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourcePolicy:
    """What the router must know of a resource generation to read its source topic."""

    jurisdiction: str
    resource: str
    provider: str
    generation: int
    topic: str
    partitions: int
    dead_letter_topic: str
    key_items: tuple[str, ...]
    schemas: tuple[WriterSchema, ...]

    @property
    def object_id(self) -> str:
        """The key of this object on the policy topic."""
        return resource_object_id(self.jurisdiction, self.resource)


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewPolicy:
    """One incarnation of a view that the router must keep on its topic."""

    view: View
    incarnation: int
    topic: str
    partitions: int
    projections: Mapping[int, int]
    """Writer schema id -> schema id of this view's records written from it."""

    @property
    def object_id(self) -> str:
        """The key of this object on the policy topic."""
        return view_object_id(self.topic)

    @property
    def subject(self) -> str:
        """The registry subject of this incarnation's values."""
        return value_subject(self.topic)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """One whole version of the policy."""

    version: int
    resources: Mapping[str, ResourcePolicy] = field(default_factory=dict)
    """By source topic."""
    views: Mapping[str, ViewPolicy] = field(default_factory=dict)
    """By view topic."""

    def views_by_resource(self) -> dict[str, tuple[ViewPolicy, ...]]:
        """Return `views_of` each resource that has views, by source topic, in one go."""
        topics = {
            (each.jurisdiction, each.resource, each.generation): topic
            for topic, each in self.resources.items()
        }
        found: dict[str, list[ViewPolicy]] = {}
        for _, view in sorted(self.views.items()):
            of = (view.view.jurisdiction, view.view.resource, view.view.generation)
            if of in topics:
                found.setdefault(topics[of], []).append(view)
        return {topic: tuple(views) for topic, views in found.items()}

    def views_of(self, resource: ResourcePolicy) -> tuple[ViewPolicy, ...]:
        """Return the live incarnations of the views of `resource`, in a fixed order."""
        return tuple(
            view
            for _, view in sorted(self.views.items())
            if (view.view.jurisdiction, view.view.resource, view.view.generation)
            == (resource.jurisdiction, resource.resource, resource.generation)
        )


@dataclass(frozen=True, slots=True)
class PolicyVersion:
    """The record that closes a version on the policy topic."""

    version: int

    object_id = "version"


@dataclass(frozen=True, slots=True)
class PolicyHeartbeat:
    """The relay lives, and the policy has not changed since `version`."""

    version: int

    object_id = "heartbeat"
