"""
Load jurisdiction profiles: those that come with the bus, and a folder's own (R-266).

A profile is a file `<name>.yaml`; another one is a new file, and nothing else. Everything that is
wrong is reported at once, each fault with file, line and key.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from bus.adapters.definitions.yaml_file import YamlFile, read_yaml
from bus.domain.names import is_code
from bus.domain.profile import Profile
from bus.domain.profile_keys import BODIES, ROLES
from bus.domain.profile_layers import DEFAULTS, Layer, OriginKind, read_layer
from bus.errors import DefinitionInvalid

#: The keys of a file that are about the profile itself.
_HEADER = ("version", "parent", "clauses")


def load_profiles(folder: Path | None = None) -> dict[str, Profile]:
    """
    Return the profiles that come with the bus, and those in `folder`, by name.

    A profile in `folder` may lie under or over any other, but cannot take the name of one that
    comes with the bus. Raise `DefinitionInvalid` with every fault.
    """
    loading = _Loading()
    loading.read(_bundled_files())
    if folder is not None:
        loading.read_folder(folder)
    profiles = loading.profiles()
    if loading.faults:
        raise DefinitionInvalid(loading.faults)
    return profiles


def _bundled_files() -> Sequence[Path]:
    # Data without Python, like the schemas: a folder of the installed distribution.
    found = (Path(str(each)) for each in resources.files("profiles").iterdir())
    return sorted(path for path in found if path.suffix == ".yaml")


@dataclass(frozen=True, slots=True)
class _Source:
    """A file as it was read, before it is merged with those that it lies over."""

    file: YamlFile
    layer: Layer
    version: int
    parent: str | None


@dataclass(slots=True)
class _Loading:
    faults: list[str] = field(default_factory=list)
    sources: dict[str, _Source] = field(default_factory=dict)

    def read_folder(self, folder: Path) -> None:
        if folder.is_dir():
            self.read(sorted(folder.glob("*.yaml")))
        else:
            self.faults.append(f"{folder}: there is no such folder")

    def read(self, paths: Sequence[Path]) -> None:
        for path in paths:
            try:
                file = read_yaml(path)
            except DefinitionInvalid as error:
                self.faults.extend(error.faults)
                continue
            known = self.sources.get(path.stem)
            if known is not None:
                self.faults.append(file.fault((), f"{path.stem!r} is also in {known.file.path}"))
            elif not is_code(path.stem):
                self.faults.append(file.fault((), f"{path.stem!r} is not a code"))
            elif not isinstance(file.content, Mapping):
                self.faults.append(file.fault((), "a mapping is wanted here"))
            else:
                self.sources[path.stem] = self._source(path.stem, file)

    def _source(self, name: str, file: YamlFile) -> _Source:
        content: Mapping[Any, Any] = file.content
        parent, clauses = content.get("parent"), content.get("clauses") or {}
        if parent is not None and not isinstance(parent, str):
            self.faults.append(file.fault(("parent",), f"a text is wanted here, not {parent!r}"))
            parent = None
        if not isinstance(clauses, Mapping):
            self.faults.append(file.fault(("clauses",), "a mapping is wanted here"))
            clauses = {}
        stated = {key: value for key, value in content.items() if key not in _HEADER}
        layer, faults = read_layer(name, stated, clauses)
        self.faults.extend(file.fault(fault.path, fault.message) for fault in faults)
        return _Source(file, layer, self._version(name, file), parent)

    def _version(self, name: str, file: YamlFile) -> int:
        version = file.content.get("version")
        if isinstance(version, int) and not isinstance(version, bool) and version > 0:
            return version
        if name != DEFAULTS:
            stands = "version" in file.content
            message = (
                f"a whole number, 1 or more, not {version!r}" if stands else "this key is missing"
            )
            self.faults.append(file.fault(("version",), message))
        return 0

    def profiles(self) -> dict[str, Profile]:
        """Return the merged profiles; those with faults are left out."""
        merged: dict[str, Profile] = {}
        for name, source in self.sources.items():
            line = self._line(name) if name != DEFAULTS else None
            if line is not None:
                layers = [self.sources[each].layer for each in (*line, DEFAULTS)]
                merged[name] = Profile.of(name, source.version, source.parent, layers)
                self.faults.extend(self._body_faults(merged[name], source))
        return merged

    def _line(self, name: str) -> list[str] | None:
        """Return `name`, its parent, and so on; None, and a fault, if that leads nowhere."""
        line, own = [name], self.sources[name].file
        while (parent := self.sources[line[-1]].parent) is not None:
            if parent in line:
                # Each member of a circle reports it once; who merely leads into it need not.
                if parent == name:
                    circle = " > ".join([*line, parent])
                    self.faults.append(own.fault(("parent",), f"a circle: {circle}"))
                return None
            if parent not in self.sources or parent == DEFAULTS:
                # Said once: by the file that names it, not by those that lie over that file.
                if line == [name]:
                    self.faults.append(own.fault(("parent",), f"there is no profile {parent!r}"))
                return None
            line.append(parent)
        return line

    @staticmethod
    def _body_faults(profile: Profile, source: _Source) -> Iterator[str]:
        """Yield where an abstract role acts that no body fills (R-008)."""
        for entry in profile.entries():
            # What a parent says is its own fault.
            own = entry.origin.kind is OriginKind.OWN and entry.key in BODIES
            if own and entry.value in ROLES and profile.body(entry.value) is None:
                message = f"{entry.value!r} acts here, but roles.{entry.value} names no body"
                yield source.file.fault(entry.name.split("."), message)
