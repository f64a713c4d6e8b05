"""S-11 Law changes, class tightens (profiles 001, 000, 004; 002 has no clock)."""

import datetime as dt
import time
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, TopicPartition

from bus.bootstrap.calendar import calendar_store
from bus.domain.calendar_amendment import Amendment, Decree
from bus.domain.identity import Role
from bus.domain.names import group_prefix, subscription_principal
from bus.services.calendar_decrees import CalendarDecrees
from tests.acceptance.government import Desk, Government, Inbox
from tests.acceptance.resources import UNCONDITIONAL, conditional, entry, record
from tests.decrees import LABOUR_DAY_2019, LABOUR_DAY_2019_AMENDED
from tests.live_platform import wait_until

ITEMS = ["unit_no", "owner_ids", "certificate_no", "area_m2", "use", "mortgaged", "seized"]
HOLDERS = 6
#: How long it is watched that nothing comes.
_WATCH_SECONDS = 5.0
_LAW = {"cause": "law_change", "reference": "a law on real estate", "effective": "2019-04-22"}


def as_decree(amendments: list[Amendment]) -> Decree:
    """Return the decree whose days these are."""
    return Decree(
        country="CN",
        ordinance=amendments[0].ordinance,
        decreed_on=amendments[0].decreed_on,
        days_off=tuple(each.day for each in amendments if not each.working),
        working_days=tuple(each.day for each in amendments if each.working),
    )


@pytest.fixture(scope="module", autouse=True)
def decrees(state: Government) -> None:
    """Load both decrees about May 2019: the package holds the final state only (§6.2)."""
    with calendar_store(state.platform.settings) as store:
        loading = CalendarDecrees(store=store, clock=state.clock)
        loading.load(as_decree(LABOUR_DAY_2019), account="os-operator")
        loading.load(as_decree(LABOUR_DAY_2019_AMENDED), account="os-operator")


class Estate:
    """Natural resources with real-estate registration, and those who hold grants on it."""

    def __init__(self, state: Government, name: str, profile: str, holders: int = HOLDERS) -> None:
        self.state = state
        self.resource = f"{name}-estate"
        state.clock.set(2019, 4, 15)
        state.jurisdiction(name, profile, level="city")
        kind = "government_department"
        self.natural = state.organisation(name, f"{name}-natural", kind, level="city")
        self.authority = state.organisation(
            name, f"{name}-bureau", kind, roles=(Role.AUTHORITY,), level="city"
        )
        self.operator = state.organisation(
            name, f"{name}-operator", kind, roles=(Role.OPERATOR,), level="city"
        )
        self.auditor = state.organisation(
            name, f"{name}-audit", kind, roles=(Role.AUDITOR,), level="city"
        )
        self.estate = entry(
            self.resource, f"{name}-natural", dict.fromkeys(ITEMS, "all"), {"all": UNCONDITIONAL}
        )
        state.publish(self.natural, name, self.estate, record(self.estate, "u1", "o1", "c1"))
        self.holders = [
            state.organisation(name, f"{name}-holder-{number}", kind, level="city")
            for number in range(holders)
        ]
        answers = [self.ask(each) for each in self.holders]
        assert {each["state"] for each in answers} == {"GRANTED_DIRECT"}
        self.grants: list[str] = [each["grant"] for each in answers]
        # Two of them read with real subscribers: what Kafka lets out is the same for all.
        self.inboxes = [state.subscriber(each) for each in answers[:2]]
        for inbox in self.inboxes:
            inbox.wait("u1")

    def ask(self, holder: Desk) -> dict[str, Any]:
        """Ask for all items."""
        answer: dict[str, Any] = holder.post(
            "/requests",
            {
                "resource": self.resource,
                "items": ITEMS,
                "purpose": "DATA_VERIFICATION",
                "duty": "checks owners",
            },
        ).ok()
        return answer

    def tighten(self, version: int = 2) -> None:
        """Publish a version in which everything is conditional."""
        closed = entry(self.resource, self.estate["provider"], dict.fromkeys(ITEMS, "all"), {})
        closed["groups"] = {
            "all": {"titles": {"zh": "all", "en": "all"}, "share": {"all": conditional()}}
        }
        held = self.natural.get(f"/entries/{self.resource}")
        jurisdiction = held.ok()["jurisdiction"]
        path = f"/entries/{self.resource}"
        self.natural.put(
            f"{path}/draft",
            {"jurisdiction": jurisdiction, "entry": closed},
            **{"If-Match": held.headers["ETag"]},
        ).ok()
        self.natural.post(f"{path}/submit").ok()
        assert self.natural.post(f"{path}/publish").ok()["version"] == version

    def publish(self, unit: str) -> None:
        """Register a unit."""
        with self.state.publisher(self.resource, self.estate["provider"]) as publisher:
            publisher.upsert(record(self.estate, unit, "o", "c"))

    def standing(self) -> set[tuple[str, str]]:
        """Return state and reason of the holders' first grants, as the holders see them."""
        grants = [
            holder.get(f"/grants/{grant}").ok()
            for holder, grant in zip(self.holders, self.grants, strict=True)
        ]
        return {(each["state"], each["suspended_because"]) for each in grants}

    def approved(self, holder: Desk) -> dict[str, Any]:
        """Ask anew, be approved, be activated."""
        asked = self.ask(holder)
        assert asked["state"] == "PENDING"
        today = self.state.clock.now().date().isoformat()
        decision = {
            "items": ITEMS,
            "purpose": "DATA_VERIFICATION",
            "valid_from": today,
            "valid_until": "2019-12-31",
        }
        request = f"/requests/{asked['id']}"
        self.natural.post(f"{request}/approve", decision).ok()
        activated: dict[str, Any] = self.operator.post(f"{request}/activate").ok()
        assert activated["state"] == "FULFILLED"
        return activated

    def close(self) -> None:
        """Let the subscribers go."""
        for inbox in self.inboxes:
            inbox.close()


def told(holder: Desk, code: str) -> list[dict[str, Any]]:
    """Return the notices with this code."""
    items: list[dict[str, Any]] = holder.get("/notices", limit="200").ok()["items"]
    return [each for each in items if each["code"] == code]


def nothing_of(inbox: Inbox, *units: str) -> bool:
    """Tell whether none of these units came, not even as a key."""
    return not {change.key for change in inbox.changes} & set(units)


@pytest.fixture(scope="module")
def estate(state: Government) -> Iterator[Estate]:
    """Return the departments of a city without grace."""
    found = Estate(state, "cz-strict", "city-without-grace")
    yield found
    found.close()


@pytest.fixture(scope="module")
def opened(state: Government, estate: Estate) -> dict[str, Any]:
    """Register the change of law, and return the entry as it is then."""
    state.clock.set(2019, 4, 22)
    answer: dict[str, Any] = estate.authority.post(f"/entries/{estate.resource}/updates", _LAW).ok()
    return answer


@pytest.fixture(scope="module")
def tightened(state: Government, estate: Estate, opened: dict[str, Any]) -> set[tuple[str, str]]:
    """Publish the new version on the last day; return how the six grants stand at once."""
    assert opened["state"] == "UPDATE_DUE"
    state.clock.set(2019, 5, 14, 10)
    estate.publish("u2")
    for inbox in estate.inboxes:
        inbox.wait("u2")
    estate.tighten()
    standing = estate.standing()
    estate.publish("u3")
    return standing


def test_a_change_of_law_opens_a_task_with_its_due_date(
    estate: Estate, opened: dict[str, Any]
) -> None:
    """S-11.1: R-025; 28 April and 5 May count, the first four days of May do not."""
    assert opened["state"] == "UPDATE_DUE"
    (task,) = opened["tasks"]
    assert (task["effective"], task["due"]) == ("2019-04-22", "2019-05-14")
    (notice,) = told(estate.natural, "CATALOG_UPDATE_DUE")
    assert "2019-05-14" in notice["text"]
    refused = estate.holders[0].post(f"/entries/{estate.resource}/updates", _LAW)
    assert (refused.status, refused.code) == (403, "FORBIDDEN_ROLE")


def test_without_grace_a_tightened_class_holds_at_once(
    state: Government, estate: Estate, tightened: set[tuple[str, str]]
) -> None:
    """S-11.2: R-028, R-063; closes the task; six holders are told, and receive nothing more."""
    assert tightened == {("SUSPENDED", "CLASS_TIGHTENED")}
    for holder in estate.holders:
        (changed,) = told(holder, "ENTRY_VERSION_CHANGED")
        assert "item seized, internal: UNCONDITIONAL becomes CONDITIONAL" in changed["text"]
        assert len(told(holder, "CLASS_TIGHTENED")) == 1
    (version,) = estate.auditor.get("/audit", action="catalog.version_changed").ok()["items"]
    assert "UNCONDITIONAL becomes CONDITIONAL" in version["details"]["difference"]
    case = estate.natural.get(f"/entries/{estate.resource}").ok()
    assert case["state"] == "PUBLISHED"
    assert [task["closed_by_version"] for task in case["tasks"]] == [2]

    state.clock.set(2019, 5, 15)
    activated = estate.approved(estate.holders[0])
    again = state.subscriber(activated)
    # What the others do not get is there: a holder that was approved anew has it.
    again.wait("u3")
    assert all(nothing_of(inbox, "u3") for inbox in estate.inboxes)
    grant = estate.holders[0].get(f"/grants/{activated['grant']}").ok()
    assert grant["state"] == "ACTIVE"
    old = estate.holders[0].get(f"/grants/{estate.grants[0]}").ok()
    assert old["state"] == "SUPERSEDED"
    time.sleep(_WATCH_SECONDS)
    assert all(nothing_of(inbox, "u3") for inbox in estate.inboxes)
    again.close()


def replayed(state: Government, grant: str, topic: str) -> tuple[list[str], set[int]]:
    """Return the keys that a holder gets who reads its view again from the start, and errors."""
    principal = subscription_principal(grant)
    consumer = Consumer(
        state.platform.kafka(principal).client(
            group_id=f"{group_prefix(principal)}replay",
            enable_auto_commit=False,
            auto_offset_reset="error",
            isolation_level="read_committed",
        )
    )
    consumer.assign([TopicPartition(topic, 0, 0)])
    keys: list[str] = []
    errors: set[int] = set()
    until = time.monotonic() + _WATCH_SECONDS
    while time.monotonic() < until:
        message = consumer.poll(0.2)
        if message is None:
            continue
        error = message.error()
        if error is None:
            keys.append(str(message.key()))
        else:
            errors.add(error.code())
    consumer.close()
    return keys, errors


@pytest.mark.usefixtures("tightened")
def test_a_suspended_holder_replays_nothing(state: Government, estate: Estate) -> None:
    """S-11.3: R-117, R-063; last week's events are judged by today's class, by Kafka itself."""
    state.clock.set(2019, 5, 21)
    grant = estate.grants[1]
    account = state.platform.account(subscription_principal(grant))
    descriptor = account.control.subscription(grant)
    assert descriptor["state"] == "BLOCKED"

    keys, errors = replayed(state, grant, descriptor["topic"])

    assert keys == []
    assert errors & {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
    }
    assert nothing_of(estate.inboxes[1], "u3")
    refused = estate.holders[1].post(f"/grants/{grant}/resume")
    assert refused.status == 403
    refused = estate.natural.post(f"/grants/{grant}/resume")
    assert (refused.status, refused.code) == (422, "CLASS_TIGHTENED")


def test_with_a_grace_delivery_goes_on_until_it_ends(state: Government) -> None:
    """S-11.2: ten working days from 14 May 2019 end with the 28th; then the same."""
    city = Estate(state, "cz-grace", "changzhou-2018", holders=2)
    state.clock.set(2019, 5, 14, 10)

    city.tighten()

    assert city.standing() == {("ACTIVE", "")}
    for holder in city.holders:
        (notice,) = told(holder, "CLASS_TIGHTENS")
        assert "2019-05-28" in notice["text"]
    # Publishing once more does not begin the grace anew.
    state.clock.set(2019, 5, 20, 10)
    city.tighten(version=3)
    for holder, grant in zip(city.holders, city.grants, strict=True):
        graces = holder.get(f"/grants/{grant}").ok()["graces"]
        assert graces == dict.fromkeys(ITEMS, "2019-05-28")
    state.clock.set(2019, 5, 28, 23, 59)
    city.publish("u2")
    for inbox in city.inboxes:
        inbox.wait("u2")
    assert city.standing() == {("ACTIVE", "")}

    state.clock.set(2019, 5, 29, 0, 0)
    wait_until(lambda: city.standing() == {("SUSPENDED", "CLASS_TIGHTENED")}, "the grace is over")
    city.publish("u3")
    again = state.subscriber(city.approved(city.holders[1]))
    again.wait("u3")
    time.sleep(_WATCH_SECONDS)
    assert all(nothing_of(inbox, "u3") for inbox in city.inboxes)
    again.close()
    city.close()


def test_a_missed_due_date_is_a_breach_and_data_is_still_served(state: Government) -> None:
    """S-11.4: R-025, R-135, R-228; B01 of another department; the look at it is audited, too."""
    name = "cz-late"
    city = Estate(state, name, "changzhou-2018", holders=2)
    path = f"/entries/{city.resource}"
    state.clock.set(2019, 4, 22)
    city.authority.post(f"{path}/updates", _LAW).ok()
    # A second change, due later, does not hide the first.
    later = {**_LAW, "effective": "2019-05-06", "reference": "another law"}
    city.authority.post(f"{path}/updates", later).ok()
    state.clock.set(2019, 5, 14, 23, 59)
    assert city.natural.get(path).ok()["state"] == "UPDATE_DUE"

    state.clock.set(2019, 5, 15, 0, 0)
    wait_until(lambda: city.natural.get(path).ok()["state"] == "UPDATE_OVERDUE", "it is overdue")

    query = {"action": "breach.recorded", "subject": f"{name}-natural"}
    (breach,) = city.auditor.get("/audit", **query).ok()["items"]
    assert breach["details"]["ground"] == "B01"
    assert breach["details"]["due"] == "2019-05-14"
    (look,) = city.auditor.get("/audit", action="audit.read").ok()["items"]
    assert look["role"] == "auditor"
    assert look["details"]["subject"] == f"{name}-natural"
    first = city.auditor.get("/audit", limit="3").ok()
    rows = first["items"] + city.auditor.get("/audit", limit="3", after=first["next"]).ok()["items"]
    numbers = [row["sequence"] for row in rows]
    assert numbers == sorted(set(numbers), reverse=True)
    assert {row["jurisdiction"] for row in rows} == {name}
    for desk in (city.natural, city.operator, city.holders[0]):
        refused = desk.get("/audit", **query)
        assert (refused.status, refused.code) == (403, "FORBIDDEN_ROLE")
    city.publish("u2")
    for inbox in city.inboxes:
        inbox.wait("u2")
    assert city.standing() == {("ACTIVE", "")}
    conformity = city.natural.get(f"/organisations/{name}-natural/conformity").ok()
    assert conformity["conformity"] == "CONFORMING"
    (listed,) = conformity["breaches"]
    assert (listed["ground"], listed["subject"]) == ("B01", city.resource)
    # A notice of rectification names it, on the ground that it is a breach of.
    office = state.account(name, f"{name}-bureau", Role.OFFICE)
    notice = {
        "organisation": f"{name}-natural",
        "grounds": ["late_supply"],
        "evidence": "the register",
        "breaches": [listed["id"]],
    }
    assert office.post("/rectifications", notice).code == "BREACH_MISMATCH"
    rightly = {**notice, "grounds": ["catalog_not_compiled_or_late"]}
    assert office.post("/rectifications", rightly).ok()["breaches"] == [listed["id"]]

    state.clock.set(2019, 5, 28, 0, 0)
    wait_until(
        lambda: len(city.auditor.get("/audit", **query).ok()["items"]) == 2, "the second breach"
    )
    city.close()


def published(state: Government, name: str, profile: str, kind: str) -> tuple[Desk, str]:
    """Return an owner and its published entry."""
    state.clock.set(2019, 4, 15)
    state.jurisdiction(name, profile)
    owner = state.organisation(name, f"{name}-owner", kind)
    held = entry(
        f"{name}-held",
        f"{name}-owner",
        {"no": "all", "text": "all"},
        {"all": {**UNCONDITIONAL, "purposes": ["WORK_REFERENCE"]}},
    )
    state.publish(owner, name, held, record(held, "n1", "text"))
    state.clock.set(2019, 4, 22)
    return owner, f"/entries/{name}-held"


def test_in_the_ministry_a_change_of_holdings_alone_opens_a_task(state: Government) -> None:
    """S-11.5: R-026, profile 000; elsewhere it opens none."""
    owner, path = published(state, "moa-held", "moa-2017", "bureau")

    opened = owner.post(f"{path}/updates", {**_LAW, "cause": "holdings_change"}).ok()

    assert (opened["state"], opened["tasks"][0]["due"]) == ("UPDATE_DUE", "2019-05-14")
    city, city_path = published(state, "cz-held", "changzhou-2018", "government_department")
    refused = city.post(f"{city_path}/updates", {**_LAW, "cause": "holdings_change"})
    assert refused.code == "TRIGGER_NOT_IN_PROFILE"
    assert city.get(city_path).ok()["tasks"] == []


def test_in_the_county_it_is_due_the_same_day_and_is_filed(state: Government) -> None:
    """S-11.5: R-025, R-027, profile 004."""
    owner, path = published(state, "yj-held", "yanjin-2019", "county_department")
    authority = state.organisation(
        "yj-held", "yj-held-bureau", "county_department", roles=(Role.AUTHORITY,)
    )
    first = authority.get("/filings").ok()["items"]

    opened = owner.post(f"{path}/updates", _LAW).ok()
    assert (opened["state"], opened["tasks"][0]["due"]) == ("UPDATE_DUE", "2019-04-22")
    held = owner.get(path)
    again = entry("yj-held-held", "yj-held-owner", {"no": "all", "text": "all"}, {})
    again["groups"] = {"all": {"titles": {"zh": "a", "en": "b"}, "share": {"all": UNCONDITIONAL}}}
    draft = {"jurisdiction": "yj-held", "entry": again}
    owner.put(f"{path}/draft", draft, **{"If-Match": held.headers["ETag"]}).ok()
    owner.post(f"{path}/submit").ok()
    updated = owner.post(f"{path}/publish").ok()

    assert (updated["state"], updated["version"]) == ("PUBLISHED", 2)
    assert "FILING_PENDING" in updated["flags"]
    (filing,) = [
        each
        for each in authority.get("/filings").ok()["items"]
        if each["id"] not in {known["id"] for known in first}
    ]
    assert (filing["entry"], filing["version"]) == ("yj-held-held", 2)
    assert filing["state"] == "FILING_PENDING"


@pytest.mark.parametrize("cause", ["law_change", "business_demand_change"])
def test_in_the_province_no_task_is_opened(state: Government, cause: str) -> None:
    """S-11.5: R-025, profile 002: "in time", without a date."""
    name = f"hn-{cause.replace('_', '-')}"
    owner, path = published(state, name, "hainan-2014", "administration")

    refused = owner.post(f"{path}/updates", {**_LAW, "cause": cause})

    assert refused.code == "TRIGGER_NOT_IN_PROFILE"
    assert owner.get(path).ok()["tasks"] == []
    assert owner.get(path).ok()["state"] == "PUBLISHED"


def test_an_amended_calendar_moves_an_open_due_date(state: Government) -> None:
    """S-11.1: R-083; the owner is told, both dates are kept (a decree of an invented day off)."""
    owner, path = published(state, "cz-recount", "changzhou-2018", "government_department")
    # No scenario is in that month, so nobody else's due dates are moved.
    state.clock.set(2018, 11, 5)
    (task,) = owner.post(f"{path}/updates", {**_LAW, "effective": "2018-11-05"}).ok()["tasks"]
    assert task["due"] == "2018-11-26"

    decree = Decree(
        country="CN",
        ordinance="a decree of an invented day off",
        decreed_on=dt.date(2018, 11, 8),
        days_off=(dt.date(2018, 11, 12),),
    )
    with calendar_store(state.platform.settings) as store:
        CalendarDecrees(store=store, clock=state.clock).load(decree, account="os-operator")

    def moved() -> bool:
        (found,) = owner.get(path).ok()["tasks"]
        return bool(found["due"] == "2018-11-27" and found["due_before"] == ["2018-11-26"])

    wait_until(moved, "the due date follows the decree")
    assert len(told(owner, "DUE_DATE_RECOUNTED")) == 1
    state.clock.set(2018, 11, 27, 23, 59)
    assert owner.get(path).ok()["state"] == "UPDATE_DUE"
    state.clock.set(2018, 11, 28, 0, 0)
    wait_until(lambda: owner.get(path).ok()["state"] == "UPDATE_OVERDUE", "it is overdue")


def test_both_decrees_are_loaded(state: Government) -> None:
    """§6.2: what was decreed first is known, too."""
    with (
        calendar_store(state.platform.settings) as store,
        store.transaction() as transaction,
    ):
        days = {
            (each.day, each.working, each.decreed_on)
            for each in transaction.amendments.amendments("CN")
        }

    second_of_may = dt.date(2019, 5, 2)
    assert (second_of_may, True, dt.date(2018, 12, 1)) in days
    assert (second_of_may, False, dt.date(2019, 3, 22)) in days
