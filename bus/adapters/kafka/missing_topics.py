"""Followed topics that the broker which was asked did not know yet."""

from collections.abc import Collection

#: A topic that has just been made is known to all brokers within a second or so.
_FIRST_SECONDS = 0.25
#: After some four minutes it is left to the client, which looks every five.
_LAST_SECONDS = 128.0


class MissingTopics:
    """
    Which they are, and when to ask for them again: soon, then ever more rarely, then no more.

    The client itself asks anew after five minutes (`topic.metadata.refresh.interval.ms`), or when
    it is told to subscribe, if only to what it has subscribed to.
    """

    def __init__(self) -> None:
        self._topics: set[str] = set()
        self._wait = _FIRST_SECONDS
        self._due = 0.0

    def note(self, topic: str, now: float) -> None:
        """Note that no broker was found to know `topic`."""
        if topic not in self._topics:
            self._topics.add(topic)
            self._wait = _FIRST_SECONDS
            self._due = now + self._wait

    def keep(self, followed: Collection[str]) -> None:
        """Forget all that is not followed any more."""
        self._topics.intersection_update(followed)

    def found(self, topics: Collection[str]) -> None:
        """Forget `topics`: they are there."""
        self._topics.difference_update(topics)

    def ask_again(self, now: float) -> bool:
        """Tell whether it is time to ask; the next time is twice as far away."""
        if not self._topics or now < self._due:
            return False
        self._wait *= 2
        if self._wait > _LAST_SECONDS:
            self._topics.clear()
        self._due = now + self._wait
        return True
