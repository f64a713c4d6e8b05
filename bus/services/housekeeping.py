"""What the control plane does by the clock: end grants, heal access, delete what is too old."""

import datetime as dt

import structlog

from bus.domain.topics import REPLAY_WINDOW_DAYS
from bus.ports import CatalogStore, Clock, TopicAdmin
from bus.ports.idempotency import KeptAnswers
from bus.services.catalog_changes import CatalogChanges

log = structlog.get_logger(__name__)

#: How often to look; each look is idempotent, so replicas may all do it.
EVERY_SECONDS = 30.0
#: After a comparison with Kafka so many times as long goes by before the next one.
_RECONCILE_SHARE = 20.0


class Housekeeping:
    """Brings the world in line with the state in the store, again and again."""

    def __init__(
        self,
        *,
        store: CatalogStore,
        changes: CatalogChanges,
        topics: TopicAdmin,
        answers: KeptAnswers,
        clock: Clock,
    ) -> None:
        self._store = store
        self._changes = changes
        self._topics = topics
        self._answers = answers
        self._clock = clock
        self._reconcile_from = 0.0

    def step(self) -> None:
        """Do everything that is due; raise `TransientError` if the store or Kafka is away."""
        for grant in self._changes.end_expired_grants():
            log.info("grant expired", grant=grant)
        self._reconcile()
        self._delete_old_topics()
        self._answers.forget()

    def _reconcile(self) -> None:
        """Compare Kafka with the store, unless that has just taken long."""
        started = self._clock.monotonic()
        if started < self._reconcile_from:
            return
        self._changes.reconcile()
        ended = self._clock.monotonic()
        self._reconcile_from = ended + _RECONCILE_SHARE * (ended - started)

    def _delete_old_topics(self) -> None:
        now = self._clock.now()
        before = now - dt.timedelta(days=REPLAY_WINDOW_DAYS)
        with self._store.snapshot() as snapshot:
            expired = snapshot.expired_topics(before)
        for topic in expired:
            self._topics.delete([topic])
            with self._store.transaction() as transaction:
                transaction.topic_deleted(topic, now)
            log.info("view topic deleted", topic=topic)
