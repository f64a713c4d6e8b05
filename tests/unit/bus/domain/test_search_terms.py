"""Unit tests of `bus.domain.search_terms`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.domain.search_terms import (
    MAX_QUERY_CHARACTERS,
    MAX_QUERY_TOKENS,
    MAX_TEXT_CHARACTERS,
    MAX_TOKENS,
    document_tokens,
    query_tokens,
)


def test_chinese_is_known_by_its_characters_and_pairs() -> None:
    assert document_tokens(["婚姻登记"]) == ("婚", "姻", "登", "记", "婚姻", "姻登", "登记")
    assert query_tokens("婚姻登记") == ("婚姻", "姻登", "登记")
    assert query_tokens("婚") == ("婚",)


def test_a_word_is_known_by_its_beginnings() -> None:
    assert set(document_tokens(["Permit"])) == {"pe", "per", "perm", "permi", "permit"}
    assert query_tokens("PERM") == ("perm",)
    assert set(document_tokens(["a 7"])) == {"a", "7"}


def test_a_long_word_is_found_by_its_first_dozen_characters() -> None:
    code = "91460000MA5T8XXXX0"

    assert query_tokens(code) == ("91460000ma5t",)
    assert set(query_tokens(code)) <= set(document_tokens([f"代码{code}有效"]))


@pytest.mark.parametrize(
    ("question", "tokens"),
    [
        ("", ()),
        (" ，。！ ", ()),
        ("婚姻，登记", ("婚姻", "登记")),
        ("GB/T 2260行政区划", ("gb", "t", "2260", "行政", "政区", "区划")),
        ("ＧＢ２２６０", ("gb2260",)),
        ("ｶﾞｽ", ("ガス",)),
        ("㈱", ("株",)),
        ("𠮷野", ("𠮷野",)),
        ("Straße", ("straße",)),
        ("\x00婚\x00姻", ("婚", "姻")),
        ("'; DROP TABLE onesource.resource; --", ("drop", "table", "onesource", "resource")),
        ("% _ * | & !", ()),
    ],
)
def test_what_is_asked_for(question: str, tokens: tuple[str, ...]) -> None:
    """Issue: SQL injection."""
    assert query_tokens(question) == tokens


def test_tokens_are_bounded() -> None:
    many = "".join(chr(0x4E00 + number) for number in range(20_000))

    assert len(document_tokens([many])) == MAX_TOKENS
    assert len(query_tokens(many)) == MAX_QUERY_TOKENS
    assert query_tokens(" " * MAX_QUERY_CHARACTERS + "婚") == ()
    assert document_tokens([" " * MAX_TEXT_CHARACTERS + "婚"]) == ()


@given(
    before=st.text(max_size=20),
    text=st.text("婚姻登记信息あ", min_size=1, max_size=12),
    after=st.text(max_size=20),
)
def test_every_part_of_a_chinese_text_is_found(before: str, text: str, after: str) -> None:
    assert set(query_tokens(text)) <= set(document_tokens([before + text + after]))


@given(text=st.text(max_size=60))
def test_a_text_is_found_by_itself(text: str) -> None:
    assert set(query_tokens(text)) <= set(document_tokens([text]))


@given(text=st.text(max_size=300))
def test_no_token_has_what_a_database_refuses(text: str) -> None:
    tokens = (*document_tokens([text]), *query_tokens(text))

    assert len(set(document_tokens([text]))) == len(document_tokens([text]))
    assert not any("\x00" in token or token == "" for token in tokens)
    assert all(len(token) <= 12 for token in tokens)
