"""Kept answers in the control plane's database."""

import datetime as dt
import uuid

from psycopg.types.json import Jsonb

from bus.adapters.postgres.pool import Postgres
from bus.adapters.postgres.statements import statements
from bus.errors import StoreUnavailable
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

_FILE = "idempotency"
#: A key may be released between our two looks at it.
_ATTEMPTS = 3


class PostgresKeptAnswers:
    """See `bus.ports.idempotency.KeptAnswers`. The database's clock counts."""

    def __init__(
        self, postgres: Postgres, *, bound: dt.timedelta = BOUND, kept: dt.timedelta = KEPT
    ) -> None:
        self._postgres = postgres
        self._times = {"bound": bound, "kept": kept}

    def claim(self, request: RequestKey, fingerprint: bytes) -> Claimed:
        claim = Claim(request=request, id=uuid.uuid4())
        names = {**_names(request), **self._times, "claim": claim.id, "fingerprint": fingerprint}
        for _ in range(_ATTEMPTS):
            with self._postgres.transaction() as connection:
                if connection.execute(statements(_FILE)["claim"], names).fetchone():
                    return claim
                found = connection.execute(statements(_FILE)["found"], names).fetchone()
            if found is not None:
                return _outcome(fingerprint, *found)
        raise StoreUnavailable("the key is taken and released again and again")

    def keep(self, claim: Claim, answer: KeptAnswer) -> None:
        parameters = {
            **_names(claim.request),
            "claim": claim.id,
            "status": answer.status,
            "headers": Jsonb(dict(answer.headers)),
            "body": answer.body,
        }
        with self._postgres.transaction() as connection:
            connection.execute(statements(_FILE)["keep"], parameters)

    def release(self, claim: Claim) -> None:
        parameters = {**_names(claim.request), "claim": claim.id}
        with self._postgres.transaction() as connection:
            connection.execute(statements(_FILE)["release"], parameters)

    def forget(self) -> int:
        with self._postgres.transaction() as connection:
            return connection.execute(statements(_FILE)["forget"], self._times).rowcount


def _names(request: RequestKey) -> dict[str, object]:
    return {"account": request.account, "operation": request.operation, "key": request.key}


def _outcome(
    asked: bytes, fingerprint: bytes, status: int | None, headers: dict[str, str], body: bytes
) -> Claimed:
    if fingerprint != asked:
        return KeyReused()
    if status is None:
        return InProgress()
    return KeptAnswer(status=status, headers=headers, body=body)
