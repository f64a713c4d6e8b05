"""The schema registry, as its endpoint reads it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class SubjectVersion:
    """One version of a registry subject."""

    subject: str
    version: int
    schema_id: int
    text: str


class SchemaRegistry(Protocol):
    """What the registry endpoint shows; all of it follows from the catalog."""

    def schema_text(self, schema_id: int) -> str | None:
        """Return the text of a schema."""
        ...

    def subject_versions(self, subject: str) -> Sequence[SubjectVersion]:
        """Return the versions of a subject, oldest first; none if there is no such subject."""
        ...

    def subjects_of(self, schema_id: int) -> Sequence[SubjectVersion]:
        """Return where a schema is used."""
        ...

    def subjects(self) -> Sequence[str]:
        """Return the names of all subjects, in order."""
        ...
