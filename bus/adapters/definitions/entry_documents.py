"""
Entries as the API takes them: the form of the definition files, and what profiles ask for besides.

What a file must have and a draft may lack is optional here: a submission names what is missing, by
the code that the requirements give it.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

from pydantic import Field, ValidationError
from typing_extensions import override

from bus.adapters.definitions.loader import form_faults
from bus.adapters.definitions.models import (
    Code,
    GroupModel,
    LegalBasisModel,
    ResourceFile,
    ShareRuleModel,
    Text,
)
from bus.domain.entry import CatalogEntry, Origin, Secrecy, SpecialRegime
from bus.domain.organisation import Level
from bus.domain.share import ItemGroup, ItemKind, LegalBasis, Scope, ShareRule
from bus.errors import DefinitionInvalid

_ENUM = Field(strict=False)
#: One class for every audience, where the profile knows but one.
_ALL = "all"


class BasisDocument(LegalBasisModel):
    """A legal basis with the plain reason that some profiles ask for (R-055)."""

    article: str = ""
    reason: str = ""


class RuleDocument(ShareRuleModel):
    """A share rule with that basis."""

    legal_basis: BasisDocument | None = None

    @override
    def rule(self) -> ShareRule:
        """Return the domain value."""
        basis = self.legal_basis
        if basis is None:
            return super().rule()
        return replace(
            super().rule(),
            legal_basis=LegalBasis(basis.type, basis.citation, basis.article, basis.reason),
        )


class GroupDocument(GroupModel):
    """An item group; `all` stands for every audience."""

    share: dict[str, RuleDocument]  # type: ignore[assignment]
    kind: Annotated[ItemKind, _ENUM] = ItemKind.BASE

    def rules(self) -> dict[Scope, ShareRule]:
        """Return the rules by audience; a named one beats `all`."""
        rules: dict[Scope, ShareRule] = {}
        if _ALL in self.share:
            rules = dict.fromkeys(Scope, self.share[_ALL].rule())
        rules.update(
            {Scope(name): rule.rule() for name, rule in self.share.items() if name != _ALL}
        )
        return rules


class RegimeDocument(LegalBasisModel):
    """A special regime (R-037)."""

    type: str = ""
    citation: str = ""
    article: str = ""
    code: Text
    governing_rule: str = ""


class EntryDocument(ResourceFile):
    """A draft entry."""

    classification: str = ""
    format: str = ""
    usage_requirement: str = ""
    update_limit_days: int = 0
    groups: dict[str, GroupDocument]  # type: ignore[assignment]
    origin: Annotated[Origin, _ENUM] = Origin.OWN
    reporting_level: Annotated[Level | None, _ENUM] = None
    base_library: Code | None = None
    upper_resource: Code | None = None
    special_regime: RegimeDocument | None = None
    controlled_parameters: list[str] = Field(default=[])
    secrecy: Annotated[Secrecy, _ENUM] = Secrecy.NONE

    def draft(self, jurisdiction: str) -> CatalogEntry:
        """Return the domain value."""
        plain = self.model_copy(update={"groups": {}}).entry(jurisdiction)
        regime = self.special_regime
        return replace(
            plain,
            groups=tuple(
                ItemGroup(
                    name=name,
                    title_zh=group.titles.zh,
                    title_en=group.titles.en,
                    rules=group.rules(),
                    kind=group.kind,
                )
                for name, group in self.groups.items()
            ),
            origin=self.origin,
            reporting_level=self.reporting_level,
            base_library=self.base_library,
            upper_resource=self.upper_resource,
            special_regime=(
                None if regime is None else SpecialRegime(regime.code, regime.governing_rule)
            ),
            controlled_parameters=tuple(self.controlled_parameters),
            secrecy=self.secrecy,
        )


def parse_entry(document: Mapping[str, Any], jurisdiction: str) -> CatalogEntry:
    """
    Return the entry that `document` describes.

    Raise `DefinitionInvalid` naming every key that is unknown or of the wrong kind.
    """
    try:
        return EntryDocument.model_validate(dict(document)).draft(jurisdiction)
    except ValidationError as error:
        faults = [
            f"{'.'.join(str(part) for part in key)}: {message}"
            for key, message in form_faults(error)
        ]
        raise DefinitionInvalid(faults) from None
    except ValueError as error:
        raise DefinitionInvalid([str(error)]) from None
