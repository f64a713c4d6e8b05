"""
What texts of the catalog are found by: tokens of Chinese and Latin, without a dictionary.

Chinese has no spaces, so a text is known by its characters and by its pairs of neighbours; whoever
looks for 婚姻登记 looks for the pairs 婚姻, 姻登, 登记. A Latin word is known by its beginnings, so
that it is found while it is being typed.
"""

import unicodedata
from collections.abc import Iterable, Iterator

#: The most characters of a text that are looked at, and the most tokens that it is known by.
MAX_TEXT_CHARACTERS = 20_000
MAX_TOKENS = 4_000
#: A question is short; what is beyond this does not narrow it.
MAX_QUERY_CHARACTERS = 200
MAX_QUERY_TOKENS = 32
#: Beginnings of words: shorter ones would find everything, longer ones are the word.
MIN_PREFIX = 2
MAX_PREFIX = 12

#: Han (with its extensions and 々 〇), kana, hangul: what is written without spaces, or may be.
_UNSPACED = (
    (0x3005, 0x3007),
    (0x3040, 0x30FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xAC00, 0xD7AF),
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)


def document_tokens(texts: Iterable[str]) -> tuple[str, ...]:
    """Return what something with these texts is found by, in order, each once."""
    return _bounded(_document_tokens(texts), MAX_TOKENS)


def query_tokens(question: str) -> tuple[str, ...]:
    """Return the tokens all of which a text must have; none if the question asks for nothing."""
    return _bounded(_query_tokens(question[:MAX_QUERY_CHARACTERS]), MAX_QUERY_TOKENS)


def _bounded(tokens: Iterator[str], most: int) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for token in tokens:
        if len(found) == most:
            break
        found[token] = None
    return tuple(found)


def _document_tokens(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        for run in _runs(text[:MAX_TEXT_CHARACTERS]):
            if _is_unspaced(run[0]):
                yield from run
                yield from _pairs(run)
            else:
                word = run[:MAX_PREFIX]
                yield word
                yield from (word[:length] for length in range(MIN_PREFIX, len(word)))


def _query_tokens(question: str) -> Iterator[str]:
    for run in _runs(question):
        if not _is_unspaced(run[0]):
            yield run[:MAX_PREFIX]
        elif len(run) == 1:
            yield run
        else:
            yield from _pairs(run)


def _pairs(run: str) -> Iterator[str]:
    return (run[start : start + 2] for start in range(len(run) - 1))


def _runs(text: str) -> Iterator[str]:
    """Split a text into words, and into runs of characters that are written without spaces."""
    run = ""
    for character in unicodedata.normalize("NFKC", text).lower():
        if not character.isalnum() and not _is_unspaced(character):
            if run:
                yield run
            run = ""
        elif run and _is_unspaced(character) != _is_unspaced(run[-1]):
            yield run
            run = character
        else:
            run += character
    if run:
        yield run


def _is_unspaced(character: str) -> bool:
    return any(first <= ord(character) <= last for first, last in _UNSPACED)
