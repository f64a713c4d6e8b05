"""Takes what virtual views give out, and keeps what a gateway would: rows, keys held, bookmarks."""

from collections.abc import Callable, Iterable

from bus.adapters.cel.cel_cpp import compile_filter
from bus.domain.names import POLICY_TOPIC
from bus.domain.policy import PolicyHeartbeat
from bus.ports import Partition
from bus.ports.virtual_views import Bookmark, ViewChange
from bus.router.virtual_views import VirtualViews
from bus.services.policy_follower import PolicyFollower
from tests.router_harness import SOURCE, Bus


class TakerDied(Exception):
    """The taker ended in the middle of a batch."""


class ViewTaker:
    """See `bus.ports.virtual_views.ViewProgress`; what it has survives a restart of the views."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[bytes, bytes]] = {}
        #: Everything that was ever given out.
        self.taken: list[ViewChange] = []
        self._held: dict[tuple[str, int], set[bytes]] = {}
        self._bookmarks: dict[tuple[str, int], Bookmark] = {}

    def bookmark(self, view: str, partition: int) -> Bookmark | None:
        return self._bookmarks.get((view, partition))

    def held(self, view: str, partition: int) -> Iterable[bytes]:
        return sorted(self._held.get((view, partition), ()))

    def take(
        self,
        views: VirtualViews,
        *,
        seconds: float = 0.0,
        dies_after: int | None = None,
        before_each: Callable[[], object] = lambda: None,
    ) -> list[ViewChange]:
        """Take one batch and keep its bookmarks; `TakerDied` after `dies_after` changes."""
        came: list[ViewChange] = []
        with views.batch(seconds) as batch:
            for change in batch:
                self.keep(change)
                came.append(change)
                if len(came) == dies_after:
                    raise TakerDied
                before_each()
            self._bookmarks.update(batch.bookmarks)
        return came

    def settle(self, views: VirtualViews, *, rounds: int = 500) -> list[ViewChange]:
        """Take batches until nothing moves any more, and return what came."""
        came: list[ViewChange] = []
        quiet = 0
        for _ in range(rounds):
            before = dict(self._bookmarks)
            new = self.take(views)
            came += new
            # The first pass of a fill gives nothing out.
            busy = bool(new) or before != self._bookmarks or is_filling(views)
            quiet = 0 if busy else quiet + 1
            if quiet > 2:
                return came
        raise AssertionError("the views do not come to rest")

    def keep(self, change: ViewChange) -> None:
        """Let a change have its effect."""
        self.taken.append(change)
        rows = self.rows.setdefault(change.view, {})
        held = self._held.setdefault((change.view, change.partition), set())
        if change.value is None:
            rows.pop(change.key, None)
            held.discard(change.key)
        else:
            rows[change.key] = change.value
            held.add(change.key)


def is_filling(views: VirtualViews) -> bool:
    """Tell whether a view still needs something of the past."""
    return any(task.filling for task in views._tasks.values())


def open_views(
    bus: Bus, taker: ViewTaker, *followed: str, batch_records: int = 100
) -> VirtualViews:
    """Start giving out the views `followed` of `towns`, with a follower of their own."""
    views = VirtualViews(
        SOURCE,
        taker,
        readers=bus.readers,
        follower=PolicyFollower(bus.readers, bus.codec, bus.clock),
        codec=bus.codec,
        clock=bus.clock,
        compile_filter=compile_filter,
        batch_records=batch_records,
        pseudonym_secrets=bus.secrets,
    )
    views.follow(followed)
    return views


def heartbeat(bus: Bus) -> None:
    """Let the relay be heard."""
    value = bus.codec.encode(PolicyHeartbeat(bus.version))
    bus.broker.append(Partition(POLICY_TOPIC, 0), b"heartbeat", value)


def topic_rows(bus: Bus, topic: str) -> dict[bytes, bytes]:
    """Return the last committed value of each key of a view topic, as bytes."""
    rows: dict[bytes, bytes] = {}
    for record in bus.committed(topic):
        value = record.value()
        if value is None:
            rows.pop(record.key() or b"", None)
        else:
            rows[record.key() or b""] = value
    return rows
