"""The kernel alone: no broker, no database, records that lie in memory."""

import io
import json
import time
from collections.abc import Callable, Sequence

import fastavro

from bench.contest import Comparison, Options, compare, take_turns
from bench.records import ITEMS, KEPT, Encoded, Register, county
from bus.adapters.cel.cel_cpp import compile_filter
from bus.domain.avro_schema import source_schema, view_schema
from bus.domain.names import META, dead_letter_topic, source_topic, view_topic
from bus.domain.policy import ResourcePolicy, ViewPolicy, WriterSchema
from bus.domain.view import Treatment, make_view
from bus.views.plan import PREFIX_BYTES, Plan, SourceRecord, Upsert, compile_plan
from producers import Publication

_JURISDICTION, _PROVIDER, _RESOURCE = "bench", "registry", "kernel"
_SOURCE_ID, _VIEW_ID = 1, 2
_SCHEMA = source_schema(_JURISDICTION, _RESOURCE, ITEMS)
#: The kernel needs no long run: a fifth of the records, and fewer where there is more to do.
_PART = 5
_VIEWS = (1, 20, 100, 1_000)
_CODEC = "fastavro"


def measure(options: Options) -> list[Comparison]:
    """Compare the kernel with itself at more views, and with decoding and encoding."""
    register = Register(options.seed)
    contenders: dict[str, Callable[[], float]] = {}
    for views in _VIEWS:
        count = max(100, options.records // _PART // max(1, views // 10))
        records = _records(register, count, counties=views)
        contenders[_name(views)] = _Kernel(_plan(views), records).run
        if views == 1:
            codec = _Codec(records)
            codec.check_same(_plan(views))
            contenders[_CODEC] = codec.run
    series = take_turns(contenders, options, what="kernel")
    one, *more = (_name(views) for views in _VIEWS)
    return compare("kernel", series, [(one, _CODEC), *((name, one) for name in more)])


class _Kernel:
    """The product's plan, as the router applies it."""

    def __init__(self, plan: Plan, records: Sequence[SourceRecord]) -> None:
        self._plan = plan
        self._records = records
        self._live = frozenset(range(len(plan.views)))

    def run(self) -> float:
        started = time.perf_counter()
        self._plan.apply(0, self._records, self._live)
        return len(self._records) / (time.perf_counter() - started)


class _Codec:
    """The same view by the fastest Avro codec: the whole record is decoded, the rest encoded."""

    def __init__(self, records: Sequence[SourceRecord]) -> None:
        self._records = records
        self._source = fastavro.parse_schema(json.loads(_SCHEMA))
        self._view = fastavro.parse_schema(json.loads(view_schema(_SCHEMA, KEPT)))
        self._prefix = b"\x00" + _VIEW_ID.to_bytes(4, "big")

    def run(self) -> float:
        started = time.perf_counter()
        self._apply()
        return len(self._records) / (time.perf_counter() - started)

    def check_same(self, plan: Plan) -> None:
        """Raise `ValueError` unless the kernel makes the same bytes."""
        outcomes = plan.apply(0, self._records)
        ours = [
            value
            for outcome in outcomes
            if isinstance(outcome, Upsert)
            for _, value in outcome.projections
        ]
        if len(ours) != len(self._records) or ours != self._apply():
            raise ValueError("kernel and codec do not make the same view")

    def _apply(self) -> list[bytes]:
        out: list[bytes] = []
        wanted = county(0)
        for position, _, value in self._records:
            body = io.BytesIO((value or b"")[PREFIX_BYTES:])
            record = fastavro.schemaless_reader(body, self._source, None)
            if not isinstance(record, dict) or record["county"] != wanted:
                continue
            view = {name: record[name] for name in KEPT}
            view[META] = {
                **record[META],
                "source": _PROVIDER,
                "entry_version": 1,
                "generation": 1,
                "partition": 0,
                "position": position,
                "mark": None,
            }
            written = io.BytesIO()
            fastavro.schemaless_writer(written, self._view, view)
            out.append(self._prefix + written.getvalue())
        return out


def _name(views: int) -> str:
    return f"kernel, {views} views" if views > 1 else "kernel, 1 view"


def _records(register: Register, count: int, *, counties: int) -> list[SourceRecord]:
    encoded: list[Encoded] = register.encode(
        _publication(), register.take(count, counties=counties)
    )
    return [(position, key, value) for position, (key, value) in enumerate(encoded)]


def _publication() -> Publication:
    return Publication(
        resource=_RESOURCE,
        topic=source_topic(_JURISDICTION, _PROVIDER, _RESOURCE, 1),
        partitions=1,
        generation=1,
        entry_version=1,
        principal=_PROVIDER,
        key_items=("code",),
        schema_id=_SOURCE_ID,
        schema=_SCHEMA,
    )


def _plan(views: int) -> Plan:
    resource = ResourcePolicy(
        jurisdiction=_JURISDICTION,
        resource=_RESOURCE,
        provider=_PROVIDER,
        generation=1,
        topic=_publication().topic,
        partitions=1,
        dead_letter_topic=dead_letter_topic(_JURISDICTION, _RESOURCE),
        key_items=("code",),
        schemas=(WriterSchema(_SOURCE_ID, 1, _SCHEMA),),
    )
    return compile_plan(
        resource, [_view(number) for number in range(views)], compile_filter=compile_filter
    )


def _view(number: int) -> ViewPolicy:
    view = make_view(
        jurisdiction=_JURISDICTION,
        resource=_RESOURCE,
        generation=1,
        row_filter=f'county == "{county(number)}"',
        treatments=dict.fromkeys(KEPT, Treatment.KEEP),
    )
    return ViewPolicy(
        view=view,
        incarnation=1,
        topic=view_topic(_JURISDICTION, _RESOURCE, view.id, 1),
        partitions=1,
        projections={_SOURCE_ID: _VIEW_ID},
    )
