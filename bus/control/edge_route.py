"""
What every route of our own resources shares.

`APIRouter(prefix="/v1/…", route_class=EdgeRoute)` is for routes that ask for a token: each gets the
account's rate limit, and each POST its `Idempotency-Key`.
"""

from collections.abc import Callable, Sequence
from typing import Any

from fastapi import Depends, params
from fastapi.routing import APIRoute

from bus.control.idempotency import claim_key
from bus.control.rate_limits import limit_account


class EdgeRoute(APIRoute):
    """A route behind the shared edge."""

    def __init__(
        self,
        path: str,
        endpoint: Callable[..., Any],
        *,
        dependencies: Sequence[params.Depends] | None = None,
        methods: set[str] | list[str] | None = None,
        **options: Any,  # noqa: ANN401 (what FastAPI hands on)
    ) -> None:
        shared = [limit_account]
        if "POST" in (methods or ()):
            shared.append(Depends(claim_key))
        super().__init__(
            path,
            endpoint,
            dependencies=[*(dependencies or ()), *shared],
            methods=methods,
            **options,
        )
