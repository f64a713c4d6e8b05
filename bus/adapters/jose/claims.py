"""What every signed token must hold before anything that it says is believed."""

import datetime as dt
from collections.abc import Collection, Mapping
from typing import Any

import jwt
from jwt.types import Options

from bus.ports.identity import TokenRefused

#: How far the clocks of two machines may be apart.
LEEWAY = dt.timedelta(seconds=30)
#: With the largest there is no date.
_LATEST = 253_402_300_799
#: PyJWT checks the signature; times are checked here, by the clock that we are given.
_OPTIONS: Options = {
    "verify_signature": True,
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_aud": True,
    "verify_iss": True,
    "strict_aud": False,
    "enforce_minimum_key_length": True,
}


def header(token: str) -> Mapping[str, Any]:
    """Return the header of a token, unchecked; refuse what has none, or asks for extensions."""
    try:
        found = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise TokenRefused("it is no signed token") from error
    if "crit" in found:
        raise TokenRefused("it asks for an extension that nobody here knows")
    return found


def verified(
    token: str,
    key: Any,  # noqa: ANN401 (whatever the algorithm takes)
    *,
    algorithms: Collection[str],
    issuer: str,
    audience: str,
    now: dt.datetime,
) -> Mapping[str, Any]:
    """
    Return the claims of a token that `issuer` has signed with `key`, for `audience`, good now.

    Raise `TokenRefused`. `exp` and `sub` must be there.
    """
    try:
        claims = jwt.decode(
            token,
            key,
            algorithms=list(algorithms),
            issuer=issuer,
            audience=audience,
            options={**_OPTIONS, "require": ["exp", "iss", "aud", "sub"]},
        )
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
        raise TokenRefused(f"it is not what it must be: {type(error).__name__}") from error
    if not isinstance(claims.get("sub"), str) or not claims["sub"]:
        raise TokenRefused("it is about nobody")
    if time_of(claims, "exp") + LEEWAY <= now:
        raise TokenRefused("it has expired")
    for name in ("nbf", "iat"):
        if name in claims and time_of(claims, name) - LEEWAY > now:
            raise TokenRefused("it is not good yet")
    return claims


def time_of(claims: Mapping[str, Any], name: str) -> dt.datetime:
    """Return a time among the claims; raise `TokenRefused` if it is none."""
    found = claims.get(name)
    if isinstance(found, bool) or not isinstance(found, int | float) or not 0 <= found <= _LATEST:
        raise TokenRefused(f"{name} is no time")
    return dt.datetime.fromtimestamp(found, dt.UTC)
