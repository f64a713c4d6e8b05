"""What makes a request that is sent twice take effect once (`Idempotency-Key`)."""

import datetime as dt
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

#: How long an answer is kept.
KEPT = dt.timedelta(hours=24)
#: How long a request may be carried out; after that its process is taken for dead.
BOUND = dt.timedelta(seconds=120)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestKey:
    """What tells requests apart: who asks, for what, under which key of their own."""

    account: str
    operation: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The right to carry a request out."""

    request: RequestKey
    id: uuid.UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptAnswer:
    """What a request was answered with."""

    status: int
    headers: Mapping[str, str]
    body: bytes | None
    """None: it was given, but not kept."""


@dataclass(frozen=True, slots=True)
class InProgress:
    """The request is being carried out."""


@dataclass(frozen=True, slots=True)
class KeyReused:
    """The key belongs to another request."""


Claimed: TypeAlias = Claim | KeptAnswer | InProgress | KeyReused


class KeptAnswers(Protocol):
    """Answers by request key, for all replicas. Every method may raise `StoreUnavailable`."""

    def claim(self, request: RequestKey, fingerprint: bytes) -> Claimed:
        """
        Take the right to carry a request out, or say why not.

        At most one caller gets a claim, until it is kept or released or older than `BOUND`.
        """
        ...

    def keep(self, claim: Claim, answer: KeptAnswer) -> None:
        """Answer the request for good; without effect if the claim was lost."""
        ...

    def release(self, claim: Claim) -> None:
        """Let the request be carried out anew; without effect if the claim was lost."""
        ...

    def forget(self) -> int:
        """Remove what is older than `KEPT`; return how many."""
        ...
