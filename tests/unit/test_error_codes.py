"""Every code that somebody may meet is explained, and no code is explained that nobody can meet."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
_CODE = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*")
_SOURCES = ("bus", "producers", "consumers")
#: What makes a refusal out of a code that is no keyword.
_POSITIONAL = frozenset({"CatalogFault", "Fault", "MalformedRecord", "Problem", "problem"})


def _modules() -> Iterator[ast.Module]:
    for folder in _SOURCES:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield ast.parse(path.read_text(encoding="utf-8"))


def _code(node: ast.expr | None) -> str | None:
    """Return the code that an expression is; None if it is none."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value if _CODE.fullmatch(node.value) else None
    return None


def _raised(node: ast.AST) -> Iterator[str | None]:
    """Yield the codes of `code="…"`, of a class attribute `code`, and of an HTTP problem."""
    match node:
        case ast.keyword(arg="code", value=value):
            yield _code(value)
        case ast.ClassDef(body=body):
            for each in body:
                match each:
                    case ast.Assign(targets=[ast.Name(id="code")], value=value):
                        yield _code(value)
                    case ast.AnnAssign(target=ast.Name(id="code"), value=default):
                        yield _code(default)
        case ast.Call(func=ast.Name(id=name), args=arguments) if name in _POSITIONAL:
            yield from map(_code, arguments)


def raised_codes() -> set[str]:
    """Return the codes that the source raises."""
    return {
        code
        for module in _modules()
        for node in ast.walk(module)
        for code in _raised(node)
        if code is not None
    }


def _known_texts() -> set[str]:
    """Return every text of the source that looks like a code, however it gets to its reader."""
    return {
        code
        for module in _modules()
        for node in ast.walk(module)
        if isinstance(node, ast.expr) and (code := _code(node)) is not None
    }


def _explained() -> set[str]:
    """Return the codes that stand in the first column of a table, or in a sentence."""
    text = (ROOT / "docs/reference/errors.md").read_text(encoding="utf-8")
    return {code for code in re.findall(r"`([^`\s]+)`", text) if _CODE.fullmatch(code)}


def test_every_code_is_explained() -> None:
    """R-081 and all others that name a code: whoever is refused can look it up."""
    raised = raised_codes()
    assert len(raised) > 100
    assert sorted(raised - _explained()) == []


def test_no_code_is_explained_that_does_not_exist() -> None:
    assert sorted(_explained() - _known_texts()) == []
