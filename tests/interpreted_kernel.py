"""The view kernel as it runs without a C compiler, beside the one that is installed."""

import importlib
import sys
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType

from typing_extensions import override

from bus.views.plan import compile_plan

_FOLDER = Path(__file__).parents[1] / "bus" / "views"
#: All that is compiled, or imports what is. `outcome` is not, so that outcomes can be compared.
_MODULES = (
    "walker",
    "byte_test",
    "candidates",
    "filter_values",
    "key_items",
    "treated",
    "kernel",
    "plan",
)


class _FromSource(MetaPathFinder):
    """Finds modules of the kernel by their sources, whatever lies compiled beside them."""

    @override
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        package, _, name = fullname.rpartition(".")
        if package != "bus.views" or name not in _MODULES:
            return None
        return spec_from_file_location(fullname, _FOLDER / f"{name}.py")


def interpreted_compile_plan() -> Callable[..., object]:
    """Return `compile_plan` of a kernel that is not compiled; the installed one stays in place."""
    package = importlib.import_module("bus.views")
    kept = {name: importlib.import_module(f"bus.views.{name}") for name in _MODULES}
    finder = _FromSource()
    try:
        for name in _MODULES:
            del sys.modules[f"bus.views.{name}"]
        sys.meta_path.insert(0, finder)
        found: Callable[..., object] = importlib.import_module("bus.views.plan").compile_plan
    finally:
        sys.meta_path.remove(finder)
        for name, module in kept.items():
            sys.modules[f"bus.views.{name}"] = module
            setattr(package, name, module)
    if found is compile_plan:
        raise RuntimeError("the sources were not loaded anew")
    return found
