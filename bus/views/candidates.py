"""
Tell which views a record may belong to, without asking each of them.

What `==` and `in` demand of an item is looked up: item value -> views. So views that a record is no
match of by such a condition cost nothing, however many there are (design.md §5).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bus.views.filter_values import Decode
from bus.views.row_filter import RowFilter

#: Values that can be looked up. What else an item holds is equal to none of these.
_LOOKED_UP = (str, int)


@dataclass(frozen=True, slots=True)
class _Lookup:
    """The views whose filters demand something of one item."""

    place: int
    decode: Decode
    certain: dict[object, list[int]] = field(default_factory=dict)
    tested: dict[object, list[int]] = field(default_factory=dict)


class Candidates:
    """Built once for the filters of several views; they are known by their position among them."""

    def __init__(
        self,
        filters: Sequence[RowFilter | None],
        places: Mapping[str, int],
        decodes: Mapping[str, Decode],
    ) -> None:
        """Index `filters`, over records whose item `i` is field `places[i]`."""
        self._always: list[int] = []
        self._tested: list[int] = []
        lookups: dict[str, _Lookup] = {}
        for position, row_filter in enumerate(filters):
            if row_filter is None:
                self._always.append(position)
                continue
            demand = row_filter.equality
            if demand is None:
                self._tested.append(position)
                continue
            lookup = lookups.get(demand.item)
            if lookup is None:
                lookup = _Lookup(places[demand.item], decodes[demand.item])
                lookups[demand.item] = lookup
            found = lookup.certain if demand.exact else lookup.tested
            for value in demand.values:
                found.setdefault(value, []).append(position)
        self._lookups = list(lookups.values())

    def find(self, value: bytes, ends: Sequence[int]) -> tuple[list[int], list[int]]:
        """
        Return the positions of the views that `value` belongs to, and of those to be asked.

        `ends` are where its fields end, as `plan._WriterPlan.walk` returns them.
        """
        certain, tested = self._always.copy(), self._tested.copy()
        for lookup in self._lookups:
            held, _ = lookup.decode(value, ends[lookup.place])
            if isinstance(held, _LOOKED_UP):
                certain += lookup.certain.get(held, ())
                tested += lookup.tested.get(held, ())
        return certain, tested
