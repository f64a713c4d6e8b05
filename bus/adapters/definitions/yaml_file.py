"""Read one YAML file, knowing on which line each key stands."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import yaml
from typing_extensions import override

from bus.errors import DefinitionInvalid

#: A definition is text that people review; more than this is a mistake.
MAX_FILE_BYTES = 1 << 20
#: Aliases of aliases make a small file endless.
MAX_KEYS = 100_000

KeyPath: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class YamlFile:
    """The content of a file, and the line of every key and list entry in it."""

    path: Path
    content: Any
    lines: Mapping[KeyPath, int]

    def fault(self, key: Sequence[str | int], message: str) -> str:
        """Return a sentence that names file, line and key."""
        path = tuple(str(part) for part in key)
        known = path
        while known and known not in self.lines:
            known = known[:-1]
        return f"{self.path}:{self.lines.get(known, 1)}: {'.'.join(path) or '(file)'}: {message}"


class _Loader(yaml.SafeLoader):
    """A safe loader that says where a value stands that cannot be one (a 45th of January)."""

    @override
    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except ValueError as error:
            problem = f"{node.value!r} is no value: {error}"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark) from error


def read_yaml(path: Path) -> YamlFile:
    """Return the file at `path`; raise `DefinitionInvalid` if it is not YAML as we accept it."""
    try:
        raw = path.read_bytes()
        if len(raw) > MAX_FILE_BYTES:
            raise DefinitionInvalid([f"{path}:1: larger than {MAX_FILE_BYTES} bytes"])
        loader = _Loader(raw.decode("utf-8"))
        node = loader.get_single_node()
        lines: dict[KeyPath, int] = {}
        if node is None:
            raise DefinitionInvalid([f"{path}:1: the file is empty"])
        for key, line, duplicate in _lines(node, ()):
            if duplicate:
                raise DefinitionInvalid([f"{path}:{line}: {'.'.join(key)}: the key stands twice"])
            lines[key] = line
            if len(lines) > MAX_KEYS:
                raise DefinitionInvalid([f"{path}:1: more than {MAX_KEYS} keys and list entries"])
        content = loader.construct_document(node)
    except UnicodeDecodeError as error:
        raise DefinitionInvalid([f"{path}:1: not UTF-8 text ({error.reason})"]) from error
    except RecursionError as error:
        raise DefinitionInvalid([f"{path}:1: nested too deeply"]) from error
    except OSError as error:
        raise DefinitionInvalid([f"{path}: cannot be read ({error.strerror})"]) from error
    except yaml.YAMLError as error:
        raise DefinitionInvalid([_syntax_fault(path, error)]) from error
    return YamlFile(path, content, lines)


def _lines(node: yaml.Node, path: KeyPath) -> Iterator[tuple[KeyPath, int, bool]]:
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            name = str(key.value)
            yield (*path, name), key.start_mark.line + 1, name in seen
            seen.add(name)
            yield from _lines(value, (*path, name))
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield (*path, str(index)), value.start_mark.line + 1, False
            yield from _lines(value, (*path, str(index)))


def _syntax_fault(path: Path, error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return f"{path}:{mark.line + 1}:{mark.column + 1}: not valid YAML: {error.problem}"
    return f"{path}:1: not valid YAML: {' '.join(str(error).split())}"
