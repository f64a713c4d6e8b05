"""Unit tests of `bus.domain.share`."""

import pytest

from bus.domain.share import Purpose, ShareClass, ShareRule
from tests import builders


def test_there_are_three_share_classes() -> None:
    """R-050: the set of classes of most profiles; the domain knows no other."""
    assert {str(each) for each in ShareClass} == {"UNCONDITIONAL", "CONDITIONAL", "NOT_SHARED"}


def test_the_uses_are_the_coded_ones() -> None:
    """R-057: administrative basis, work reference, data verification, collaboration."""
    assert {str(each) for each in Purpose} == {
        "ADMINISTRATIVE_BASIS",
        "WORK_REFERENCE",
        "DATA_VERIFICATION",
        "BUSINESS_COLLABORATION",
    }


@pytest.mark.parametrize(
    "rule",
    [builders.unconditional(), builders.conditional(), builders.not_shared()],
    ids=lambda rule: str(rule.share_class),
)
def test_a_complete_rule_of_each_class_has_no_fault(rule: ShareRule) -> None:
    """R-052."""
    assert list(rule.faults()) == []


@pytest.mark.parametrize(
    ("rule", "fault"),
    [
        (builders.conditional(condition=None), "a conditional class needs `condition`"),
        (builders.conditional(condition=""), "a conditional class needs `condition`"),
        (builders.conditional(audience=None), "a conditional class needs `audience`"),
        (builders.conditional(purposes=()), "a conditional class needs `purposes`"),
        (
            ShareRule(share_class=ShareClass.NOT_SHARED),
            "a not-shared class needs `legal_basis` (BASIS_REQUIRED)",
        ),
    ],
)
def test_a_stricter_class_without_what_it_demands_is_at_fault(rule: ShareRule, fault: str) -> None:
    """R-052, R-053, R-056."""
    assert list(rule.faults()) == [fault]


def test_everything_that_is_missing_is_named_at_once() -> None:
    """R-056: condition, audience and uses."""
    bare = ShareRule(share_class=ShareClass.CONDITIONAL)

    assert len(list(bare.faults())) == 3
