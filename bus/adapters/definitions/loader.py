"""
Load a folder of definitions: `organisations.yaml`, one file a resource, `grants/**/*.yaml`.

Everything that is wrong is reported at once, each fault with file, line and key.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from bus.adapters.definitions.models import GrantFile, OrganisationsFile, ResourceFile
from bus.adapters.definitions.yaml_file import YamlFile, read_yaml
from bus.domain.catalog import Catalog, CatalogFault
from bus.domain.entry import CatalogEntry
from bus.domain.grant import Grant
from bus.domain.organisation import Organisation
from bus.errors import DefinitionInvalid

ORGANISATIONS_FILE = "organisations.yaml"
GRANTS_FOLDER = "grants"

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Definitions:
    """A declared catalog, and where each of its parts was written."""

    catalog: Catalog
    _files: dict[tuple[str, str], tuple[YamlFile, tuple[str, ...]]] = field(default_factory=dict)

    def locate(self, fault: CatalogFault) -> str:
        """Return a sentence that names file, line and key of `fault`, and its code."""
        message = f"{fault.message} [{fault.code}]"
        found = self._files.get((fault.kind, fault.id))
        if found is None:
            return f"{fault.kind} {fault.id}: {'.'.join(fault.path)}: {message}"
        file, prefix = found
        return file.fault((*prefix, *self._by_index(fault, file)), message)

    @staticmethod
    def _by_index(fault: CatalogFault, file: YamlFile) -> Sequence[str]:
        """Return the fault's path as it stands in the file: items by index, not by name."""
        match fault.path:
            case ("items", name, *rest) if fault.kind == "entry" and not name.isdigit():
                names = [item.get("name") for item in file.content.get("items", [])]
                return ("items", str(names.index(name)), *rest) if name in names else fault.path
            case _:
                return fault.path


def load_definitions(folder: Path) -> Definitions:
    """
    Return what `folder` declares.

    Raise `DefinitionInvalid` with every fault of form; what they mean is judged elsewhere.
    """
    loading = _Loading()
    loading.load(folder)
    if loading.faults:
        raise DefinitionInvalid(loading.faults)
    return Definitions(
        Catalog(
            organisations=loading.organisations, entries=loading.entries, grants=loading.grants
        ),
        loading.files,
    )


class _Loading:
    def __init__(self) -> None:
        self.faults: list[str] = []
        self.organisations: dict[str, Organisation] = {}
        self.entries: dict[str, CatalogEntry] = {}
        self.grants: dict[str, Grant] = {}
        self.files: dict[tuple[str, str], tuple[YamlFile, tuple[str, ...]]] = {}

    def load(self, folder: Path) -> None:
        jurisdiction = self._load_organisations(folder / ORGANISATIONS_FILE)
        for resource_file in sorted(folder.glob("*.yaml")):
            if resource_file.name != ORGANISATIONS_FILE:
                self._load_resource(resource_file, jurisdiction)
        for grant_file in sorted((folder / GRANTS_FOLDER).rglob("*.yaml")):
            self._load_grant(grant_file)

    def _load_organisations(self, path: Path) -> str:
        """Return the jurisdiction; nothing, and a fault, if the file does not say."""
        if not path.is_file():
            self.faults.append(f"{path}: there is no such file; it names the organisations")
            return ""
        parsed = self._parse(path, OrganisationsFile)
        if parsed is None:
            return ""
        file, model = parsed
        for index, each in enumerate(model.organisations):
            if self._claim("organisation", each.code, file, ("organisations", str(index))):
                self.organisations[each.code] = each.organisation(model.jurisdiction)
        return model.jurisdiction

    def _load_resource(self, path: Path, jurisdiction: str) -> None:
        parsed = self._parse(path, ResourceFile)
        if parsed is None:
            return
        file, model = parsed
        if self._claim("entry", model.resource, file):
            self.entries[model.resource] = model.entry(jurisdiction)

    def _load_grant(self, path: Path) -> None:
        parsed = self._parse(path, GrantFile)
        if parsed is None:
            return
        file, model = parsed
        if self._claim("grant", model.grant, file):
            self.grants[model.grant] = model.value()

    def _claim(self, kind: str, code: str, file: YamlFile, prefix: tuple[str, ...] = ()) -> bool:
        """Note where `code` is defined; return False, and a fault, if it is defined already."""
        known = self.files.get((kind, code))
        if known is not None:
            self.faults.append(file.fault(prefix, f"{kind} {code!r} is also in {known[0].path}"))
            return False
        self.files[kind, code] = (file, prefix)
        return True

    def _parse(self, path: Path, model: type[M]) -> tuple[YamlFile, M] | None:
        try:
            file = read_yaml(path)
        except DefinitionInvalid as error:
            self.faults.extend(error.faults)
            return None
        try:
            return file, model.model_validate(file.content)
        except ValidationError as error:
            self.faults.extend(file.fault(key, message) for key, message in form_faults(error))
            return None


def form_faults(error: ValidationError) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield the key and the message of everything that is wrong with a document's form."""
    for fault in error.errors():
        message = _FORM_MESSAGES.get(fault["type"], fault["msg"]).removeprefix("Value error, ")
        # pydantic puts into the path what the file does not have: the branch of a union (see
        # `models._form`), and that a fault is about a key.
        key = tuple(part for part in fault["loc"] if part not in _NOT_IN_THE_FILE)
        yield key, message


_NOT_IN_THE_FILE = ("(plain)", "(mapping)", "[key]")
_FORM_MESSAGES = {
    "missing": "this key is missing",
    "extra_forbidden": "there is no such key",
    "model_type": "a mapping is wanted here",
    "dict_type": "a mapping is wanted here",
}
