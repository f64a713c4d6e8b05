"""Pseudonyms in the router, on a broker in memory: whose they are, and what if there is no key."""

from bus.domain.pseudonyms import PseudonymKey, pseudonym
from bus.domain.view import Treatment
from bus.ports import Partition
from tests.pseudonym_secrets import SECRETS, GivenSecrets
from tests.router_harness import SOURCE, Bus, towns, towns_view


def test_a_router_without_the_secret_stops_the_resource_and_passes_nothing() -> None:
    """docs/adr/0024: better nothing than anything else in the place of a pseudonym."""
    bus = Bus()
    bus.secrets = GivenSecrets({})
    plain, view = towns_view("kind"), towns_view(treated={"kind": Treatment.HMAC})
    bus.declare(towns(2), plain, view)
    bus.upsert("a")
    router = bus.router()
    bus.settle(router)

    assert sorted(router.stopped) == [Partition(SOURCE, 0), Partition(SOURCE, 1)]
    assert "[PSEUDONYM_KEY_UNUSABLE]" in (router.not_ready() or "")
    assert bus.committed(plain.topic) == bus.committed(view.topic) == []

    bus.secrets = SECRETS
    again = bus.router()
    bus.settle(again)

    assert again.not_ready() is None
    assert bus.rows(view).keys() == {"a"}


def test_a_resource_that_stopped_goes_on_by_itself_when_the_secret_is_there() -> None:
    """Nothing is lost, and nothing written twice; before it is there, nothing is written at all."""
    bus = Bus()
    secrets = GivenSecrets({})
    bus.secrets = secrets
    plain = towns_view("kind")
    bus.declare(towns(1), plain)
    bus.upsert("a")
    router = bus.router()
    bus.settle(router)
    view = towns_view(treated={"kind": Treatment.HMAC})
    bus.declare(towns(1), plain, view)
    bus.upsert("b")
    bus.settle(router)
    bus.clock.sleep(60)
    bus.settle(router)
    assert "[PSEUDONYM_KEY_UNUSABLE]" in (router.not_ready() or "")
    assert bus.rows(plain).keys() == {"a"}

    secrets.put(1, SECRETS.secret(1))
    bus.clock.sleep(60)
    bus.settle(router)

    assert router.not_ready() is None
    assert [record.key() for record in bus.committed(plain.topic)] == [b"a", b"b"]
    assert bus.rows(view).keys() == {"a", "b"}


def test_a_resource_stops_when_a_view_comes_whose_secret_is_missing() -> None:
    """What is routed before goes on to be read; nothing is written after."""
    bus = Bus()
    plain = towns_view("kind")
    pseudonymous = towns_view(
        treated={"kind": Treatment.HMAC}, pseudonyms_for=PseudonymKey("tourism", 9)
    )
    bus.declare(towns(1), plain)
    router = bus.router()
    bus.upsert("a")
    bus.settle(router)

    bus.declare(towns(1), plain, pseudonymous)
    bus.upsert("b")
    bus.settle(router)

    assert list(router.stopped) == [Partition(SOURCE, 0)]
    assert "no secret of version 9 [PSEUDONYM_KEY_UNUSABLE]" in (router.not_ready() or "")
    assert bus.rows(plain).keys() == {"a"}
    assert bus.committed(pseudonymous.topic) == []


def test_organisations_do_not_share_pseudonyms_and_a_new_key_is_a_view_filled_anew() -> None:
    bus = Bus()
    keys = [PseudonymKey("tourism", 1), PseudonymKey("housing", 1), PseudonymKey("tourism", 2)]
    views = [towns_view(treated={"kind": Treatment.HMAC}, pseudonyms_for=key) for key in keys]
    bus.declare(towns(1), *views[:2])
    router = bus.router()
    bus.upsert("a", kind="town")
    bus.upsert("b", kind="town")
    bus.settle(router)
    bus.declare(towns(1), *views[1:])
    bus.settle(router)

    shown = [{row["kind"] for row in bus.rows(view).values()} for view in views]
    assert shown == [{pseudonym(key.derive(SECRETS.secret(key.version)), b"town")} for key in keys]
    assert len(set.union(*shown)) == 3
