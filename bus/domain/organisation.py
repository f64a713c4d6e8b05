"""Organisations (政务部门): who may publish and receive (R-001)."""

from dataclasses import dataclass
from enum import StrEnum

from bus.domain.pseudonyms import FIRST_VERSION


class Level(StrEnum):
    """The administrative level of an organisation."""

    NATIONAL = "national"
    PROVINCIAL = "provincial"
    CITY = "city"
    COUNTY = "county"
    TOWNSHIP = "township"
    AFFILIATED = "affiliated"


class Zone(StrEnum):
    """The network (内网/外网) that an organisation's systems are attached to; not the audience."""

    INTERNAL = "internal"
    EXTERNAL = "external"


@dataclass(frozen=True, slots=True, kw_only=True)
class Organisation:
    """A registered organisation. An inactive one can neither publish nor receive."""

    code: str
    jurisdiction: str
    title_zh: str
    title_en: str
    level: Level
    zone: Zone
    active: bool = True
    kind: str = ""
    """Which kind of body it is, in the words of the profile (R-002)."""
    outside: bool = False
    """
    Outside the organisation group (部外), registered so that it can ask: in profiles with two
    audiences the external rules hold for it (R-051).
    """
    pseudonym_key: int = FIRST_VERSION
    """The version of the key of its pseudonyms; another one is other pseudonyms in new views."""
