"""
Seeded Avro schemas over all types, and values for them: what mutations begin with.

Hypothesis (`tests.avro_cases`) finds small counterexamples; this finds many cases in little time,
and the same ones for the same seed. Values have no logical types: integers, bytes and text.
"""

import json
import random
import struct
import uuid
from collections.abc import Callable
from typing import Any, TypeAlias

from tests.strict_avro import physical

Chance: TypeAlias = random.Random
Schema: TypeAlias = Any

_NAMESPACE = "os.test"
_MOST_DEPTH = 3
#: Collections and unions of one record: a schema that holds itself would go on for long.
_MOST_COLLECTIONS = 25
_DAY = 86_400
_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896
_TEXTS = [
    "",
    "a",
    "a text",
    "x" * 70,
    "镇",
    "é",
    "\U0001f600",
    "\u0800",
    "\ud7ff",
    "\uffff",
    "王小明",
]

#: What a union may hold one of, so that a value says by its kind which branch it is in.
_EITHER = ["number", "text", "bytes", "boolean", "array", "mapping"]


def _edge(chance: Chance, least: int, most: int) -> int:
    """Return an integer: often at the edge of the range, or where a varint grows by a byte."""
    pick = chance.random()
    if pick < 0.2:
        return chance.choice([least, most, least + 1, most - 1])
    if pick < 0.6:
        near = chance.choice([1, -1]) * ((1 << chance.randrange(64)) + chance.randint(-1, 1))
        return min(most, max(least, near))
    return chance.randint(max(least, -100), min(most, 100)) if least <= 0 <= most else least


def _float(chance: Chance) -> float:
    edges = [0.0, -0.0, 1.5, float("inf"), float("-inf"), 3.0e38, 1e-45]
    (value,) = struct.unpack("<f", struct.pack("<f", chance.choice([*edges, chance.random()])))
    return float(value)


def _double(chance: Chance) -> float:
    return chance.choice([0.0, -0.0, float("inf"), 1.7e308, 5e-324, chance.uniform(-1e9, 1e9)])


def _decimal(chance: Chance, digits: int) -> bytes:
    most = int("9" * digits)
    value = chance.choice([0, 1, -1, most, -most, chance.randint(-most, most)])
    return value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)


def _text(chance: Chance) -> str:
    return chance.choice(_TEXTS) if chance.random() < 0.6 else f"t{chance.randrange(1000)}"


def _uuid(chance: Chance) -> str:
    text = str(uuid.UUID(int=chance.getrandbits(128)))
    return text.upper() if chance.random() < 0.2 else text


_DECIMALS = [
    {"type": "bytes", "logicalType": "decimal", "precision": digits, "scale": scale}
    for digits, scale in ((1, 0), (2, 2), (9, 2), (38, 10))
]
#: (schema, how to make a value)
_NUMBERS: list[tuple[Schema, Callable[[Chance], Any]]] = [
    ("int", lambda chance: _edge(chance, -(1 << 31), (1 << 31) - 1)),
    ("long", lambda chance: _edge(chance, -(1 << 63), (1 << 63) - 1)),
    ("float", _float),
    ("double", _double),
    (
        {"type": "int", "logicalType": "date"},
        lambda chance: _edge(chance, _FIRST_DAY, _LAST_DAY),
    ),
    (
        {"type": "int", "logicalType": "time-millis"},
        lambda chance: _edge(chance, 0, _DAY * 1_000 - 1),
    ),
    (
        {"type": "long", "logicalType": "time-micros"},
        lambda chance: _edge(chance, 0, _DAY * 1_000_000 - 1),
    ),
    (
        {"type": "long", "logicalType": "timestamp-millis"},
        lambda chance: _edge(chance, _FIRST_DAY * _DAY * 1_000, (_LAST_DAY + 1) * _DAY * 1_000 - 1),
    ),
    (
        {"type": "long", "logicalType": "timestamp-micros"},
        lambda chance: _edge(
            chance, _FIRST_DAY * _DAY * 1_000_000, (_LAST_DAY + 1) * _DAY * 1_000_000 - 1
        ),
    ),
]
_MAKERS: dict[str, Callable[[Chance], Any]] = {
    json.dumps(schema): make
    for schema, make in [
        *_NUMBERS,
        ("null", lambda _chance: None),
        ("boolean", lambda chance: chance.random() < 0.5),
        ("string", _text),
        ("bytes", lambda chance: chance.randbytes(chance.randrange(12))),
        ({"type": "string", "logicalType": "uuid"}, _uuid),
        *(
            (each, lambda chance, digits=each["precision"]: _decimal(chance, digits))
            for each in _DECIMALS
        ),
    ]
}


class Generator:
    """Makes one schema of a source record with `meta` and a text key `id`, and values for it."""

    def __init__(self, chance: Chance) -> None:
        self._chance = chance
        self._named: dict[str, Schema] = {}
        self._complete: list[str] = []
        self._left = 0
        items = [{"name": f"i{at}", "type": self._type(0)} for at in range(chance.randint(1, 6))]
        event_id = {"type": "fixed", "name": "EventId", "size": 16}
        moment = {"type": "long", "logicalType": "timestamp-micros"}
        meta = {
            "type": "record",
            "name": "SourceMeta",
            "fields": [
                {"name": "event_id", "type": event_id},
                {"name": "occurred_at", "type": moment},
            ],
        }
        fields = [{"name": "meta", "type": meta}, {"name": "id", "type": "string"}, *items]
        self.schema: Schema = {
            "type": "record",
            "name": "Record",
            "namespace": _NAMESPACE,
            "fields": fields,
        }
        self.text = json.dumps(self.schema)
        self.physical = physical(self.schema)

    def record(self, key: str) -> dict[str, Any]:
        """Return a record whose key item is `key`, as fastavro takes it with `physical`."""
        self._left = _MOST_COLLECTIONS
        values = {each["name"]: self._value(each["type"]) for each in self.schema["fields"]}
        return {**values, "id": key}

    def _type(self, depth: int) -> Schema:
        kinds = [*_EITHER, "number", "text", "bytes", "null", "nullable", "union"]
        if depth >= _MOST_DEPTH:
            kinds = ["number", "text", "bytes", "boolean", "null"]
        return self._of(self._chance.choice(kinds), depth)

    def _of(self, kind: str, depth: int) -> Schema:
        chance = self._chance
        match kind:
            case "number":
                return chance.choice(_NUMBERS)[0]
            case "text":
                plain = ["string", {"type": "string", "logicalType": "uuid"}]
                return chance.choice(plain) if chance.random() < 0.7 else self._enum()
            case "bytes":
                plain = ["bytes", *_DECIMALS]
                return chance.choice(plain) if chance.random() < 0.7 else self._fixed()
            case "array":
                return {"type": "array", "items": self._type(depth + 1)}
            case "mapping" if chance.random() < 0.4:
                return {"type": "map", "values": self._type(depth + 1)}
            case "mapping":
                return self._record(depth)
            case "nullable" | "union":
                most = 1 if kind == "nullable" else 4
                held = chance.sample(_EITHER, chance.randint(1, most))
                if "array" in held and "bytes" in held:
                    # fastavro writes bytes as an array of numbers where it may.
                    held.remove("array")
                branches = [self._of(each, depth + 1) for each in held]
                branches.insert(chance.randint(0, len(branches)), "null")
                return branches
            case _:
                return kind

    def _enum(self) -> Schema:
        symbols = [f"S{at}" for at in range(self._chance.randint(1, 5))]
        return self._define({"type": "enum", "symbols": symbols})

    def _fixed(self) -> Schema:
        return self._define({"type": "fixed", "size": self._chance.choice([0, 1, 4, 12])})

    def _define(self, schema: Schema) -> Schema:
        """Give `schema` a name; or return the name of an equal kind that was defined before."""
        known = [name for name in self._complete if self._named[name]["type"] == schema["type"]]
        if known and self._chance.random() < 0.3:
            return self._chance.choice(known)
        name = f"T{len(self._named)}"
        full = f"{_NAMESPACE}.{name}"
        self._named[full] = schema
        self._complete.append(full)
        return {**schema, "name": name}

    def _record(self, depth: int) -> Schema:
        chance = self._chance
        known = [name for name in self._complete if self._named[name]["type"] == "record"]
        if known and chance.random() < 0.2:
            return chance.choice(known)
        name = f"T{len(self._named)}"
        full = f"{_NAMESPACE}.{name}"
        fields: list[Schema] = []
        self._named[full] = schema = {"type": "record", "name": name, "fields": fields}
        fields.extend(
            {"name": f"f{at}", "type": self._type(depth + 1)} for at in range(chance.randint(0, 3))
        )
        if chance.random() < 0.4:
            inside = [["null", full], {"type": "array", "items": full}]
            inside.append({"type": "map", "values": full})
            fields.append({"name": "again", "type": chance.choice(inside)})
        self._complete.append(full)
        return schema

    def _value(self, schema: Schema) -> Any:
        if isinstance(schema, list):
            return self._branch(schema)
        if isinstance(schema, str) and schema in self._named:
            schema = self._named[schema]
        make = _MAKERS.get(json.dumps(schema)) if _is_leaf(schema) else None
        if make is not None:
            return make(self._chance)
        few = self._few()
        match schema["type"]:
            case "enum":
                return self._chance.choice(schema["symbols"])
            case "fixed":
                return self._chance.randbytes(schema["size"])
            case "array":
                return [self._value(schema["items"]) for _ in range(few)]
            case "map":
                return {f"k{at}": self._value(schema["values"]) for at in range(few)}
            case _:
                return {each["name"]: self._value(each["type"]) for each in schema["fields"]}

    def _branch(self, schema: Schema) -> Any:
        if self._left <= 0 and "null" in schema:
            return None
        self._left -= 1
        return self._value(self._chance.choice(schema))

    def _few(self) -> int:
        """Return how many items a collection has: none once there are enough collections."""
        self._left -= 1
        return self._chance.randint(0, 3) if self._left > 0 else 0


def _is_leaf(schema: Schema) -> bool:
    return isinstance(schema, str) or schema["type"] in {"int", "long", "bytes", "string"}
