"""Kept answers in memory."""

import datetime as dt
import threading
import uuid
from dataclasses import dataclass

from bus.ports import Clock
from bus.ports.idempotency import (
    BOUND,
    KEPT,
    Claim,
    Claimed,
    InProgress,
    KeptAnswer,
    KeyReused,
    RequestKey,
)


@dataclass(slots=True)
class _Row:
    claim: Claim
    fingerprint: bytes
    claimed_at: dt.datetime
    answer: KeptAnswer | None = None


class MemoryKeptAnswers:
    """See `bus.ports.idempotency.KeptAnswers`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rows: dict[RequestKey, _Row] = {}
        self._lock = threading.Lock()

    def claim(self, request: RequestKey, fingerprint: bytes) -> Claimed:
        with self._lock:
            row = self._rows.get(request)
            if row is not None and not self._is_free(row, fingerprint):
                if row.fingerprint != fingerprint:
                    return KeyReused()
                return row.answer or InProgress()
            claim = Claim(request=request, id=uuid.uuid4())
            self._rows[request] = _Row(claim, fingerprint, self._clock.now())
            return claim

    def keep(self, claim: Claim, answer: KeptAnswer) -> None:
        with self._lock:
            row = self._rows.get(claim.request)
            if row is not None and row.claim == claim and row.answer is None:
                row.answer = answer

    def release(self, claim: Claim) -> None:
        with self._lock:
            row = self._rows.get(claim.request)
            if row is not None and row.claim == claim and row.answer is None:
                del self._rows[claim.request]

    def forget(self) -> int:
        with self._lock:
            over = [request for request, row in self._rows.items() if self._age(row) > KEPT]
            for request in over:
                del self._rows[request]
            return len(over)

    def _is_free(self, row: _Row, fingerprint: bytes) -> bool:
        left = row.answer is None and row.fingerprint == fingerprint and self._age(row) > BOUND
        return left or self._age(row) > KEPT

    def _age(self, row: _Row) -> dt.timedelta:
        return self._clock.now() - row.claimed_at
