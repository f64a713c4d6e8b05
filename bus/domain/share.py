"""Share classes (共享类型), per audience scope and item group (R-050 to R-060)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum


class ShareClass(StrEnum):
    """How freely a group of items is shared."""

    UNCONDITIONAL = "UNCONDITIONAL"
    """无条件共享: to everyone in the scope, for a stated purpose."""
    CONDITIONAL = "CONDITIONAL"
    """有条件共享: to some, or in part, as the provider decides."""
    NOT_SHARED = "NOT_SHARED"
    """不予共享: to nobody without consultation; needs a legal basis."""


class Scope(StrEnum):
    """The audience (部内/部外); not to be confused with the network zone."""

    INTERNAL = "internal"
    EXTERNAL = "external"


class Purpose(StrEnum):
    """What received data may be used for (R-057)."""

    ADMINISTRATIVE_BASIS = "ADMINISTRATIVE_BASIS"
    """行政依据"""
    WORK_REFERENCE = "WORK_REFERENCE"
    """工作参考"""
    DATA_VERIFICATION = "DATA_VERIFICATION"
    """数据校核"""
    BUSINESS_COLLABORATION = "BUSINESS_COLLABORATION"
    """业务协同"""


@dataclass(frozen=True, slots=True)
class LegalBasis:
    """Why a group of items is not shared (R-053)."""

    type: str
    citation: str
    article: str
    reason: str = ""
    """The plain reason, where the profile asks for one (R-055)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareRule:
    """The share class of an item group for one scope, with what that class demands."""

    share_class: ShareClass
    condition: str | None = None
    audience: str | None = None
    purposes: frozenset[Purpose] = frozenset()
    legal_basis: LegalBasis | None = None

    def faults(self) -> Iterator[str]:
        """Yield what is missing for the class: conditions (R-056), a legal basis (R-053)."""
        if self.share_class is ShareClass.CONDITIONAL:
            if not self.condition:
                yield "a conditional class needs `condition`"
            if not self.audience:
                yield "a conditional class needs `audience`"
            if not self.purposes:
                yield "a conditional class needs `purposes`"
        if self.share_class is ShareClass.NOT_SHARED and self.legal_basis is None:
            yield "a not-shared class needs `legal_basis` (BASIS_REQUIRED)"


class ItemKind(StrEnum):
    """What a group of items is in a resource of a base library (R-059, R-060)."""

    BASE = "base"
    """基础信息项: the profile may force their class."""
    BUSINESS = "business"
    """业务信息项"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemGroup:
    """Items of one resource that share one class: base items, business items, … (R-060)."""

    name: str
    title_zh: str
    title_en: str
    rules: Mapping[Scope, ShareRule]
    kind: ItemKind = ItemKind.BASE
    """Counts in a base library alone, where only a group that says so is no base group."""
