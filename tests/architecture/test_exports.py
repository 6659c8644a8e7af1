# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The public names are listed, complete and sorted, and cheap to import."""

from __future__ import annotations

import json
import subprocess
import sys
from types import ModuleType

import keyonce
from tests.architecture import house

# The standard library's heaviest rooms, which not every user enters.
LAZY = {"asyncio", "sqlite3"}


def isort_style(name: str) -> tuple[int, str]:
    """The order that ruff's RUF022 keeps: CONSTANTS, Classes, functions."""
    if name.isupper() and len(name) > 1:
        return 0, name
    return (1, name) if name[:1].isupper() else (2, name)


def public(module: ModuleType) -> set[str]:
    """The names bound in *module* that look public."""
    return {
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and not isinstance(value, ModuleType)
        and getattr(value, "__module__", "") != "__future__"
        and name != "TYPE_CHECKING"
    }


def test_every_package_lists_what_it_gives():
    packages = [module for module in house.modules() if hasattr(module, "__path__")]

    unlisted = {
        package.__name__: sorted(public(package) - set(getattr(package, "__all__", ())))
        for package in packages
    }

    assert keyonce in packages
    assert {} == {name: names for name, names in unlisted.items() if names}


def test_every_listed_name_is_there():
    listed = [
        (module, name)
        for module in house.modules()
        for name in getattr(module, "__all__", ())
    ]

    missing = [f"{m.__name__}.{name}" for m, name in listed if not hasattr(m, name)]

    assert listed
    assert [] == missing


def test_lists_of_names_are_sorted():
    unsorted = [
        module.__name__
        for module in house.modules()
        if (names := list(getattr(module, "__all__", ())))
        != sorted(set(names), key=isort_style)
    ]

    assert [] == unsorted


def imported_by(statement: str) -> set[str]:
    """The modules that a fresh interpreter loads for *statement*."""
    program = (
        "import json, sys; before = set(sys.modules)\n"
        f"{statement}\n"
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    ran = subprocess.run(
        [sys.executable, "-I", "-c", program],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return set(json.loads(ran.stdout))


def foreign(loaded: set[str]) -> set[str]:
    """The packages among *loaded* that plain `import keyonce` may not pull in."""
    roots = {name.split(".")[0] for name in loaded}
    return roots - (set(sys.stdlib_module_names) - LAZY) - {"keyonce"}


def test_import_keyonce_loads_no_optional_package():
    assert set() == foreign(imported_by("import keyonce"))


def test_the_import_check_sees():
    loaded = imported_by("import sqlite3, click")

    assert {"sqlite3", "click"} <= foreign(loaded)
