"""What subscribers may rely on."""

import consumers


def test_the_public_names_of_the_subscribers_side_are_these() -> None:
    assert consumers.__all__ == ["Change", "ChangeKind", "Descriptor", "Meta", "Subscriber"]
    assert all(hasattr(consumers, name) for name in consumers.__all__)


def test_the_kinds_of_change_are_these() -> None:
    """They are written to logs, files and scripts of subscribers, so they do not change."""
    assert [str(kind) for kind in consumers.ChangeKind] == [
        "upsert",
        "delete",
        "resync-started",
        "resync-ended",
    ]
