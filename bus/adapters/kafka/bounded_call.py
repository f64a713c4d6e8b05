"""Calls on librdkafka that have no time-out of their own, or do not keep to it."""

import threading
from collections.abc import Callable
from concurrent.futures import Future


def in_time(call: Callable[[], object], seconds: float) -> None:
    """
    Make `call`; raise `TimeoutError` if it has not come back after `seconds`.

    Its thread is left behind then, and keeps alive what it works on for as long as it needs it.
    Whoever asked must not use that again: it gets a client of its own anew.
    """
    outcome: Future[None] = Future()

    def run() -> None:
        try:
            call()
        except BaseException as error:  # noqa: BLE001 (it is raised where it was asked for)
            outcome.set_exception(error)
        else:
            outcome.set_result(None)

    threading.Thread(target=run, name="bounded-call", daemon=True).start()
    try:
        outcome.result(seconds)
    except TimeoutError:
        if outcome.done():
            raise
        raise TimeoutError(f"no answer and no error in {seconds:g} s") from None
