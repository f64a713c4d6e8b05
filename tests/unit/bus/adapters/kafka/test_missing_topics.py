"""When topics that were not there are asked for again."""

from bus.adapters.kafka.missing_topics import MissingTopics


def asked(missing: MissingTopics, until: float) -> list[float]:
    """Return when it is asked, looking every quarter of a second."""
    return [now / 4 for now in range(int(until * 4)) if missing.ask_again(now / 4)]


def test_what_is_there_is_not_asked_for() -> None:
    assert asked(MissingTopics(), 10) == []


def test_it_is_asked_soon_then_rarely_and_not_for_ever() -> None:
    missing = MissingTopics()
    missing.note("a", 0)

    assert asked(missing, 1_000) == [
        0.25,
        0.75,
        1.75,
        3.75,
        7.75,
        15.75,
        31.75,
        63.75,
        127.75,
        255.75,
    ]


def test_another_one_is_asked_for_soon_and_the_same_changes_nothing() -> None:
    missing = MissingTopics()
    missing.note("a", 0)
    assert missing.ask_again(1)

    missing.note("a", 1)
    assert not missing.ask_again(1.25)
    missing.note("b", 1)
    assert missing.ask_again(1.25)


def test_what_was_found_or_is_not_followed_any_more_is_forgotten() -> None:
    missing = MissingTopics()
    for topic in ("found", "left"):
        missing.note(topic, 0)

    missing.found(["found"])
    assert missing.ask_again(1)
    missing.keep(["other"])
    assert asked(missing, 1_000) == []
