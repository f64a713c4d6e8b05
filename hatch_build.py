"""
Compile the view kernel when the project is built or installed, where there is a C compiler.

The sources stay Python: each `.pxd` beside a module adds its types. Without a compiler (or Python's
headers) nothing is lost but speed: the modules run as they are (docs/adr/0021).
"""

import os
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

#: Set it to build without the compiled kernel.
_PURE = "ONESOURCE_PURE_PYTHON"
_FOLDER = "bus"
_DIRECTIVES = {
    "language_level": 3,
    # Bounds are checked by what is compiled: it is the gate for bytes from outside.
    "boundscheck": False,
    "wraparound": False,
    "initializedcheck": False,
    "cdivision": True,
    # The types are those of the .pxd alone: an annotated `int` may be beyond 64 bits.
    "annotation_typing": False,
}


class KernelBuildHook(BuildHookInterface[Any]):
    """Puts the compiled modules beside their sources, from where wheel and checkout take them."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile; see `BuildHookInterface`."""
        del version
        root = Path(self.root)
        for old in root.glob(f"{_FOLDER}/**/*.so"):
            old.unlink()
        if os.environ.get(_PURE):
            return
        try:
            _compile(root)
        except ImportError as error:
            self._warn(f"{error.name} is not there")
        # What is raised depends on the compiler; whatever it is, there is none that works.
        except Exception as error:  # noqa: BLE001
            self._warn(str(error))
        else:
            build_data["pure_python"] = False
            build_data["infer_tag"] = True
            build_data["artifacts"] += [f"{_FOLDER}/**/*.so"]

    def _warn(self, reason: str) -> None:
        self.app.display_warning(f"the view kernel is not compiled, and runs slower: {reason}")


def _compile(root: Path) -> None:
    # Here, so that a build without them ends with a warning.
    from Cython.Build import cythonize  # noqa: PLC0415
    from setuptools import Distribution  # noqa: PLC0415
    from setuptools.command.build_ext import build_ext  # noqa: PLC0415

    sources = [
        *(path.with_suffix(".py") for path in root.glob(f"{_FOLDER}/**/*.pxd")),
        # What calls a library of C has nothing to run without a compiler.
        *root.glob(f"{_FOLDER}/**/*.pyx"),
    ]
    before = Path.cwd()
    os.chdir(root)
    try:
        with tempfile.TemporaryDirectory() as scratch:
            extensions = cythonize(
                [_extension(path.relative_to(root)) for path in sorted(sources)],
                compiler_directives=_DIRECTIVES,
                build_dir=scratch,
                quiet=True,
            )
            command = build_ext(Distribution({"ext_modules": extensions, "packages": []}))
            command.inplace = True
            command.build_temp = scratch
            command.finalize_options()
            command.run()
    finally:
        os.chdir(before)


def _extension(path: Path) -> object:
    from setuptools import Extension  # noqa: PLC0415

    # Without what only a debugger needs, modules are a fifth of the size.
    return Extension(".".join(path.with_suffix("").parts), [str(path)], extra_compile_args=["-g0"])
