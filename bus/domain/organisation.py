"""Organisations (政务部门): who may publish and receive (R-001)."""

from dataclasses import dataclass
from enum import StrEnum


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
