# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The source tree, as the architecture tests look at it."""

from __future__ import annotations

import ast
import pkgutil
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import keyonce

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

SOURCE = Path(keyonce.__file__).parent
TESTS = Path(__file__).parents[1]


def files(under: Path = SOURCE) -> Iterator[Path]:
    """Every Python file below *under*, in one order."""
    return iter(sorted(under.rglob("*.py")))


def name_of(path: Path) -> str:
    """The file as the reader of a failure knows it."""
    return path.relative_to(SOURCE.parent).as_posix()


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def modules() -> list[ModuleType]:
    """Every module of the package, imported; this needs all extras."""
    found = pkgutil.walk_packages(keyonce.__path__, "keyonce.")
    names = [info.name for info in found if not info.name.endswith("__main__")]
    return [keyonce, *map(import_module, names)]


def imports(tree: ast.AST) -> Iterator[str]:
    """The absolute name of every module that the code names in an import."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=str(module), level=0):
                yield module
            case ast.ImportFrom():
                yield "." * node.level + (node.module or "")
