"""What the registry endpoint shows."""

from collections.abc import Sequence

from bus.adapters.postgres.pool import Postgres
from bus.adapters.postgres.statements import statements
from bus.ports.registry import SubjectVersion

_REGISTRY = "registry"


class PostgresSchemaRegistry:
    """See `bus.ports.SchemaRegistry`."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    def schema_text(self, schema_id: int) -> str | None:
        with self._postgres.transaction() as connection:
            row = connection.execute(
                statements(_REGISTRY)["schema_text"], {"id": schema_id}
            ).fetchone()
        return row[0] if row else None

    def subject_versions(self, subject: str) -> Sequence[SubjectVersion]:
        return self._versions("subject_versions", subject=subject)

    def subjects_of(self, schema_id: int) -> Sequence[SubjectVersion]:
        return self._versions("subjects_of", id=schema_id)

    def subjects(self) -> Sequence[str]:
        with self._postgres.transaction() as connection:
            rows = connection.execute(statements(_REGISTRY)["subjects"]).fetchall()
        return [subject for (subject,) in rows]

    def _versions(self, name: str, **parameters: object) -> Sequence[SubjectVersion]:
        with self._postgres.transaction() as connection:
            rows = connection.execute(statements(_REGISTRY)[name], parameters).fetchall()
        return [SubjectVersion(*row) for row in rows]
