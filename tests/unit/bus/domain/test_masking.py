"""Unit tests of `bus.domain.masking`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.domain.masking import partly


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("", ""),
        ("王", "*"),
        ("张三", "张*"),
        ("王小明", "王*明"),
        ("海南省海口", "海***口"),
        ("1234567", "12***67"),
        ("13812341234", "138****1234"),
        ("110101199003071234", "110***********1234"),
        ("a😀b", "a*b"),
    ],
)
def test_the_first_and_last_letters_are_kept(text: str, masked: str) -> None:
    """design.md §5: 脱敏, 138****1234."""
    assert partly(text) == masked


@given(st.text(st.characters(exclude_characters="*"), min_size=1))
def test_something_is_hidden_and_nothing_is_moved(text: str) -> None:
    masked = partly(text)

    assert len(masked) == len(text)
    assert "*" in masked
    assert all(shown in ("*", letter) for shown, letter in zip(masked, text, strict=True))
