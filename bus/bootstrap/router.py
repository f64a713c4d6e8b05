"""The router process."""

import gc
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from bus.adapters.avro.codec import AvroEventCodec
from bus.adapters.cel.cel_cpp import compile_filter
from bus.adapters.kafka.group_consumer import KafkaGroupConsumer
from bus.adapters.kafka.log_reader import KafkaLogReaders
from bus.adapters.kafka.transactional_writer import KafkaTransactionalWriter
from bus.adapters.system_clock import SystemClock
from bus.bootstrap.connections import kafka_connection
from bus.bootstrap.pseudonyms import pseudonym_secrets
from bus.domain.access import ROUTER
from bus.domain.names import ROUTER_GROUP
from bus.router.router import Router
from bus.services.policy_follower import PolicyFollower
from bus.settings import Settings

#: Objects between two looks for garbage. A policy is hundreds of thousands that stay, a batch of
#: records tens of thousands that go by themselves: looking through them often finds nothing.
_GARBAGE_THRESHOLD = 100_000


def look_for_garbage_rarely() -> None:
    """Set how often this process looks for garbage as suits one that routes."""
    gc.set_threshold(_GARBAGE_THRESHOLD, 10, 10)


@contextmanager
def router(settings: Settings) -> Iterator[Router]:
    """Connect a router, and let go of everything at the end."""
    look_for_garbage_rarely()
    connection = kafka_connection(settings, ROUTER)
    codec = AvroEventCodec()
    clock = SystemClock()
    readers = KafkaLogReaders(connection, group=f"{ROUTER_GROUP}.reader")
    # The follower comes first: without a policy topic there is nothing to take part in.
    follower = PolicyFollower(readers, codec, clock)
    writer = KafkaTransactionalWriter(
        connection, transactional_id=f"{ROUTER_GROUP}.{settings.slot}"
    )
    built = Router(
        consumer=KafkaGroupConsumer(connection, group=ROUTER_GROUP, instance=settings.slot),
        writer=writer,
        readers=readers,
        follower=follower,
        codec=codec,
        clock=clock,
        compile_filter=compile_filter,
        run_id=uuid.uuid4().hex[:12],
        pseudonym_secrets=pseudonym_secrets(settings),
    )
    try:
        yield built
    finally:
        built.close()
