"""Decide, for one source partition, which views are live and which are filled, from where."""

from collections.abc import Callable, Mapping
from functools import cache

from bus.domain.policy import ViewPolicy
from bus.domain.router_state import Phase, RouterState, state_key
from bus.ports import LogReaders, Partition
from bus.router.fill import Fill
from bus.router.partition_task import ViewSlot


def next_slots(
    partition: Partition,
    views: tuple[ViewPolicy, ...],
    *,
    current: Mapping[str, ViewSlot],
    recorded: Mapping[str, RouterState],
    position: int,
    policy_version: int,
    beginning: Callable[[], int],
    readers: LogReaders,
) -> dict[str, ViewSlot]:
    """
    Return the slots of `views`, by topic.

    A view that runs goes on; one that the state topic knows is taken up where it was; a new one is
    filled with the present at `position`, all new ones together, unless there is no past. Where
    the log begins (`beginning`) is asked for only if a view has something of the past to come.
    """
    kept = [view for view in views if view.topic in current]
    added = [view for view in views if view.topic not in current]
    slots: dict[str, ViewSlot] = {}
    used = 0
    for view in kept:
        slot = current[view.topic]
        slots[view.topic] = ViewSlot(view, slot.bit, slot.since, slot.fill)
        used |= slot.bit
    first = cache(beginning)
    fills: dict[tuple[int, int], Fill] = {}
    for view in added:
        bit = 0 if view.view.row_filter is None else ~used & (used + 1)
        used |= bit
        state = recorded.get(state_key(*partition, view.topic))
        if state is None:
            # Before position 0 there is no past, wherever the log begins.
            past = position > 0 and position > first()
            state = RouterState(
                phase=Phase.FILLING if past else Phase.LIVE,
                policy_version=policy_version,
                start=position,
                next=first() if past else position,
            )
        fill = None
        if state.phase is Phase.FILLING:
            at = (state.start, state.next)
            if at not in fills:
                fills[at] = Fill(
                    readers, partition, beginning=first(), start=state.start, next_=state.next
                )
            fill = fills[at]
        slots[view.topic] = ViewSlot(view, bit, state.policy_version, fill)
    return slots


def ended_bits(current: Mapping[str, ViewSlot], following: Mapping[str, ViewSlot]) -> int:
    """Return the membership bits of the views that are in `current` and no more in `following`."""
    bits = 0
    for topic, slot in current.items():
        if topic not in following:
            bits |= slot.bit
    return bits
