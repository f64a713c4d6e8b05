"""The plain path on the real Kafka and Postgres: provider, router, SDK, sink, verification."""

import itertools
from collections.abc import Iterator

import psycopg

from bus.adapters.kafka.log_reader import KafkaLogReaders
from bus.adapters.system_clock import SystemClock
from bus.domain.grant import Grant
from bus.domain.names import group_prefix, subscription_principal
from bus.domain.view import Treatment
from consumers import Change, ChangeKind, Subscriber
from consumers.postgres_sink.sink import PostgresSink
from tests.live_platform import LivePlatform, wait_until


def town(code: str, **items: object) -> dict[str, object]:
    """Return a record of `builders.entry()`."""
    return {"code": code, "name": f"镇{code}", "district": "east", "population": 7, **items}


def open_subscriber(platform: LivePlatform, grant: Grant) -> Subscriber:
    """Return the SDK's subscriber of a grant."""
    mine = platform.subscriber(grant)
    return Subscriber(grant.id, kafka=mine.kafka, control=mine.control)


def open_sink(platform: LivePlatform, grant: Grant, dsn: str) -> PostgresSink:
    """Return a sink of a grant on a database."""
    principal = subscription_principal(grant.id)
    mine = platform.subscriber(grant)
    return PostgresSink(
        grant.id,
        dsn=dsn,
        schema="public",
        table="towns",
        control=mine.control,
        readers=KafkaLogReaders(mine.kafka, group=f"{group_prefix(principal)}sink"),
        clock=SystemClock(),
    )


def take(subscriber: Subscriber, count: int) -> list[Change]:
    """Return the next `count` changes of records."""

    def changes() -> Iterator[Change]:
        while True:
            for change in subscriber.poll(0.1):
                if change.meta is not None:
                    yield change

    return list(itertools.islice(changes(), count))


def test_a_published_change_reaches_a_subscriber_with_its_provenance(
    platform: LivePlatform,
) -> None:
    """R-112, R-123: pushed with source, version, grant and purpose."""
    entry = platform.new_resource()
    grant = platform.new_grant(entry, row_filter='district == "east"', items=["code", "name"])
    with platform.publisher(entry) as publisher:
        publisher.upsert(town("1"))
        publisher.upsert(town("2", district="west"))
        publisher.upsert(town("1", name="新镇"))
        publisher.upsert(town("1", district="west"))

    with open_subscriber(platform, grant) as subscriber:
        first, second, third = take(subscriber, 3)

    assert first.kind is ChangeKind.UPSERT
    assert first.record == {"code": "1", "name": "镇1"}
    assert second.record == {"code": "1", "name": "新镇"}
    assert (third.kind, third.key) == (ChangeKind.DELETE, "1")
    assert first.meta is not None
    assert third.meta is not None
    assert first.meta.source == entry.provider
    assert first.meta.position < third.meta.position
    assert third.meta.reason == "left-view"
    assert first.subscription.grant == grant.id
    assert first.subscription.purpose == grant.purpose
    assert platform.verify(grant).well


def test_every_new_resource_is_routed_from_its_first_record(platform: LivePlatform) -> None:
    """A partition whose start races with its assignment must not begin at its end."""
    for _ in range(8):
        entry = platform.new_resource()
        grant = platform.new_grant(entry)
        with platform.publisher(entry) as publisher:
            for number in range(20):
                publisher.upsert(town(str(number)))

        with open_subscriber(platform, grant) as subscriber:
            changes = take(subscriber, 20)

        assert [change.key for change in changes] == [str(number) for number in range(20)]


def test_a_subscriber_goes_on_where_it_stopped(platform: LivePlatform) -> None:
    entry = platform.new_resource()
    grant = platform.new_grant(entry)
    with platform.publisher(entry) as publisher:
        publisher.upsert(town("1"))
        publisher.upsert(town("2"))
    with open_subscriber(platform, grant) as subscriber:
        assert [change.key for change in take(subscriber, 2)] == ["1", "2"]
    with platform.publisher(entry) as publisher:
        publisher.upsert(town("3"))

    with open_subscriber(platform, grant) as subscriber:
        (change,) = take(subscriber, 1)

    # The last change of the first round was handed out, but the next one never asked for.
    assert change.key in ("2", "3")


def test_the_sink_keeps_a_typed_table_exactly_once(platform: LivePlatform) -> None:
    """design.md §9: rows and position in one transaction, whatever happens in between."""
    entry = platform.new_resource()
    grant = platform.new_grant(entry, row_filter="population > 5")
    dsn = platform.new_database()
    with platform.publisher(entry) as publisher:
        for number in range(300):
            publisher.upsert(town(f"{number:03}", population=number % 10))
    sink = open_sink(platform, grant, dsn)
    wait_until(lambda: sink.step() or _rows(dsn) == 120, "the first rows arrive")
    sink.close()
    with platform.publisher(entry) as publisher:
        for number in range(300):
            publisher.upsert(town(f"{number:03}", population=(number + 1) % 10))
        publisher.delete({"code": "005"})

    sink = open_sink(platform, grant, dsn)
    wait_until(lambda: sink.step() == 0 and _rows(dsn) == 119, "the table is up to date")
    sink.close()

    verified = platform.verify(grant)
    assert verified.well
    with psycopg.connect(dsn) as connection:
        counted = connection.execute(
            "SELECT upserts, deletes, left_view FROM onesource_sink.subscription"
        ).fetchone()
        columns = connection.execute(
            "SELECT column_name, data_type FROM information_schema.columns"
            " WHERE table_name = 'towns' AND column_name NOT LIKE 'os\\_%' ORDER BY 1"
        ).fetchall()
    # 120 at first; then 30 enter and 90 stay (upserts), 30 leave, one is deleted.
    assert counted == (240, 1, 30)
    assert columns == [
        ("code", "text"),
        ("district", "text"),
        ("name", "text"),
        ("population", "bigint"),
    ]


def test_masked_items_reach_a_table_and_are_verified(platform: LivePlatform) -> None:
    """R-058: partial content, enforced in the stream; the oracle masks by itself."""
    entry = platform.new_resource()
    treatments = {
        "code": Treatment.KEEP,
        "name": Treatment.PARTIAL,
        "district": Treatment.FIXED,
        "population": Treatment.NULL,
    }
    grant = platform.new_grant(entry, treatments=treatments, row_filter='district == "east"')
    dsn = platform.new_database()
    with platform.publisher(entry) as publisher:
        publisher.upsert(town("1", name="13812341234"))
        publisher.upsert(town("2", name="王小明", population=None))
        publisher.upsert(town("3", district="west"))

    sink = open_sink(platform, grant, dsn)
    wait_until(lambda: sink.step() == 0 and _rows(dsn) == 2, "the rows arrive")
    sink.close()

    with psycopg.connect(dsn) as connection:
        rows = connection.execute(
            "SELECT code, name, district, population FROM towns ORDER BY code"
        ).fetchall()
    assert rows == [("1", "138****1234", "***", None), ("2", "王*明", "***", None)]
    assert platform.verify(grant).well


def test_a_narrowed_grant_is_followed_to_its_new_view(platform: LivePlatform) -> None:
    """design.md §9: loaded beside the old rows; what the new view lacks is removed at the end."""
    entry = platform.new_resource()
    grant = platform.new_grant(entry)
    dsn = platform.new_database()
    with platform.publisher(entry) as publisher:
        for number in range(20):
            publisher.upsert(town(str(number), district="east" if number % 2 else "west"))
    sink = open_sink(platform, grant, dsn)
    wait_until(lambda: sink.step() or _rows(dsn) == 20, "the first rows arrive")

    platform.change(
        grant,
        row_filter='district == "east"',
        treatments={
            name: how for name, how in grant.treatments.items() if name in ("code", "district")
        },
    )
    wait_until(lambda: sink.step() == 0 and _rows(dsn) == 10, "the rest has been removed")
    sink.close()

    with psycopg.connect(dsn) as connection:
        rows = connection.execute('SELECT * FROM "towns"')
        names = [column.name for column in rows.description or ()]
    assert "district" in names
    assert "population" not in names


def _rows(dsn: str) -> int:
    with psycopg.connect(dsn) as connection:
        row = connection.execute("SELECT count(*) FROM towns").fetchone()
    return int(row[0]) if row else 0
