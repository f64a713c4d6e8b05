"""
The typed table that a view becomes.

Items keep their names and get the types of their schema; columns that begin with `os_` say where a
row comes from. The primary key is the record's key.
"""

import datetime as dt
import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import sql
from psycopg.types.json import Jsonb

from bus.errors import ConfigError
from bus.views.schema_tree import Kind, Node
from consumers.change import Change

#: What the bus says about each row, and the type of its column.
META_COLUMNS: Mapping[str, str] = {
    "os_event_id": "uuid",
    "os_occurred_at": "timestamptz",
    "os_accepted_at": "timestamptz",
    "os_source": "text",
    "os_entry_version": "integer",
    "os_generation": "integer",
    "os_partition": "integer",
    "os_position": "bigint",
    "os_load": "bigint",
}

_BY_LOGICAL = {
    "date": "date",
    "time-millis": "time",
    "time-micros": "time",
    "timestamp-millis": "timestamptz",
    "timestamp-micros": "timestamptz",
    "uuid": "uuid",
}
_BY_KIND = {
    Kind.BOOLEAN: "boolean",
    Kind.INT: "integer",
    Kind.LONG: "bigint",
    Kind.FLOAT: "real",
    Kind.DOUBLE: "double precision",
    Kind.BYTES: "bytea",
    Kind.FIXED: "bytea",
    Kind.STRING: "text",
    Kind.ENUM: "text",
    Kind.ARRAY: "jsonb",
    Kind.MAP: "jsonb",
    Kind.RECORD: "jsonb",
}

#: What Avro's rules let a new entry version make of an item (int -> long -> float -> double).
_WIDENINGS = frozenset(
    {
        ("integer", "bigint"),
        ("integer", "double precision"),
        ("bigint", "double precision"),
        ("real", "double precision"),
    }
)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a view's table."""

    name: str
    type: str
    key: bool


def column_type(node: Node) -> str:
    """Return the Postgres type for an item of the type `node`."""
    if node.kind is Kind.UNION:
        return column_type(next(each for each in node.children if each.kind is not Kind.NULL))
    if node.logical == "decimal":
        return f"numeric({node.precision},{node.scale})"
    return _BY_LOGICAL.get(node.logical or "") or _BY_KIND[node.kind]


def columns_of(schemas: Sequence[Node], key_items: Sequence[str]) -> list[Column]:
    """
    Return the columns for a view whose records are written with any of `schemas`, newest last.

    Items of all of them are columns; the newest says the type.
    """
    types: dict[str, str] = {}
    for schema in schemas:
        for name, node in zip(schema.field_names[1:], schema.children[1:], strict=True):
            types[name] = column_type(node)
    return [Column(name, kind, name in key_items) for name, kind in types.items()]


@dataclass(frozen=True, slots=True)
class ViewTable:
    """The statements and values of one view's table."""

    schema: str
    name: str
    columns: tuple[Column, ...]

    @property
    def identifier(self) -> sql.Identifier:
        """The table's name, quoted."""
        return sql.Identifier(self.schema, self.name)

    @property
    def all_columns(self) -> list[str]:
        """The names of all columns: items, then ours."""
        return [column.name for column in self.columns] + list(META_COLUMNS)

    @property
    def key_columns(self) -> list[Column]:
        """The columns of the primary key."""
        return [column for column in self.columns if column.key]

    def create(self) -> sql.Composed:
        """Return the statement that creates the table."""
        lines = [
            sql.SQL("{} {}{}").format(
                sql.Identifier(column.name),
                sql.SQL(column.type),
                sql.SQL(" NOT NULL" if column.key else ""),
            )
            for column in self.columns
        ]
        lines += [
            sql.SQL("{} {} NOT NULL").format(sql.Identifier(name), sql.SQL(kind))
            for name, kind in META_COLUMNS.items()
        ]
        keys = [sql.Identifier(column.name) for column in self.key_columns]
        lines.append(sql.SQL("PRIMARY KEY ({})").format(sql.SQL(", ").join(keys)))
        return sql.SQL("CREATE TABLE IF NOT EXISTS {} ({})").format(
            self.identifier, sql.SQL(", ").join(lines)
        )

    def adjust(self, existing: Mapping[str, str]) -> list[sql.Composed]:
        """
        Return the statements that give an existing table (column -> type) the columns it lacks.

        A column whose type has grown (int to long) grows too. Raise `ConfigError` if a column
        exists with a type that rows would not fit.
        """
        statements = []
        for column in self.columns:
            found = existing.get(column.name)
            if found is None:
                statements.append(
                    sql.SQL("ALTER TABLE {} ADD COLUMN {} {}").format(
                        self.identifier, sql.Identifier(column.name), sql.SQL(column.type)
                    )
                )
            elif (found, column.type) in _WIDENINGS:
                statements.append(
                    sql.SQL("ALTER TABLE {} ALTER COLUMN {} TYPE {}").format(
                        self.identifier, sql.Identifier(column.name), sql.SQL(column.type)
                    )
                )
            elif found.replace(" ", "") != _reported(column.type).replace(" ", ""):
                raise ConfigError(
                    f"column {column.name!r} of {self.schema}.{self.name} is {found}, but the view "
                    f"has {column.type}: give another --table, or drop this one"
                )
        return statements

    def drop_foreign(self, existing: Mapping[str, str]) -> list[sql.Composed]:
        """Return the statements that drop the columns that the view does not have any more."""
        return [
            sql.SQL("ALTER TABLE {} DROP COLUMN {}").format(self.identifier, sql.Identifier(name))
            for name in sorted(existing.keys() - set(self.all_columns))
        ]

    def staging(self) -> sql.Composed:
        """Return the statement that creates the staging table of this session."""
        return sql.SQL(
            "CREATE TEMPORARY TABLE os_staging ON COMMIT DELETE ROWS AS"
            " SELECT {}, false AS os_deleted FROM {} WITH NO DATA"
        ).format(_names(self.all_columns), self.identifier)

    def copy(self) -> sql.Composed:
        """Return the COPY statement into staging."""
        return sql.SQL("COPY os_staging ({}, os_deleted) FROM STDIN").format(
            _names(self.all_columns)
        )

    def merge(self) -> list[sql.Composed]:
        """Return the statements that bring staging into the table."""
        keys = [column.name for column in self.key_columns]
        same_key = sql.SQL(" AND ").join(
            sql.SQL("t.{0} = s.{0}").format(sql.Identifier(key)) for key in keys
        )
        assignments = sql.SQL(", ").join(
            sql.SQL("{0} = EXCLUDED.{0}").format(sql.Identifier(name))
            for name in self.all_columns
            if name not in keys
        )
        return [
            sql.SQL("DELETE FROM {} t USING os_staging s WHERE s.os_deleted AND {}").format(
                self.identifier, same_key
            ),
            sql.SQL(
                "INSERT INTO {0} ({1}) SELECT {1} FROM os_staging WHERE NOT os_deleted"
                " ON CONFLICT ({2}) DO UPDATE SET {3}"
            ).format(self.identifier, _names(self.all_columns), _names(keys), assignments),
        ]

    def sweep(self) -> sql.Composed:
        """Return the statement that removes what the last load has not brought."""
        return sql.SQL("DELETE FROM {} WHERE os_load <> %s").format(self.identifier)

    def row(self, change: Change, load: int) -> list[Any]:
        """Return the staging row of an upsert or delete, for COPY."""
        meta = change.meta
        if meta is None:
            raise ValueError("the marks of a resync are no rows")
        if change.record is None:
            values: dict[str, Any] = self.key_values(change.key)
        else:
            values = {name: _value(value) for name, value in change.record.items()}
        row = [values.get(column.name) for column in self.columns]
        row += [
            *(meta.event_id, meta.occurred_at, meta.accepted_at, meta.source),
            *(meta.entry_version, meta.generation, meta.partition, meta.position, load),
            change.record is None,
        ]
        return row

    def key_values(self, key: str) -> dict[str, Any]:
        """Return the key columns' values that a Kafka key means (design.md §4)."""
        columns = self.key_columns
        parts = [key] if len(columns) == 1 else json.loads(key)
        return {
            column.name: _KEY_VALUES.get(column.type, str)(part)
            for column, part in zip(columns, parts, strict=True)
        }


_KEY_VALUES: Mapping[str, Callable[[Any], Any]] = {
    "integer": int,
    "bigint": int,
    "date": dt.date.fromisoformat,
    "uuid": uuid.UUID,
}


def _names(names: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(name) for name in names)


def _reported(kind: str) -> str:
    """Return how `format_type` calls a type that we call `kind`."""
    return {
        "timestamptz": "timestamp with time zone",
        "time": "time without time zone",
    }.get(kind, kind)


def _value(value: Any) -> Any:  # noqa: ANN401 (any item)
    if isinstance(value, list | dict):
        return Jsonb(value, dumps=_dumps)
    return value


def _dumps(value: Any) -> str:  # noqa: ANN401 (any item)
    return json.dumps(_plain(value), ensure_ascii=False)


def _plain(value: Any) -> Any:  # noqa: ANN401 (one return a kind of value)
    """Return what JSON can hold: times and numbers that it has no form for become text."""
    match value:
        case dict():
            return {key: _plain(each) for key, each in value.items()}
        case list():
            return [_plain(each) for each in value]
        case bool() | int() | str() | None:
            return value
        case float():
            # NaN and the infinities are no JSON.
            return value if value - value == 0 else str(value)
        case bytes():
            return value.hex()
        case dt.datetime() | dt.date() | dt.time():
            return value.isoformat()
        case _:
            return str(value)
