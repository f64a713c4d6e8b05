"""Ids that sort by time, so that pages are in the order in which things came to be."""

import datetime as dt
import secrets


def new_id(prefix: str, now: dt.datetime) -> str:
    """Return an id that nothing else has: a code (`bus.domain.names.is_code`), in order of time."""
    milliseconds = int(now.timestamp() * 1000)
    return f"{prefix}-{milliseconds:011x}{secrets.token_hex(5)}"
