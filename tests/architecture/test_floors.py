# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What .importlinter cannot say: the core's own ground, and the form of a file."""

from __future__ import annotations

import sys

import pytest

from tests.architecture import house

HEADER = (
    "# SPDX-FileCopyrightText: 2026 The keyonce authors\n"
    "# SPDX-License-Identifier: Apache-2.0\n"
)


def outside(names: list[str]) -> list[str]:
    """The names that the core may not import."""
    return [
        name
        for name in names
        if name.split(".")[0] not in sys.stdlib_module_names
        and not f"{name}.".startswith("keyonce.core.")
    ]


def test_the_core_stands_on_the_standard_library_alone():
    core = list(house.files(house.SOURCE / "core"))

    found = {house.name_of(f): outside([*house.imports(house.parse(f))]) for f in core}

    assert core
    assert {} == {name: names for name, names in found.items() if names}


@pytest.mark.parametrize("name", ["httpx2", "keyonce", "keyonce.http", ".model"])
def test_the_core_check_sees(name):
    assert [name] == outside(["json", "keyonce.core.model", name])


def test_imports_are_absolute():
    relative = {
        house.name_of(file)
        for file in house.files()
        if any(name.startswith(".") for name in house.imports(house.parse(file)))
    }

    assert set() == relative


@pytest.mark.parametrize("root", [house.SOURCE, house.TESTS], ids=["src", "tests"])
def test_every_file_names_its_licence(root):
    bare = [
        str(file.relative_to(root))
        for file in house.files(root)
        if not file.read_text(encoding="utf-8").startswith(HEADER)
    ]

    assert [] == bare
