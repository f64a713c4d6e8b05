"""What a provider has to know to publish a resource (`GET /v1/publications/{resource}`)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """Where records of a resource go, and what they must look like."""

    resource: str
    topic: str
    partitions: int
    generation: int
    entry_version: int
    principal: str
    key_items: tuple[str, ...]
    schema_id: int
    schema: str

    @classmethod
    def from_descriptor(cls, descriptor: Mapping[str, Any]) -> "Publication":
        """Return the publication that the control plane describes."""
        return cls(
            resource=descriptor["resource"],
            topic=descriptor["topic"],
            partitions=descriptor["partitions"],
            generation=descriptor["generation"],
            entry_version=descriptor["entry_version"],
            principal=descriptor["principal"],
            key_items=tuple(descriptor["key_items"]),
            schema_id=descriptor["schema_id"],
            schema=descriptor["schema"],
        )
