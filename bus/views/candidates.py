"""
Tell which views a record may belong to, without asking each of them.

What `==` and `in` demand of an item is looked up by the bytes of the item: a value has exactly one
spelling, because the walker lets no other through. So views that a record is no match of by such a
condition cost nothing, however many there are (design.md §5).

The module is compiled where there is a C compiler: `candidates.pxd` has the types.
"""

from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from bus.views.row_filter import RowFilter
from bus.views.schema_tree import Kind, Node
from bus.views.walker import write_varint

#: Views that a record certainly belongs to, and those whose filters have to be asked.
Found: TypeAlias = tuple[list[int], list[int]]


class _Lookup:
    """The views whose filters demand something of one item, by the bytes of the item."""

    def __init__(self, place: int) -> None:
        self.place = place
        self.views: dict[bytes, Found] = {}


class Candidates:
    """Built once for the filters of several views; they are known by their position among them."""

    def __init__(
        self,
        filters: Sequence[RowFilter | None],
        places: Mapping[str, int],
        nodes: Mapping[str, Node],
    ) -> None:
        """Index `filters`, over records whose item `i` is field `places[i]`, a `nodes[i]`."""
        #: Of every record. Shared by what is found, so nobody may change these lists.
        self._everywhere: Found = ([], [])
        always, tested = self._everywhere
        lookups: dict[str, _Lookup] = {}
        for position, row_filter in enumerate(filters):
            if row_filter is None:
                always.append(position)
                continue
            demand = row_filter.equality
            if demand is None:
                tested.append(position)
                continue
            lookup = lookups.setdefault(demand.item, _Lookup(places[demand.item]))
            for value in demand.values:
                for written in spellings(nodes[demand.item], value):
                    certain, asked = lookup.views.setdefault(written, ([], []))
                    (certain if demand.exact else asked).append(position)
        self._lookups = list(lookups.values())
        self._always_some = bool(always or tested)

    def find(self, value: bytes, ends: "array[int]") -> Found:
        """
        Return the positions of the views that `value` belongs to, and of those to be asked.

        `ends` are where its fields end, as `Walker.fields` notes them. The lists are not to be
        changed.
        """
        found = self._everywhere
        nowhere = None if self._always_some else found
        for lookup in self._lookups:
            more = lookup.views.get(value[ends[lookup.place] : ends[lookup.place + 1]])
            if more is None:
                continue
            found = (found[0] + more[0], found[1] + more[1]) if found is not nowhere else more
        return found


def spellings(node: Node, value: object) -> Iterator[bytes]:
    """Yield how an item of the type `node` is written that a filter finds equal to `value`."""
    match node.kind:
        case Kind.UNION:
            for branch, child in enumerate(node.children):
                for written in spellings(child, value):
                    yield write_varint(branch) + written
        case Kind.STRING if isinstance(value, str):
            text = value.encode()
            yield write_varint(len(text)) + text
        case Kind.ENUM if value in node.symbols:
            yield write_varint(node.symbols.index(str(value)))
        case Kind.INT | Kind.LONG if isinstance(value, int):
            yield from _integers(node.logical, value)


def _integers(logical: str | None, value: int) -> Iterator[bytes]:
    if logical != "time-millis":
        yield write_varint(value)
    elif value % 1000 == 0:
        # A filter sees times of day in microseconds.
        yield write_varint(value // 1000)
