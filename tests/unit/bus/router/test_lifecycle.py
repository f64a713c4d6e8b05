"""Unit tests of the router's life: new views, lost partitions, crashes, aborted transactions."""

import pytest

from bus import metrics
from bus.adapters.memory.broker import Fault, MemoryGroupConsumer
from bus.domain.names import ROUTER_GROUP, ROUTER_STATE_TOPIC
from bus.domain.router_state import Phase, RouterState, state_key
from bus.errors import TransactionAborted, WriterFenced
from bus.ports import Partition
from bus.router import fill
from bus.router import router as router_loop
from bus.router.membership import Membership
from bus.router.router import Router
from tests.router_harness import SOURCE, Bus, towns, towns_of, towns_view

ABORTED = "onesource_router_transactions_aborted_total"


def states(bus: Bus) -> dict[str, RouterState]:
    """Return what the state topic says."""
    found: dict[str, RouterState] = {}
    for record in bus.committed(ROUTER_STATE_TOPIC):
        key = (record.key() or b"").decode()
        value = record.value()
        if value is None:
            found.pop(key, None)
        else:
            event = bus.codec.decode(value)
            assert isinstance(event, RouterState)
            found[key] = event
    return found


def values_written(bus: Bus, topic: str) -> int:
    """Return how many committed upserts a topic holds."""
    return sum(record.value() is not None for record in bus.committed(topic))


# --- new views ------------------------------------------------------------------------------------


def test_a_new_view_is_given_the_present_and_not_history(monkeypatch: pytest.MonkeyPatch) -> None:
    """R-116; design.md §6: each key's last state before the fill began, once."""
    monkeypatch.setattr(fill, "STEP_RECORDS", 7)
    bus = Bus()
    bus.declare(towns(2), towns_view("kind"))
    router = bus.router()
    for round_ in range(10):
        for number in range(20):
            bus.upsert(f"k{number}", size=round_)
    bus.delete("k3")
    bus.settle(router)

    late = towns_view("size", rows="size > 5")
    bus.declare(towns(2), towns_view("kind"), late)
    bus.settle(router)

    assert len(bus.rows(late)) == 19
    assert values_written(bus, late.topic) == 19
    assert all(record.value() is not None for record in bus.committed(late.topic))


def test_a_fill_joins_the_live_records_without_gap_or_disorder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fill, "STEP_RECORDS", 5)
    bus = Bus()
    bus.declare(towns(1), towns_view("kind"))
    router = bus.router()
    for number in range(50):
        bus.upsert(f"k{number}", size=1)
    bus.settle(router)
    late = towns_view("size", rows="size < 3")
    bus.declare(towns(1), towns_view("kind"), late)

    for number in range(60):
        bus.upsert(f"k{number}", size=2 + number % 2)
        router.step()
    bus.settle(router)

    assert set(bus.rows(late)) == {f"k{number}" for number in range(0, 60, 2)}
    positions = [
        bus.decode(late, record.value() or b"")[0]["position"]
        for record in bus.committed(late.topic)
        if record.value() is not None
    ]
    assert positions == sorted(set(positions))
    key = state_key(SOURCE, 0, late.topic)
    assert states(bus)[key].phase is Phase.LIVE


def test_records_do_not_wait_for_what_a_fill_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Live views feel little of a fill: it has transactions of its own."""
    monkeypatch.setattr(fill, "STEP_RECORDS", 5)
    bus = Bus()
    live, new = towns_view(), towns_view("kind")
    bus.declare(towns(1), live)
    router = bus.router()
    for number in range(20):
        bus.upsert(f"k{number}")
    bus.settle(router)
    bus.declare(towns(1), live, new)
    while not bus.committed(new.topic):
        router.step()
    bus.upsert("now")

    router.step()

    last = [bus.committed(view.topic)[-1] for view in (live, new)]
    assert last[0].key() == b"now"
    assert len(bus.committed(new.topic)) == 10
    # The transaction of the live record ended before that of the fill began.
    assert last[0].transaction is not last[1].transaction


def test_a_fill_ends_though_more_records_come_than_a_step_looks_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fill, "STEP_RECORDS", 5)
    bus = Bus()
    bus.declare(towns(1), towns_view("kind"))
    router = bus.router()
    for number in range(100):
        bus.upsert(f"k{number}")
    bus.settle(router)
    late = towns_view("size", rows="size < 3")
    bus.declare(towns(1), towns_view("kind"), late)
    key = state_key(SOURCE, 0, late.topic)

    for round_ in range(100):
        for number in range(10):
            bus.upsert(f"k{number}", size=round_ % 5)
        router.step()
        if key in states(bus) and states(bus)[key].phase is Phase.LIVE:
            break

    assert states(bus)[key].phase is Phase.LIVE
    bus.settle(router)
    held = 100 if round_ % 5 < 3 else 90
    assert len(bus.rows(late)) == held


def test_a_fill_goes_on_after_a_crash_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fill, "STEP_RECORDS", 5)
    bus = Bus()
    bus.declare(towns(1), towns_view("kind"))
    router = bus.router()
    for number in range(40):
        bus.upsert(f"k{number}")
    bus.settle(router)
    late = towns_view("size", rows="size == 1")
    bus.declare(towns(1), towns_view("kind"), late)
    key = state_key(SOURCE, 0, late.topic)
    while not (states(bus).get(key) and states(bus)[key].next > 10):
        router.step()
    assert states(bus)[key].phase is Phase.FILLING

    bus.settle(bus.router())

    assert len(bus.rows(late)) == 40
    assert values_written(bus, late.topic) == 40


@pytest.mark.parametrize("fault", Fault)
def test_a_fill_whose_transaction_failed_goes_on_though_no_records_come(fault: Fault) -> None:
    bus = Bus()
    bus.declare(towns(1), towns_view("kind"))
    router = bus.router()
    bus.upsert("a")
    bus.settle(router)
    bus.broker.faults.append(fault)
    late = towns_view("size")
    bus.declare(towns(1), towns_view("kind"), late)

    bus.settle(router)

    assert bus.broker.faults == []
    assert set(bus.rows(late)) == {"a"}
    assert router.not_ready() is None


def test_a_view_that_ends_and_comes_back_is_filled_anew() -> None:
    bus = Bus()
    first = towns_view("size")
    bus.declare(towns(1), first)
    router = bus.router()
    bus.upsert("a", size=1)
    bus.settle(router)
    bus.declare(towns(1))
    bus.upsert("a", size=2)
    bus.settle(router)

    second = towns_view("size", incarnation=2)
    bus.declare(towns(1), second)
    bus.settle(router)

    assert bus.rows(first) == {"a": {"id": "a", "size": 1}}
    assert bus.rows(second) == {"a": {"id": "a", "size": 2}}
    assert state_key(SOURCE, 0, first.topic) not in states(bus)


def test_membership_of_an_ended_view_does_not_leak_into_a_new_one() -> None:
    """A membership bit is used again; what it meant before must be gone."""
    bus = Bus()
    towns_only = towns_view(rows='kind == "town"')
    bus.declare(towns(1), towns_only)
    router = bus.router()
    bus.upsert("a", kind="town")
    bus.settle(router)
    cities_only = towns_view(rows='kind == "city"')
    bus.declare(towns(1), cities_only)
    bus.settle(router)

    bus.upsert("a", kind="village")
    bus.delete("a")
    bus.settle(router)

    assert bus.broker.all_records(cities_only.topic) == []


def test_a_policy_change_reaches_a_running_router() -> None:
    """design.md §6: followed live, without a restart."""
    bus = Bus()
    bus.declare(towns(1))
    router = bus.router()
    bus.upsert("a")
    bus.settle(router)
    view = towns_view("kind")
    bus.declare(towns(1), view)
    bus.settle(router)
    bus.upsert("b")

    bus.settle(router)

    assert set(bus.rows(view)) == {"a", "b"}


def test_a_new_owner_waits_for_the_policy_that_the_former_one_applied() -> None:
    bus = Bus()
    bus.declare(towns(1))
    old = bus.router()
    bus.settle(old)
    view = towns_view("kind")
    bus.declare(towns(1), view)
    bus.settle(old)
    bus.upsert("a")

    # The new owner reads the policy topic as it was one version ago.
    late = bus.router()
    follower = late._follower
    newest = follower.policy
    assert newest is None
    hidden = follower.poll
    follower.poll = lambda seconds=0.0: False  # type: ignore[method-assign]
    for _ in range(20):
        late.step()
    assert bus.rows(view) == {}
    follower.poll = hidden  # type: ignore[method-assign]
    bus.settle(late)

    assert set(bus.rows(view)) == {"a"}


# --- transactions that fail -----------------------------------------------------------------------


@pytest.mark.parametrize("fault", list(Fault))
@pytest.mark.parametrize("at", range(6))
def test_no_fault_of_a_commit_loses_or_doubles_anything(
    fault: Fault, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariants 1 and 4: after an abort, and after an end that nobody has heard of."""
    monkeypatch.setattr(fill, "STEP_RECORDS", 5)
    bus = Bus()
    view = towns_view("size", rows="size < 5")
    bus.declare(towns(2), towns_view("kind"))
    router = bus.router()
    for number in range(12):
        bus.upsert(f"k{number}", size=number)
    bus.settle(router)
    bus.declare(towns(2), towns_view("kind"), view)
    for _ in range(at):
        router.step()
    bus.broker.faults.append(fault)

    for number in range(12):
        bus.upsert(f"k{number}", size=11 - number)
        router.step()
    bus.settle(router)

    assert set(bus.rows(view)) == {f"k{number}" for number in range(7, 12)}
    written = [
        (record.key(), bus.decode(view, record.value() or b"")[0]["position"])
        for record in bus.committed(view.topic)
        if record.value() is not None
    ]
    assert len(written) == len(set(written))
    assert bus.broker.faults == []


def test_nothing_that_was_aborted_is_outside_the_view() -> None:
    """Invariant 2 holds for aborted records, too: whoever reads uncommitted may see them."""
    bus = Bus()
    view = towns_view(rows='kind == "town"')
    bus.declare(towns(1), view)
    router = bus.router()
    bus.settle(router)
    bus.broker.faults += [Fault.ABORTED, Fault.UNKNOWN_ABORTED, Fault.ABORTED]
    for number in range(10):
        bus.upsert(f"k{number}", kind="town" if number % 2 else "city")

    bus.settle(router)

    for record in bus.broker.all_records(view.topic):
        _, row = bus.decode(view, record.value() or b"")
        assert int(row["id"][1:]) % 2 == 1
        assert b"secret" not in (record.value() or b"")


# --- crashes and other routers --------------------------------------------------------------------


def test_a_killed_router_leaves_nothing_lost_or_doubled() -> None:
    """Invariant 4: the next one goes on where the committed transactions ended."""
    bus = Bus()
    view = towns_view("size", rows="size < 5")
    bus.declare(towns(2), view)
    router = bus.router()
    for number in range(30):
        bus.upsert(f"k{number % 9}", size=number % 8)
        router.step()
        if number % 7 == 0:
            # It dies in the middle of a transaction, which stays open.
            router._writer.begin()
            router._writer.write(view.topic, 0, b"half", None)
            router = bus.router()
    bus.settle(router)

    # The oracle: last state per key.
    last = {f"k{number % 9}": number % 8 for number in range(30)}
    assert {key: row["size"] for key, row in bus.rows(view).items()} == {
        key: size for key, size in last.items() if size < 5
    }
    assert b"half" not in {record.key() for record in bus.committed(view.topic)}


def test_a_zombie_cannot_write_beside_its_replacement() -> None:
    bus = Bus()
    view = towns_view()
    bus.declare(towns(1), view)
    zombie = bus.router()
    bus.upsert("a")
    bus.settle(zombie)
    bus.upsert("b")
    stopped_with = zombie._bring(0)
    replacement = bus.router()
    bus.settle(replacement)
    bus.upsert("c")

    transaction = zombie._new_transaction()
    transaction.take(stopped_with, zombie._tasks)
    with pytest.raises(WriterFenced):
        zombie._transact(transaction, stopped_with)
    bus.settle(replacement)

    assert [record.key() for record in bus.committed(view.topic)] == [b"a", b"b", b"c"]


def test_two_routers_share_the_partitions_and_take_over_from_each_other() -> None:
    bus = Bus()
    view = towns_view("size", rows="size < 50")
    bus.declare(towns(4), view)
    first = bus.router("0")
    for number in range(40):
        bus.upsert(f"k{number}", size=number)
    bus.settle(first)
    second = bus.router("1")
    for number in range(40):
        bus.upsert(f"k{number}", size=number + 20)
    bus.settle(first, second)
    assert len(first._tasks) == len(second._tasks) == 2

    leaving = second._consumer
    assert isinstance(leaving, MemoryGroupConsumer)
    leaving.leave()
    for number in range(40):
        bus.upsert(f"k{number}", size=number + 25)
    bus.settle(first)

    assert {key: row["size"] for key, row in bus.rows(view).items()} == {
        f"k{number}": number + 25 for number in range(25)
    }
    assert len(first._tasks) == 4


def test_a_backlog_is_taken_in_several_calls_by_one_transaction(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(router_loop, "CONSUME_RECORDS", 3)
    bus = Bus()
    view = towns_view("size")
    bus.declare(towns(2), view)
    router = bus.router()
    bus.settle(router)
    before = router._transactions
    for number in range(20):
        bus.upsert(f"k{number}", size=number)

    router.step()

    assert router._transactions == before + 1
    assert {key: row["size"] for key, row in bus.rows(view).items()} == {
        f"k{number}": number for number in range(20)
    }


@pytest.mark.parametrize("failing", ["begin", "write_all"])
def test_what_was_brought_and_not_written_when_a_transaction_fails_is_read_again(
    failing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bus = Bus()
    view = towns_view()
    bus.declare(towns(2), view)
    router = bus.router()
    bus.settle(router)
    for number in range(20):
        bus.upsert(f"k{number}")

    def fail(*_: object) -> None:
        raise TransactionAborted("the broker takes nothing")

    with monkeypatch.context() as broken:
        broken.setattr(router._writer, failing, fail)
        router.step()
    assert bus.committed(view.topic) == []
    bus.settle(router)

    assert sorted(record.key() or b"" for record in bus.committed(view.topic)) == sorted(
        f"k{number}".encode() for number in range(20)
    )


def test_what_is_taken_away_in_the_middle_of_a_transaction_is_another_routers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The consumer tells of rebalances while it is asked for more, with records written already."""
    monkeypatch.setattr(router_loop, "CONSUME_RECORDS", 3)
    bus = Bus()
    view = towns_view("size", rows="size < 30")
    bus.declare(towns(4), view)
    first = bus.router("0")
    for number in range(40):
        bus.upsert(f"k{number}", size=number)
    bus.settle(first)
    aborted = metrics.ROUTER_REGISTRY.get_sample_value(ABORTED) or 0.0
    for number in range(40):
        bus.upsert(f"k{number}", size=39 - number)
    joined: list[Router] = []
    consume = first._consumer.consume

    def consume_while_another_joins(most: int, seconds: float) -> object:
        # By the sixth call partitions of both have records in the transaction.
        calls.append(most)
        if len(calls) == 6:
            joined.append(bus.router("1"))
        return consume(most, seconds)

    calls: list[int] = []
    monkeypatch.setattr(first._consumer, "consume", consume_while_another_joins)
    first.step()
    assert metrics.ROUTER_REGISTRY.get_sample_value(ABORTED) == aborted + 1
    # Nothing has failed, so nobody waits.
    assert first.not_ready() is None
    bus.settle(first, *joined)

    assert len(first._tasks) == len(joined[0]._tasks) == 2
    assert {key: row["size"] for key, row in bus.rows(view).items()} == {
        f"k{39 - size}": size for size in range(30)
    }
    # Each record came once: 30 of the first state, 30 of the second, and 10 that left.
    assert len(bus.committed(view.topic)) == 70


def test_state_without_a_position_stops_the_partition() -> None:
    """design.md §6: never jump. Positions that expired must not turn into a second start."""
    bus = Bus()
    view = towns_view()
    bus.declare(towns(1), view)
    bus.upsert("a")
    bus.settle(bus.router())
    bus.broker._committed[ROUTER_GROUP].clear()

    router = bus.router()
    bus.settle(router)

    assert list(router.stopped) == [Partition(SOURCE, 0)]
    assert "no committed position" in (router.not_ready() or "")
    assert values_written(bus, view.topic) == 1


def test_a_router_without_a_policy_routes_nothing() -> None:
    """Default is deny: no complete policy, no routing."""
    bus = Bus()
    router: Router = bus.router()
    bus.settle(router)

    assert router.not_ready() == "no policy is known"


def test_membership_spills_to_a_file_and_undoes_from_there() -> None:
    membership = Membership(memory_keys=10)
    for number in range(50):
        membership.set(f"k{number}".encode(), 1 << (number % 70))
    membership.settle()
    membership.set(b"k1", 0)
    membership.set(b"new", 1 << 100)

    membership.undo()

    assert len(membership) == 50
    assert membership.get(b"k1") == 2
    assert membership.get(b"new") == 0
    membership.forget(2)
    assert membership.get(b"k1") == 0
    membership.close()


def test_compaction_of_the_source_changes_nothing() -> None:
    bus = Bus()
    bus.declare(towns(1), towns_view("kind"))
    router = bus.router()
    for number in range(30):
        bus.upsert(f"k{number % 5}", size=number)
    bus.settle(router)
    bus.broker.compact(SOURCE)
    late = towns_view("size")
    bus.declare(towns(1), towns_view("kind"), late)

    bus.settle(router)

    assert {key: row["size"] for key, row in bus.rows(late).items()} == {
        f"k{number}": 25 + number for number in range(5)
    }
    assert towns_of(bus).partitions == 1


def test_what_is_not_mine_any_more_has_no_lag_of_mine() -> None:
    """The router that takes a partition over says its lag; two values would be added up."""
    bus = Bus()
    bus.declare(towns(), towns_view("all"))
    router = bus.router()
    bus.upsert("k", size=1)
    bus.settle(router)
    router._lag_due = 0
    router.step()
    assert _lag() == 0

    router.revoked(list(router._tasks))
    router._lag_due = 0
    router._measure()

    assert _lag() is None


def _lag() -> float | None:
    return metrics.ROUTER_REGISTRY.get_sample_value(
        "onesource_router_lag_records", {"resource": towns().resource}
    )
