"""The routes that documents name are routes of control."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_DOCUMENTS = sorted([*ROOT.glob("docs/**/*.md"), *ROOT.glob("*.md")])
_ROUTE = re.compile(r"\b(GET|POST|PUT|DELETE) (/v1/[^\s`\"'?)]*)")
_PARAMETER = re.compile(r"\{[^}]*\}")


def _routes() -> set[tuple[str, str]]:
    document = json.loads((ROOT / "docs/reference/openapi.json").read_text(encoding="utf-8"))
    return {
        (method.upper(), _PARAMETER.sub("{}", path))
        for path, methods in document["paths"].items()
        for method in methods
    }


def _exists(method: str, path: str, routes: set[tuple[str, str]]) -> bool:
    """Tell whether a route is there; a document may name a real id in a parameter's place."""
    wanted = _PARAMETER.sub("{}", path).split("/")
    return any(
        method == known
        and len(parts := route.split("/")) == len(wanted)
        and all(part in {"{}", given} for part, given in zip(parts, wanted, strict=True))
        for known, route in routes
    )


@pytest.mark.parametrize("document", _DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_documents_name_routes_that_exist(document: Path) -> None:
    routes = _routes()
    named = _ROUTE.findall(document.read_text(encoding="utf-8"))

    assert [f"{method} {path}" for method, path in named if not _exists(method, path, routes)] == []
