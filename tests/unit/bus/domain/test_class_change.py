"""Unit tests of `bus.domain.class_change`."""

import datetime as dt
from dataclasses import replace

import pytest

from bus.domain.class_change import (
    ClassChange,
    Grace,
    GrantAction,
    GrantStep,
    class_changes,
    effect_on_grant,
)
from bus.domain.entry import CatalogEntry
from bus.domain.share import Purpose, Scope, ShareClass, ShareRule
from bus.domain.view import Treatment
from tests import builders

NO_GRACE = Grace()
LAST_DAY = dt.date(2026, 1, 19)
TEN_DAYS = Grace(to_conditional=LAST_DAY)
KEEP = Treatment.KEEP


def entry(base: ShareRule | None, income: ShareRule | None = None) -> CatalogEntry:
    """Return an entry of the keys and `name` in one group, `income` in another."""
    rest = base if income is None else income
    return builders.entry(
        groups=[
            replace(builders.item_group(), rules={} if base is None else {Scope.INTERNAL: base}),
            replace(
                builders.item_group("money"), rules={} if rest is None else {Scope.INTERNAL: rest}
            ),
        ],
        items=[
            builders.key_item("code"),
            builders.item("name"),
            builders.item("income", group="money"),
        ],
    )


FREE = builders.unconditional()
ON_CONDITION = builders.conditional()
CLOSED = builders.not_shared()
DIRECT = builders.grant(items=("code", "name", "income"))
DECIDED = replace(DIRECT, decided_by=builders.PROVIDER)


def suspended(after: dt.date | None) -> GrantStep:
    return GrantStep(
        action=GrantAction.SUSPEND,
        after=after,
        lost=frozenset({"code", "name", "income"}),
        treatments={},
    )


def test_a_change_is_known_by_scope_and_item() -> None:
    """R-063: which items are tightened, which loosened."""
    changes = class_changes(entry(FREE, ON_CONDITION), entry(ON_CONDITION, FREE))

    assert {(change.item, change.tightened) for change in changes} == {
        ("code", True),
        ("name", True),
        ("income", False),
    }
    assert {change.scope for change in changes} == {Scope.INTERNAL}
    assert class_changes(entry(FREE), entry(FREE)) == ()


@pytest.mark.parametrize(
    ("before", "after", "tightened"),
    [
        (FREE, CLOSED, True),
        (ON_CONDITION, CLOSED, True),
        (CLOSED, None, True),
        (None, CLOSED, False),
        (CLOSED, FREE, False),
    ],
)
def test_not_to_offer_an_item_is_stricter_than_any_class(
    before: ShareRule | None, after: ShareRule | None, *, tightened: bool
) -> None:
    changes = class_changes(entry(before), entry(after))

    assert [change.tightened for change in changes] == [tightened] * 3


def test_an_item_that_the_new_version_lacks_is_no_longer_offered() -> None:
    shorter = builders.entry(items=[builders.key_item("code")])
    longer = builders.entry(items=[builders.key_item("code"), builders.item("name")])

    assert class_changes(longer, shorter) == (
        ClassChange(scope=Scope.INTERNAL, item="name", before=ShareClass.UNCONDITIONAL, after=None),
    )


@pytest.mark.parametrize(("grace", "after"), [(NO_GRACE, None), (TEN_DAYS, LAST_DAY)])
def test_a_direct_grant_on_what_became_conditional_is_suspended(
    grace: Grace, after: dt.date | None
) -> None:
    """R-063, S-11.2: at once without grace, else delivery goes on until the grace ends."""
    assert effect_on_grant(DIRECT, entry(ON_CONDITION), grace) == (suspended(after),)


def test_a_grant_that_the_provider_decided_goes_on_when_a_class_becomes_conditional() -> None:
    """R-063: grants that still qualify are kept."""
    assert effect_on_grant(DECIDED, entry(ON_CONDITION), NO_GRACE) == ()


def test_a_purpose_that_is_no_longer_allowed_ends_a_grant() -> None:
    """R-036: a provider can adjust audience and uses; live subscriptions follow."""
    narrower = builders.conditional(purposes=[Purpose.DATA_VERIFICATION])

    assert effect_on_grant(DECIDED, entry(narrower), NO_GRACE) == (suspended(None),)


def test_what_becomes_not_shared_is_lost_at_once_although_the_provider_had_decided() -> None:
    """R-063, §2.4: no grace for not-shared."""
    assert effect_on_grant(DECIDED, entry(CLOSED), TEN_DAYS) == (suspended(None),)


def test_a_grant_is_narrowed_where_something_is_left() -> None:
    """R-063: tightening suspends or narrows grants that no longer qualify."""
    assert effect_on_grant(DIRECT, entry(FREE, ON_CONDITION), TEN_DAYS) == (
        GrantStep(
            action=GrantAction.NARROW,
            after=LAST_DAY,
            lost=frozenset({"income"}),
            treatments={"code": KEEP, "name": KEEP},
        ),
    )


def test_without_its_key_items_a_grant_delivers_nothing() -> None:
    """R-063: a record cannot be identified without its key, so the rest stops with it."""
    (step,) = effect_on_grant(DIRECT, entry(ON_CONDITION, FREE), NO_GRACE)

    assert (step.action, step.lost, step.treatments) == (
        GrantAction.SUSPEND,
        frozenset({"code", "name"}),
        {},
    )


def test_items_with_different_grace_go_one_after_the_other() -> None:
    """R-063: income is not shared at once; the rest stays until its grace ends."""
    steps = effect_on_grant(DIRECT, entry(ON_CONDITION, CLOSED), TEN_DAYS)

    assert [(step.action, step.after, step.lost) for step in steps] == [
        (GrantAction.NARROW, None, frozenset({"income"})),
        (GrantAction.SUSPEND, LAST_DAY, frozenset({"code", "name"})),
    ]


def test_a_grant_without_the_items_concerned_goes_on() -> None:
    without = replace(DIRECT, treatments={"code": KEEP, "income": Treatment.OMIT})

    assert effect_on_grant(without, entry(FREE, CLOSED), NO_GRACE) == ()


def test_a_loosened_class_takes_nothing_from_a_grant() -> None:
    """R-063."""
    assert effect_on_grant(DECIDED, entry(FREE), NO_GRACE) == ()


def test_a_grace_that_began_is_not_longer_for_a_further_version() -> None:
    """R-063: who publishes once more in the time of grace does not begin it anew."""
    earlier = LAST_DAY - dt.timedelta(days=5)
    begun = replace(DIRECT, graces=dict.fromkeys(("code", "name", "income"), earlier))

    assert effect_on_grant(begun, entry(ON_CONDITION), TEN_DAYS) == (suspended(earlier),)
    assert effect_on_grant(begun, entry(CLOSED), TEN_DAYS) == (suspended(None),)
    assert effect_on_grant(begun, entry(FREE), TEN_DAYS) == ()


def test_when_one_grace_ends_another_goes_on() -> None:
    """R-063: only the time has passed; what has no grace left ends at once."""
    begun = replace(DIRECT, graces={"name": LAST_DAY, "code": LAST_DAY})

    (narrowed, rest) = effect_on_grant(begun, entry(ON_CONDITION), None)

    assert (narrowed.after, narrowed.lost) == (None, frozenset({"income"}))
    assert (rest.after, rest.action) == (LAST_DAY, GrantAction.SUSPEND)
