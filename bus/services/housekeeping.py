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

    def step(self) -> None:
        """Do everything that is due; raise `TransientError` if the store or Kafka is away."""
        for grant in self._changes.end_expired_grants():
            log.info("grant expired", grant=grant)
        self._changes.reconcile()
        self._delete_old_topics()
        self._answers.forget()

    def _delete_old_topics(self) -> None:
        now = self._clock.now()
        with self._store.transaction() as transaction:
            for topic in transaction.expired_topics(now - dt.timedelta(days=REPLAY_WINDOW_DAYS)):
                self._topics.delete([topic])
                transaction.topic_deleted(topic, now)
                log.info("view topic deleted", topic=topic)
