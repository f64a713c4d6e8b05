"""Pseudonyms on the real platform: whom they let join, and what if their secret is gone."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest

from bus.adapters.pseudonym_secret_files import PseudonymSecretFiles, secret_file
from bus.domain.grant import Grant
from bus.domain.pseudonyms import PseudonymKey, pseudonym
from bus.domain.view import Treatment
from bus.errors import PseudonymKeyUnusable
from tests import builders
from tests.integration.test_end_to_end import open_subscriber, take, town
from tests.live_platform import LivePlatform, wait_until

PSEUDONYMOUS = {"code": Treatment.KEEP, "name": Treatment.HMAC}
NAME = "王小明"


def received(platform: LivePlatform, grant: Grant, count: int) -> dict[str, str]:
    """Return the names that a subscriber receives, by code."""
    with closing(open_subscriber(platform, grant)) as subscriber:
        records = [change.record or {} for change in take(subscriber, count)]
    return {record["code"]: record["name"] for record in records}


def secrets_of(platform: LivePlatform) -> Path:
    """Return the folder of the platform's secrets of pseudonyms."""
    return platform.folder.root / "keys" / "pseudonyms"


def test_a_department_joins_what_it_is_given_and_cannot_compare_with_another(
    platform: LivePlatform,
) -> None:
    """docs/adr/0024: two resources of one department join, two departments' pseudonyms differ."""
    people, firms = platform.new_resource(), platform.new_resource()
    housing = [platform.new_grant(each, treatments=PSEUDONYMOUS) for each in (people, firms)]
    tourism = platform.new_grant(people, consumer="tourism", treatments=PSEUDONYMOUS)
    for entry, code in ((people, "p"), (firms, "f")):
        with platform.publisher(entry) as publisher:
            publisher.upsert(town(f"{code}1", name=NAME))
            publisher.upsert(town(f"{code}2", name="李小红"))

    in_people, in_firms = (received(platform, grant, 2) for grant in housing)
    theirs = received(platform, tourism, 2)

    assert in_people["p1"] == in_firms["f1"] != in_people["p2"] == in_firms["f2"]
    assert set(in_people.values()) & set(theirs.values()) == set()
    secret = PseudonymSecretFiles(secrets_of(platform)).secret(1)
    for organisation, shown in ((builders.CONSUMER, in_people), ("tourism", theirs)):
        key = PseudonymKey(organisation, 1).derive(secret)
        assert shown["p1"] == pseudonym(key, NAME.encode())
    for grant in (*housing, tourism):
        verified = platform.verify(grant)
        assert verified.well
        assert len(verified.expected) == 2


def test_no_secret_is_anywhere_but_in_its_file(platform: LivePlatform) -> None:
    """Not in logs, addresses or other secrets; and for its owner alone."""
    path = secret_file(secrets_of(platform), 1)
    secret = path.read_bytes()
    root = platform.folder.root
    others = [*root.glob("*.json"), *root.glob("logs/*"), *root.glob("credentials/*.json")]

    assert path.stat().st_mode & 0o077 == 0
    assert len(others) > 5
    for each in others:
        content = each.read_bytes()
        assert secret not in content
        assert secret.hex().encode() not in content


def test_a_new_key_is_filled_anew_and_without_its_secret_nothing_passes(
    platform: LivePlatform,
) -> None:
    """The secret first, then the version: the other way round the resource stands still."""
    entry, other = platform.new_resource(), platform.new_resource()
    late = builders.organisation(platform.new_code("late"))
    platform.declare(organisations=(late,))
    grant = platform.new_grant(entry, consumer=late.code, treatments=PSEUDONYMOUS)
    plain = platform.new_grant(other)
    with platform.publisher(entry) as publisher:
        publisher.upsert(town("1", name=NAME))
    before = received(platform, grant, 1)
    first_topic = platform.descriptor(grant)["topic"]

    platform.declare(organisations=(replace(late, pseudonym_key=2),))
    wait_until(lambda: "[PSEUDONYM_KEY_UNUSABLE]" in readiness(platform), "the resource stops")
    with platform.publisher(other) as publisher:
        publisher.upsert(town("2"))
    assert received(platform, plain, 1).keys() == {"2"}
    descriptor = platform.descriptor(grant)
    assert descriptor["topic"] != first_topic
    assert descriptor["state"] == "SNAPSHOTTING"
    with pytest.raises(PseudonymKeyUnusable):
        PseudonymSecretFiles(secrets_of(platform)).secret(2)

    path = secret_file(secrets_of(platform), 2)
    path.touch(0o600)
    path.write_bytes(b"2" * 32)
    platform.kill("router")
    platform.restart("router")

    after = received(platform, grant, 1)
    key = PseudonymKey(late.code, 2).derive(b"2" * 32)
    assert after == {"1": pseudonym(key, NAME.encode())}
    assert after != before
    assert platform.verify(grant).well


def readiness(platform: LivePlatform) -> str:
    """Return what the router says of itself."""
    url = f"http://127.0.0.1:{platform.port('router')}/readyz"
    return httpx2.get(url, timeout=5).text
