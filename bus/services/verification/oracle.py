"""What a view must hold, computed from the source records alone."""

import datetime as dt
import hashlib
import io
import json
import uuid
from collections.abc import Callable, Collection, Mapping
from typing import Any

import fastavro
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from fastavro.validation import validate

from bus.domain.names import META
from bus.domain.policy import ResourcePolicy
from bus.domain.record_key import KEY_MAX_BYTES, partition_of
from bus.domain.view import Treatment, View
from bus.errors import PseudonymKeyUnusable
from bus.ports.pseudonym_secrets import PseudonymSecrets

#: (values by item name) -> whether the record belongs to the view.
RowPredicate = Callable[[Mapping[str, Any]], bool]

#: What the bus does not take although it is good Avro; said here once more, on purpose.
_VALUE_MAX_BYTES = 1_000_000
_MAX_DEPTH = 64


class ViewOracle:
    """
    Takes source records in order, and says what each means for the view.

    The router's dead letters are not believed but checked: a letter about a clean record, and a bad
    record without a letter, are disagreements. `doubtful` are the keys that have letters.
    """

    def __init__(
        self,
        resource: ResourcePolicy,
        view: View,
        matches: RowPredicate | None,
        doubtful: Collection[bytes] = (),
        *,
        secrets: PseudonymSecrets | None = None,
    ) -> None:
        """Judge `view`; raise `PseudonymKeyUnusable` if `secrets` has not what it needs."""
        self._key = _derived_key(view, secrets)
        self._doubtful = frozenset(doubtful)
        self._clean: set[bytes] = set()
        self._refused: set[bytes] = set()
        self._resource = resource
        self._view = view
        self._matches = matches
        self._schemas = {
            schema.id: fastavro.parse_schema(json.loads(schema.text)) for schema in resource.schemas
        }
        self.wrongly_refused: list[int] = []
        """Positions of clean records that have a dead letter."""
        self.unexplained: list[int] = []
        """Positions of bad records that have none (any more)."""

    def row(
        self,
        partition: int,
        position: int,
        key: bytes,
        value: bytes | None,
        *,
        dead_lettered: bool,
    ) -> tuple[bool, dict[str, Any] | None]:
        """
        Return (whether the record counts, the view's row for `key` after it).

        None for the row: the view does not hold the key.
        """
        well_addressed = (
            _may_be_key(key) and partition_of(key, self._resource.partitions) == partition
        )
        record = self._record(key, value) if value is not None and well_addressed else None
        clean = well_addressed and (
            self._could_be(key.decode()) if value is None else record is not None
        )
        if dead_lettered or not clean:
            self._refused.add(key)
            if not dead_lettered:
                self.unexplained.append(position)
            elif clean and self._encodes_back(value):
                self.wrongly_refused.append(position)
            return False, None
        if key in self._doubtful:
            self._clean.add(key)
        if record is None or (self._matches is not None and not self._matches(record)):
            return True, None
        how = self._view.treatments
        return True, {
            name: self._shown(item, how[name]) for name, item in record.items() if name in how
        }

    @property
    def undecided(self) -> frozenset[bytes]:
        """
        Keys of which the source holds only refused records.

        Compaction takes a clean record away when a bad one with its key has come since. Views that
        were live then hold it still, views that were filled later do not; both are right.
        """
        return frozenset(self._refused - self._clean)

    def _shown(self, value: Any, how: Treatment) -> Any:  # noqa: ANN401 (any item)
        """Return what the view shows of an item; said here once more, on purpose."""
        match how:
            case Treatment.KEEP:
                return value
            case Treatment.NULL:
                return None
            case Treatment.FIXED:
                return "***"
            case Treatment.PARTIAL:
                return None if value is None else _masked(value)
            case Treatment.HMAC:
                return None if value is None else _pseudonym(value, self._key)
            case _:
                raise ValueError(f"no view has the treatment {how}")

    def _record(self, key: bytes, value: bytes) -> dict[str, Any] | None:
        """Return the record in `value`; None if there is none with this key that may be one."""
        schema = self._schemas.get(int.from_bytes(value[1:5], "big"))
        if schema is None or value[:1] != b"\x00" or len(value) > _VALUE_MAX_BYTES:
            return None
        body = io.BytesIO(value[5:])
        try:
            record = fastavro.schemaless_reader(body, schema, None)
        except Exception:  # noqa: BLE001 (fastavro raises many kinds on bytes that are no record)
            return None
        if body.read(1) or not isinstance(record, dict):
            return None
        record.pop(META)
        permitted = all(_permitted(item, 1) for item in record.values())
        return record if permitted and self._key_of(record) == key else None

    def _encodes_back(self, value: bytes | None) -> bool:
        """
        Tell whether `value` is exactly what fastavro writes for what it reads.

        fastavro reads leniently; what it wrote itself is certainly well formed.
        """
        if value is None:
            return True
        schema = self._schemas[int.from_bytes(value[1:5], "big")]
        again = io.BytesIO()
        record = fastavro.schemaless_reader(io.BytesIO(value[5:]), schema, None)
        if not validate(record, schema, raise_errors=False):
            return False
        fastavro.schemaless_writer(again, schema, record)
        return again.getvalue() == value[5:]

    def _could_be(self, key: str) -> bool:
        """Tell whether `key` is the one spelling of what key items of some schema can be."""
        names = self._resource.key_items
        for schema in self._schemas.values():
            fields: list[Any] = schema["fields"] if isinstance(schema, dict) else []
            types = {field["name"]: field["type"] for field in fields}
            try:
                spelled = [key] if len(names) == 1 else json.loads(key)
                parts = [
                    _read(types[name], part) for name, part in zip(names, spelled, strict=True)
                ]
                record = dict(zip(names, parts, strict=True))
            except (TypeError, ValueError, RecursionError):
                continue
            if self._key_of(record) == key.encode() and all(
                validate(record[name], types[name], raise_errors=False) for name in names
            ):
                return True
        return False

    def _key_of(self, record: Mapping[str, Any]) -> bytes:
        parts = [record[name] for name in self._resource.key_items]
        spelled = [part if isinstance(part, int) else str(part) for part in parts]
        if len(spelled) == 1:
            return str(spelled[0]).encode()
        return json.dumps(spelled, ensure_ascii=False, separators=(",", ":")).encode()


def _derived_key(view: View, secrets: PseudonymSecrets | None) -> bytes:
    """Return the key of the view's pseudonyms, derived here once more, on purpose; else none."""
    whose = view.pseudonyms_for
    if whose is None:
        return b""
    if secrets is None:
        raise PseudonymKeyUnusable(f"the view has pseudonyms of {whose}, and no secrets are here")
    info = f"onesource pseudonyms {whose.organisation}#{whose.version}"
    derivation = HKDF(algorithm=SHA256(), length=32, salt=None, info=info.encode())
    return derivation.derive(secrets.secret(whose.version))


def _pseudonym(text: str, key: bytes) -> str:
    inner, outer = (bytes(each ^ pad for each in key.ljust(64, b"\0")) for pad in (0x36, 0x5C))
    hashed = hashlib.sha256(inner + text.encode()).digest()
    return hashlib.sha256(outer + hashed).hexdigest()[:32]


def _masked(text: str) -> str:
    length = len(text)
    if length >= 11:  # noqa: PLR2004
        shown = {*range(3), *range(length - 4, length)}
    elif length >= 7:  # noqa: PLR2004
        shown = {0, 1, length - 2, length - 1}
    elif length >= 3:  # noqa: PLR2004
        shown = {0, length - 1}
    else:
        shown = {0} if length == 2 else set()  # noqa: PLR2004
    return "".join(letter if at in shown else "*" for at, letter in enumerate(text))


def _read(schema: Any, spelled: Any) -> Any:  # noqa: ANN401 (JSON)
    """Return the value that a part of a key spells; raise `ValueError` if it spells none."""
    kind = schema["type"] if isinstance(schema, dict) else schema
    logical = schema.get("logicalType") if isinstance(schema, dict) else None
    if logical == "date":
        return dt.date.fromisoformat(spelled)
    if logical == "uuid":
        return uuid.UUID(spelled)
    if kind in {"int", "long"}:
        return int(spelled)
    if "\0" in spelled:
        raise ValueError("U+0000")
    return spelled


def _may_be_key(key: bytes) -> bool:
    try:
        return 0 < len(key) <= KEY_MAX_BYTES and bool(key.decode())
    except UnicodeDecodeError:
        return False


def _permitted(value: Any, depth: int) -> bool:  # noqa: ANN401 (any item)
    """Tell whether `value` is no deeper than allowed, and its texts have no U+0000."""
    match value:
        case str():
            return "\0" not in value
        case dict():
            inner: Collection[Any] = [*value, *value.values()]
        case list():
            inner = value
        case _:
            return True
    return depth < _MAX_DEPTH and all(_permitted(each, depth + 1) for each in inner)
