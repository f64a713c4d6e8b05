"""Unit tests of `bus.control.rate_limits`."""

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from bus import metrics
from bus.adapters.memory.clock import ManualClock
from bus.control.edge_route import EdgeRoute
from bus.control.identity import ActingActor
from bus.control.rate_limits import Rate, RateLimits, TokenBuckets, network_of
from bus.domain.identity import Role
from tests import builders
from tests.control_http import PROVIDER, ControlHTTP

RATE = Rate(per_second=2, burst=3)


def test_a_bucket_empties_and_fills() -> None:
    clock = ManualClock()
    buckets = TokenBuckets(RATE, monotonic=clock.monotonic)

    at_once = [buckets.take("a") for _ in range(5)]
    clock.sleep(0.25)
    too_early = buckets.take("a")
    clock.sleep(0.25)
    in_time = buckets.take("a")
    clock.sleep(100)
    full = [buckets.take("a") for _ in range(4)]

    assert at_once == [0, 0, 0, 0.5, 0.5]
    assert (too_early, in_time) == (0.25, 0)
    assert full == [0, 0, 0, 0.5]


def test_names_do_not_share_a_bucket() -> None:
    buckets = TokenBuckets(Rate(per_second=1, burst=1), monotonic=ManualClock().monotonic)

    assert [buckets.take(name) for name in "aabb"] == [0, 1, 0, 1]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 3)), max_size=60))
def test_nobody_gets_more_than_the_rate(steps: list[tuple[str, float]]) -> None:
    clock = ManualClock()
    buckets = TokenBuckets(RATE, monotonic=clock.monotonic)
    taken = dict.fromkeys("abc", 0)

    for name, pause in steps:
        clock.sleep(pause)
        taken[name] += buckets.take(name) == 0

    most = RATE.burst + RATE.per_second * clock.monotonic()
    assert all(count <= most + 1e-6 for count in taken.values())


def test_the_table_is_bounded_and_forgets_whom_it_has_not_heard_of_for_longest() -> None:
    buckets = TokenBuckets(Rate(per_second=1, burst=1), most=2, monotonic=lambda: 0.0)

    for name in ("a", "b", "a", "c"):
        buckets.take(name)

    assert len(buckets) == 2
    assert buckets.take("a") > 0
    assert buckets.take("b") == 0


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::9", "2001:db8:1:3::/64"),
        ("testclient", "testclient"),
        (None, ""),
    ],
)
def test_an_ipv6_network_is_one_sender(host: str | None, network: str) -> None:
    assert network_of(host) == network


def limited(*, account: int, address: int) -> ControlHTTP:
    """Return the application with these bursts, and a route that asks for a token."""
    control = ControlHTTP()
    control.app.state.limits = RateLimits(
        account=Rate(per_second=0.5, burst=account),
        address=Rate(per_second=0.5, burst=address),
        monotonic=lambda: 0.0,
    )
    add_route(control.app)
    return control


def add_route(app: FastAPI) -> None:
    """Add a route behind the shared edge."""
    router = APIRouter(prefix="/v1", route_class=EdgeRoute)

    @router.get("/mine")
    def mine(actor: ActingActor) -> str:
        return actor.account

    app.include_router(router)


def refused(kind: str) -> float:
    """Return how many were refused."""
    name = "onesource_rate_limited_requests_total"
    return metrics.CONTROL_REGISTRY.get_sample_value(name, {"kind": kind}) or 0


def assert_limited(client: TestClient, path: str, kind: str) -> None:
    """Check that one request more is one too many."""
    before = refused(kind)
    answer = client.get(path)

    assert (answer.status_code, answer.json()["code"]) == (429, "RATE_LIMITED")
    assert answer.headers["retry-after"] == "2"
    assert refused(kind) == before + 1


def test_an_account_that_asks_too_often_waits_and_others_do_not() -> None:
    control = limited(account=2, address=1_000)
    hasty, other = (
        control.acting(name, builders.PROVIDER, Role.DEPARTMENT) for name in ("hasty", "other")
    )

    assert [hasty.get("/v1/mine").status_code for _ in range(2)] == [200, 200]
    assert_limited(hasty, "/v1/mine", "account")
    assert other.get("/v1/mine").status_code == 200


def test_a_principal_that_asks_too_often_waits() -> None:
    control = limited(account=2, address=1_000)
    client = control.client(PROVIDER)
    path = f"/v1/publications/{builders.entry().resource}"

    assert [client.get(path).status_code for _ in range(2)] == [200, 200]
    assert_limited(client, path, "account")
    assert_limited(client, "/subjects", "account")


def test_an_address_that_asks_too_often_waits_before_anybody_looks_who_it_is() -> None:
    control = limited(account=1_000, address=3)
    nobody = control.nobody()

    assert [nobody.get("/v1/mine").status_code for _ in range(3)] == [401, 401, 401]
    assert_limited(nobody, "/v1/mine", "address")
