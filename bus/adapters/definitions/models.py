"""
The shape of the definition files, and how they become domain values.

pydantic stays at this edge: unknown keys are refused, nothing is coerced, and every fault names its
key. What the values mean is checked by the domain (`CatalogEntry.faults`, `grant_faults`).
"""

import datetime as dt
from typing import Annotated, TypeAlias

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from bus.domain import items as item_types
from bus.domain.entry import CatalogEntry, Category, DeliveryMode, Origin
from bus.domain.grant import Grant
from bus.domain.items import DataItem, ItemType
from bus.domain.organisation import Level, Organisation, Zone
from bus.domain.pseudonyms import FIRST_VERSION
from bus.domain.share import (
    ItemGroup,
    ItemKind,
    LegalBasis,
    Purpose,
    Scope,
    ShareClass,
    ShareRule,
)
from bus.domain.view import Treatment

Text = Annotated[str, Field(min_length=1, max_length=2000)]
Code = Annotated[str, Field(min_length=1, max_length=48)]
_COMPLEX = "decimal, enum, fixed, array, map, record, nullable"
# Enumerations are written as their values; everything else is taken as it stands.
_ENUM = Field(strict=False)


def _form(value: object) -> str:
    """Tell by which branch of a union `value` is judged; no key of a file is in brackets."""
    return "(mapping)" if isinstance(value, dict | BaseModel) else "(plain)"


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Titles(_Model):
    """A title in both languages."""

    zh: Text
    en: Text


class OrganisationModel(_Model):
    """One entry of `organisations.yaml`."""

    code: Code
    titles: Titles
    level: Annotated[Level, _ENUM]
    zone: Annotated[Zone, _ENUM]
    active: bool = True
    pseudonym_key: Annotated[int, Field(ge=FIRST_VERSION)] = FIRST_VERSION

    def organisation(self, jurisdiction: str) -> Organisation:
        """Return the domain value."""
        return Organisation(
            code=self.code,
            jurisdiction=jurisdiction,
            title_zh=self.titles.zh,
            title_en=self.titles.en,
            level=self.level,
            zone=self.zone,
            active=self.active,
            pseudonym_key=self.pseudonym_key,
        )


class OrganisationsFile(_Model):
    """The file `organisations.yaml`."""

    jurisdiction: Code
    organisations: list[OrganisationModel]


class LegalBasisModel(_Model):
    """Why a group is not shared."""

    type: Text
    citation: Text
    article: Text
    reason: str = ""


class ShareRuleModel(_Model):
    """The class of a group for one scope."""

    share_class: Annotated[ShareClass, _ENUM] = Field(alias="class")
    condition: Text | None = None
    audience: Text | None = None
    purposes: list[Annotated[Purpose, _ENUM]] = []
    legal_basis: LegalBasisModel | None = None

    def rule(self) -> ShareRule:
        """Return the domain value."""
        basis = None
        if self.legal_basis is not None:
            basis = LegalBasis(
                self.legal_basis.type,
                self.legal_basis.citation,
                self.legal_basis.article,
                self.legal_basis.reason,
            )
        return ShareRule(
            share_class=self.share_class,
            condition=self.condition,
            audience=self.audience,
            purposes=frozenset(self.purposes),
            legal_basis=basis,
        )


class GroupModel(_Model):
    """An item group."""

    titles: Titles
    share: dict[Annotated[Scope, _ENUM], ShareRuleModel]
    kind: Annotated[ItemKind, _ENUM] = ItemKind.BASE


class DecimalModel(_Model):
    """`{decimal: {precision: 12, scale: 2}}`."""

    precision: int
    scale: int


class FieldModel(_Model):
    """A field of a record type."""

    name: str
    type: "TypeModel"
    nullable: bool = False


class ComplexTypeModel(_Model):
    """A type with parameters: exactly one of these keys (`fields` goes with `record`)."""

    decimal: DecimalModel | None = None
    enum: list[str] | None = None
    fixed: int | None = None
    array: "TypeModel | None" = None
    map: "TypeModel | None" = None
    record: str | None = None
    fields: list[FieldModel] | None = None
    nullable: "TypeModel | None" = None

    @model_validator(mode="after")
    def _one_type(self) -> "ComplexTypeModel":
        given = sorted(key for key, value in self if value is not None and key != "fields")
        if len(given) != 1:
            raise ValueError(f"a type needs exactly one of {_COMPLEX}, not {given}")
        if (self.fields is not None) != (self.record is not None):
            raise ValueError("`record` and `fields` go together")
        return self


TypeModel: TypeAlias = Annotated[
    Annotated[str, Tag("(plain)")] | Annotated[ComplexTypeModel, Tag("(mapping)")],
    Discriminator(_form),
]


class ItemModel(_Model):
    """A data item."""

    name: str
    titles: Titles
    type: TypeModel
    nullable: bool = False
    key: bool = False
    group: str
    element: Text | None = None
    reference: bool = False

    def item(self) -> DataItem:
        """Return the domain value."""
        item_type = item_type_of(self.type, self.name)
        return DataItem(
            name=self.name,
            title_zh=self.titles.zh,
            title_en=self.titles.en,
            type=item_types.Nullable(item_type) if self.nullable else item_type,
            group=self.group,
            key=self.key,
            element=self.element,
            reference=self.reference,
        )


class ResourceFile(_Model):
    """A file that defines one information resource."""

    resource: Code
    titles: Titles
    provider: Code
    category: Annotated[Category, _ENUM]
    classification: Text
    format: Text
    update_limit_days: int
    usage_requirement: Text
    delivery_modes: list[Annotated[DeliveryMode, _ENUM]]
    generation: int = 1
    partitions: int = 1
    origin: Annotated[Origin, _ENUM] = Origin.OWN
    base_library: Text | None = None
    controlled_parameters: list[Text] = []
    groups: dict[str, GroupModel]
    items: list[ItemModel]

    def entry(self, jurisdiction: str) -> CatalogEntry:
        """Return the domain value."""
        return CatalogEntry(
            resource=self.resource,
            jurisdiction=jurisdiction,
            provider=self.provider,
            title_zh=self.titles.zh,
            title_en=self.titles.en,
            category=self.category,
            classification=self.classification,
            format=self.format,
            update_limit_days=self.update_limit_days,
            usage_requirement=self.usage_requirement,
            delivery_modes=frozenset(self.delivery_modes),
            generation=self.generation,
            partitions=self.partitions,
            groups=tuple(
                ItemGroup(
                    name=name,
                    title_zh=group.titles.zh,
                    title_en=group.titles.en,
                    rules={scope: rule.rule() for scope, rule in group.share.items()},
                    kind=group.kind,
                )
                for name, group in self.groups.items()
            ),
            items=tuple(item.item() for item in self.items),
            origin=self.origin,
            base_library=self.base_library,
            controlled_parameters=tuple(self.controlled_parameters),
        )


class GrantFile(_Model):
    """A file that declares one grant."""

    grant: Code
    resource: Code
    consumer: Code
    scope: Annotated[Scope, _ENUM]
    purpose: Annotated[Purpose, _ENUM]
    duty: Text
    rows: Text | None = None
    items: Annotated[
        Annotated[list[str], Tag("(plain)")]
        | Annotated[dict[str, Annotated[Treatment, _ENUM]], Tag("(mapping)")],
        Discriminator(_form),
    ]
    """Names (kept as they are), or names with a treatment."""
    mode: Annotated[DeliveryMode, _ENUM]
    valid_from: dt.date
    valid_until: dt.date
    decided_by: Code | None = None

    def value(self) -> Grant:
        """Return the domain value."""
        items = self.items
        return Grant(
            id=self.grant,
            resource=self.resource,
            consumer=self.consumer,
            scope=self.scope,
            purpose=self.purpose,
            duty=self.duty,
            row_filter=self.rows,
            treatments=items if isinstance(items, dict) else dict.fromkeys(items, Treatment.KEEP),
            mode=self.mode,
            valid_from=self.valid_from,
            valid_until=self.valid_until,
            decided_by=self.decided_by,
        )


def item_type_of(model: TypeModel, name: str) -> ItemType:
    """Return the type that `model` describes; `name` names its enums and fixeds."""
    if isinstance(model, str):
        try:
            return item_types.Scalar(model)
        except ValueError:
            return item_types.RecordReference(model)
    return _complex_type(model, name)


def _complex_type(model: ComplexTypeModel, name: str) -> ItemType:
    if model.decimal is not None:
        return item_types.DecimalType(model.decimal.precision, model.decimal.scale)
    if model.enum is not None:
        return item_types.EnumType(f"{name}_symbols", tuple(model.enum))
    if model.fixed is not None:
        return item_types.FixedType(f"{name}_bytes", model.fixed)
    if model.array is not None:
        return item_types.ArrayType(item_type_of(model.array, name))
    if model.map is not None:
        return item_types.MapType(item_type_of(model.map, name))
    if model.nullable is not None:
        return item_types.Nullable(item_type_of(model.nullable, name))
    fields = []
    for field in model.fields or ():
        field_type = item_type_of(field.type, f"{name}_{field.name}")
        fields.append(
            item_types.RecordField(
                field.name, item_types.Nullable(field_type) if field.nullable else field_type
            )
        )
    return item_types.RecordType(model.record or name, tuple(fields))
