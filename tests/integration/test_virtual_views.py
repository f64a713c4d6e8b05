"""A view without a topic beside the same view on its topic, on the real Kafka."""

from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager

from bus.adapters.cel.cel_cpp import compile_filter
from bus.adapters.system_clock import SystemClock
from bus.domain.entry import CatalogEntry
from bus.domain.grant import Grant
from bus.ports import Partition
from bus.router.virtual_views import VirtualViews
from bus.services.policy_follower import PolicyFollower
from tests.integration.test_end_to_end import town
from tests.live_platform import LivePlatform, wait_until
from tests.view_taker import ViewTaker


@contextmanager
def giving_out(
    platform: LivePlatform, entry: CatalogEntry, taker: ViewTaker, views: Collection[str]
) -> Iterator[VirtualViews]:
    """Give out `views` of a resource, with a policy follower of their own."""
    readers = platform.readers()
    with closing(PolicyFollower(readers, platform.codec, SystemClock())) as follower:
        virtual = VirtualViews(
            entry.source_topic,
            taker,
            readers=readers,
            follower=follower,
            codec=platform.codec,
            clock=SystemClock(),
            compile_filter=compile_filter,
        )
        virtual.follow(views)
        with closing(virtual):
            yield virtual


def topic_of(platform: LivePlatform, grant: Grant) -> str:
    """Return the name of the view that a grant's subscription is delivered from."""
    topic: str = platform.descriptor(grant)["topic"]
    return topic


def rows_on_topic(platform: LivePlatform, topic: str) -> dict[bytes, bytes]:
    """Return the last value of each key of a view topic, as it is now."""
    readers = platform.readers()
    where = Partition(topic, 0)
    rows: dict[bytes, bytes] = {}
    with closing(readers.open({where: 0})) as reader:
        end = readers.ends([where])[where]
        while reader.position(where) < end:
            for record in reader.read(1000, 0.1):
                value = record.value()
                if value is None:
                    rows.pop(record.key() or b"", None)
                else:
                    rows[record.key() or b""] = value
    return rows


def await_equal(
    platform: LivePlatform, taker: ViewTaker, virtual: VirtualViews, views: Collection[str]
) -> None:
    """Take until the taker has of each view what its topic holds, byte by byte."""
    take_until(
        taker,
        virtual,
        lambda: all(taker.rows.get(view, {}) == rows_on_topic(platform, view) for view in views),
        "the virtual views hold what their topics hold",
    )


def take_until(
    taker: ViewTaker, virtual: VirtualViews, condition: Callable[[], bool], what: str
) -> None:
    """Take batch after batch until `condition` holds."""

    def looked() -> bool:
        taker.take(virtual, seconds=0.1)
        return condition()

    wait_until(looked, what)


def test_a_virtual_view_is_what_its_topic_is_through_a_policy_change_and_a_restart(
    platform: LivePlatform,
) -> None:
    entry = platform.new_resource()
    grant = platform.new_grant(entry, row_filter='district == "east"', items=["code", "name"])
    narrow = topic_of(platform, grant)
    taker = ViewTaker()
    with platform.publisher(entry) as publisher:
        publisher.upsert(town("1"))
        publisher.upsert(town("2", district="west"))
        publisher.upsert(town("3"))
        publisher.upsert(town("4"))
    platform.verify(grant)

    with giving_out(platform, entry, taker, [narrow]) as virtual:
        await_equal(platform, taker, virtual, [narrow])
        assert taker.rows[narrow].keys() == {b"1", b"3", b"4"}
        another = platform.new_grant(entry, items=["code", "population"])
        wide = topic_of(platform, another)
        virtual.follow([narrow, wide])
        with platform.publisher(entry) as publisher:
            publisher.upsert(town("1", district="west"))
            publisher.upsert(town("2", name="新镇"))
        assert platform.verify(another).well
        await_equal(platform, taker, virtual, [narrow, wide])
        assert taker.rows[narrow].keys() == {b"2", b"3", b"4"}
        assert taker.rows[wide].keys() == {b"1", b"2", b"3", b"4"}
    before = len(taker.taken)

    with platform.publisher(entry) as publisher:
        publisher.upsert(town("3", district="west"))
        publisher.delete({"code": "4"})
        publisher.upsert(town("5", district="west"))
        publisher.delete({"code": "5"})
    assert platform.verify(grant).well
    with giving_out(platform, entry, taker, [narrow, wide]) as virtual:
        await_equal(platform, taker, virtual, [narrow, wide])
        assert [
            (change.key, change.reason) for change in taker.taken[before:] if change.view == narrow
        ] == [(b"3", "left-view"), (b"4", "deleted")]

        platform.declare(revoke=(grant.id,))
        take_until(taker, virtual, lambda: virtual.standing == {wide}, "the end is known")
        with platform.publisher(entry) as publisher:
            publisher.upsert(town("6"))
        take_until(taker, virtual, lambda: b"6" in taker.rows[wide], "the other view goes on")
        assert b"6" not in taker.rows[narrow]
