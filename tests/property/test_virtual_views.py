"""
Random lives of views without a topic, beside a router that keeps the same views on topics.

To everything that may befall a router come takers that die in the middle of a batch, views that are
followed and left, restarts, and policies that change between two changes. When it is quiet, what a
taker has is what the oracle says and what the view's topic holds; at no time was anything given out
that is outside its view, of a view that had ended, or of a key that the taker never had.
"""

import contextlib
from collections.abc import Collection

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule
from typing_extensions import override

from bus.adapters.cel.cel_python import row_predicate
from bus.domain.policy import ViewPolicy
from bus.ports.virtual_views import ViewChange
from bus.router.router import SCHEMA_WAIT_SECONDS
from bus.router.virtual_views import VirtualViews
from tests.property.test_router import KEYS, RouterLife, source_row
from tests.router_harness import SOURCE, Bus
from tests.view_taker import TakerDied, ViewTaker, heartbeat, open_views, topic_rows


class WaryTaker(ViewTaker):
    """A taker that looks at each change as it comes."""

    def __init__(self, bus: Bus) -> None:
        super().__init__()
        self.followed: Collection[str] = ()
        self._bus = bus
        #: By view and partition, since the last time that something may come again.
        self._last: dict[tuple[str, int], int] = {}
        #: By view, the keys that it has ever had.
        self._known: set[tuple[str, bytes]] = set()

    def may_come_again(self) -> None:
        """Let earlier positions follow later ones: something was not kept."""
        self._last.clear()

    @override
    def keep(self, change: ViewChange) -> None:
        assert change.view in self.followed
        assert change.view in self._bus.views, "a view gave something out that had ended"
        self._check_order(change)
        self._check_grant(change, self._bus.views[change.view])
        super().keep(change)

    def _check_order(self, change: ViewChange) -> None:
        at = (change.view, change.partition)
        assert change.position > self._last.get(at, -1)
        self._last[at] = change.position

    def _check_grant(self, change: ViewChange, view: ViewPolicy) -> None:
        rows = view.view.row_filter
        if change.value is None:
            # A view of all rows has every key; of the others, who had it may hear it again.
            assert rows is None or (change.view, change.key) in self._known
            return
        self._known.add((change.view, change.key))
        meta, row = self._bus.decode(view, change.value)
        assert row.keys() <= view.view.kept()
        assert (meta["partition"], meta["position"]) == (change.partition, change.position)
        if rows is not None:
            (source,) = (
                record
                for record in self._bus.broker.all_records(SOURCE)
                if (record.partition(), record.offset()) == (change.partition, change.position)
            )
            assert row_predicate(rows)(source_row(source.value() or b""))


class VirtualLife(RouterLife):
    """One random life."""

    batch_records = 2
    left = frozenset[str]()
    """The views that are not followed."""
    taker: WaryTaker | None = None
    virtual: VirtualViews | None = None

    @initialize(batch_records=st.sampled_from([1, 2, 5, 1000]))
    def size_batches(self, batch_records: int) -> None:
        self.batch_records = batch_records

    def _opened(self) -> tuple[VirtualViews, WaryTaker]:
        """Return the virtual views, following all views but those that were left."""
        if self.taker is None:
            self.taker = WaryTaker(self.bus)
        if self.virtual is None:
            self.virtual = open_views(self.bus, self.taker, batch_records=self.batch_records)
        self.taker.followed = self.bus.all_views.keys() - self.left
        self.virtual.follow(self.taker.followed)
        heartbeat(self.bus)
        return self.virtual, self.taker

    @precondition(lambda self: self.views)
    @rule(at=st.integers(0, 3))
    def leave_or_come_back(self, at: int) -> None:
        self.left ^= {self.views[at % len(self.views)].topic}
        _, taker = self._opened()
        taker.may_come_again()

    @rule(times=st.integers(1, 6), restarts=st.booleans())
    def take(self, times: int, restarts: bool) -> None:  # noqa: FBT001 (drawn)
        if restarts and self.virtual is not None:
            self.virtual.close()
            self.virtual = None
        virtual, taker = self._opened()
        for _ in range(times):
            taker.take(virtual)

    @rule(key=KEYS, sizes=st.lists(st.none() | st.integers(0, 6), min_size=2, max_size=4))
    def come_and_go(self, key: str, sizes: list[int | None]) -> None:
        """Let a key enter and leave, looked at in between and behind a compaction."""
        virtual, taker = self._opened()
        for size in sizes:
            self.bus.upsert(key, kind="town", size=size, secret="x" if size == 1 else "")
            taker.take(virtual)
        self.bus.upsert(key, kind="city", size=sizes[0], secret="")

    @rule(
        came=st.lists(st.tuples(KEYS, st.none() | st.integers(0, 6)), max_size=4),
        changes=st.integers(1, 3),
        restarts=st.booleans(),
    )
    def die(self, came: list[tuple[str, int | None]], changes: int, restarts: bool) -> None:  # noqa: FBT001 (drawn)
        """Die after some changes, with more to come."""
        virtual, taker = self._opened()
        for key, size in came:
            self.bus.upsert(key, kind="town", size=size, secret="x" if size == 1 else "")
        with contextlib.suppress(TakerDied):
            taker.take(virtual, dies_after=changes)
        taker.may_come_again()
        if restarts:
            virtual.close()
            self.virtual = None

    @precondition(lambda self: self.views)
    @rule(
        at=st.integers(0, 3),
        after=st.integers(1, 2),
        leaves=st.booleans(),
        comes_back=st.booleans(),
    )
    def change_the_policy_between_two_changes(
        self,
        at: int,
        after: int,
        leaves: bool,  # noqa: FBT001 (drawn)
        comes_back: bool,  # noqa: FBT001 (drawn)
    ) -> None:
        virtual, taker = self._opened()
        left = after

        def change() -> None:
            nonlocal left
            left -= 1
            if left != 0 or not self.views:
                return
            view = self.views[at % len(self.views)]
            if leaves:
                self.left = self.left | {view.topic}
                taker.followed = set(taker.followed) - self.left
                virtual.follow(taker.followed)
            else:
                self.views.remove(view)
                self._declare()

        taker.take(virtual, before_each=change)
        taker.may_come_again()
        if comes_back:
            self.left = frozenset()

    @override
    def _settle(self) -> None:
        super()._settle()
        self.left = frozenset()
        virtual, taker = self._opened()
        taker.may_come_again()
        for _ in range(2):
            taker.settle(virtual, rounds=3000)
            self.bus.clock.sleep(SCHEMA_WAIT_SECONDS)
            heartbeat(self.bus)
        taker.settle(virtual, rounds=3000)

    @override
    def _compare(self, view: ViewPolicy) -> None:
        super()._compare(view)
        assert self.taker is not None
        expected, undecided = self._expected(view)
        given = self.taker.rows.get(view.topic, {})
        given = {key: value for key, value in given.items() if key not in undecided}
        found = {key.decode(): self.bus.decode(view, value)[1] for key, value in given.items()}
        assert found == expected, view
        kept = topic_rows(self.bus, view.topic)
        assert given == {key: value for key, value in kept.items() if key not in undecided}


TestVirtualLife = VirtualLife.TestCase
TestVirtualLife.settings = settings(max_examples=300, stateful_step_count=50, deadline=None)
