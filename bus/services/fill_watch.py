"""
Notice when new view incarnations have been filled (design.md §9).

The router records its progress per source partition; once all of them are live, the end of the view
topic at that moment is a place where it held the whole view, and subscriptions may move on to it.
"""

from collections.abc import Mapping, Sequence

import structlog

from bus.domain.router_state import Phase, state_key
from bus.domain.subscription import Incarnation
from bus.ports import CatalogStore, Clock, LogReaders, Partition
from bus.services.catalog_changes import CatalogChanges
from bus.services.state_table import StateTable

log = structlog.get_logger(__name__)

#: How often to look, even if the state topic is quiet: another replica may have been faster.
_LOOK_SECONDS = 2.0


class FillWatch:
    """Watches the state topic for the control plane."""

    def __init__(
        self,
        *,
        store: CatalogStore,
        changes: CatalogChanges,
        state: StateTable,
        readers: LogReaders,
        clock: Clock,
    ) -> None:
        self._store = store
        self._changes = changes
        self._state = state
        self._readers = readers
        self._clock = clock
        self._looked_at = 0.0
        self._size = -1

    def step(self) -> None:
        """Look once; move subscriptions on if something has been filled."""
        self._state.aim()
        if not self._state.step():
            return
        due = self._clock.monotonic() - self._looked_at >= _LOOK_SECONDS
        if self._state.changes == self._size and not due:
            return
        self._size = self._state.changes
        self._looked_at = self._clock.monotonic()
        with self._store.snapshot() as snapshot:
            filling = snapshot.filling()
            if not filling:
                return
            resources = {each.view.resource for each in filling}
            partitions = {
                (held.entry.resource, held.entry.generation): held.entry
                for held in snapshot.live(resources).entries.values()
            }
        filled = []
        for incarnation in filling:
            entry = partitions.get((incarnation.view.resource, incarnation.view.generation))
            if entry is not None and self._filled(
                incarnation, entry.source_topic, entry.partitions
            ):
                filled.append(incarnation)
        if filled:
            self._changes.mark_live(self._ends(filled))
            log.info("views filled", topics=[each.topic for each in filled])

    def close(self) -> None:
        """Let go of the state topic."""
        self._state.close()

    def _filled(self, incarnation: Incarnation, topic: str, partitions: int) -> bool:
        for number in range(partitions):
            states = self._state.of(Partition(topic, number))
            state = states.get(state_key(topic, number, incarnation.topic))
            if state is None or state.phase is not Phase.LIVE:
                return False
        return True

    def _ends(self, filled: Sequence[Incarnation]) -> dict[str, dict[int, int]]:
        asked = [
            Partition(each.topic, number) for each in filled for number in range(each.partitions)
        ]
        ends: Mapping[Partition, int] = self._readers.ends(asked)
        found: dict[str, dict[int, int]] = {}
        for partition, end in ends.items():
            found.setdefault(partition.topic, {})[partition.number] = end
        return found
