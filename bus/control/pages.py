"""
Pages of a list: a bounded number of items, and a cursor to what follows them.

A cursor is the sort key of the last item sent, bound to the list (path and filters) that it came
from. It is checked, not signed: a forged one only begins elsewhere in a list that its caller may
read anyway, and its parts go to the database as parameters.
"""

import base64
import binascii
import datetime as dt
import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Annotated, Generic, TypeAlias, TypeVar

from fastapi import Depends, Query, Request
from pydantic import BaseModel, Field

from bus.errors import Refused

MAX_LIMIT = 200
DEFAULT_LIMIT = 50
MAX_CURSOR_CHARACTERS = 1024
_MAX_INT = (1 << 63) - 1
_LIST_CHARACTERS = 12
_OWN_PARAMETERS = ("after", "limit")

KeyPart: TypeAlias = str | int | dt.datetime
Item = TypeVar("Item")
Row = TypeVar("Row")


class Page(BaseModel, Generic[Item]):
    """Some items of a list."""

    items: list[Item]
    next: str | None = Field(description="cursor for `after`; null on the last page")


class CursorInvalid(Refused):
    """The cursor is not one that this list gave."""

    code = "CURSOR_INVALID"


class PageQuery:
    """The page that a caller asks for; as a dependency it reads `limit` and `after`."""

    def __init__(
        self,
        request: Request,
        limit: Annotated[
            int, Query(ge=1, le=MAX_LIMIT, description="most items on a page")
        ] = DEFAULT_LIMIT,
        after: Annotated[
            str | None, Query(description="`next` of the page before; the first page without it")
        ] = None,
    ) -> None:
        self.limit = limit
        self._after = after
        self._list = _list_name(request)

    @property
    def fetch(self) -> int:
        """How many rows to look for: one more than the page holds tells whether another follows."""
        return self.limit + 1

    def after(self, *kinds: type[KeyPart]) -> tuple[KeyPart, ...] | None:
        """
        Return the sort key to begin after, None on the first page.

        Raise `CursorInvalid` unless it was made by this list and its parts are of these kinds.
        """
        return None if self._after is None else _decoded(self._after, self._list, kinds)

    def page(
        self,
        rows: Sequence[Row],
        *,
        key: Callable[[Row], tuple[KeyPart, ...]],
        item: Callable[[Row], Item],
    ) -> Page[Item]:
        """Return the page of up to `fetch` rows that were found, in order."""
        shown = rows[: self.limit]
        following = _encoded(self._list, key(shown[-1])) if len(rows) > len(shown) else None
        return Page(items=[item(row) for row in shown], next=following)


#: A parameter of this type makes a route answer in pages.
Paged = Annotated[PageQuery, Depends()]


def _list_name(request: Request) -> str:
    """Return what is the same on all pages of a list and of no other list."""
    filters = sorted(
        pair for pair in request.query_params.multi_items() if pair[0] not in _OWN_PARAMETERS
    )
    text = json.dumps([request.url.path, filters])
    return hashlib.sha256(text.encode()).hexdigest()[:_LIST_CHARACTERS]


def _encoded(of_list: str, key: tuple[KeyPart, ...]) -> str:
    parts = [part.isoformat() if isinstance(part, dt.datetime) else part for part in key]
    text = json.dumps([of_list, *parts], ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def _decoded(cursor: str, of_list: str, kinds: Sequence[type[KeyPart]]) -> tuple[KeyPart, ...]:
    refusal = CursorInvalid("this cursor is not of this list: begin without `after`")
    if len(cursor) > MAX_CURSOR_CHARACTERS or not cursor.isascii():
        raise refusal
    padded = cursor + "=" * (-len(cursor) % 4)
    try:
        named, *parts = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        if named != of_list:
            raise refusal
        return tuple(_part(part, kind) for part, kind in zip(parts, kinds, strict=True))
    except (binascii.Error, ValueError, TypeError, RecursionError):
        raise refusal from None


def _part(part: object, kind: type[KeyPart]) -> KeyPart:
    """Return a part of a key as the kind that it must be; else raise `ValueError`."""
    if kind is dt.datetime and isinstance(part, str):
        time = dt.datetime.fromisoformat(part)
        if time.tzinfo is None:
            raise ValueError("a time without a zone")
        return time
    if kind is int and type(part) is int and abs(part) <= _MAX_INT:
        return part
    # Postgres takes no NUL, and encode() refuses half of a surrogate pair.
    if kind is str and isinstance(part, str) and b"\x00" not in part.encode():
        return part
    raise ValueError("not of its kind")
