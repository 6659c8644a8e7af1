# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Every store has its honest row: in what doctor prints and in the documentation."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import keyonce
from keyonce.cli.promises import _UNTESTED, breaks, notes_for
from keyonce.core.guarantee import Guarantee
from keyonce.core.model import Traits

STORES = Path(keyonce.__file__).parent / "stores"
GUARANTEES = Path(__file__).parents[2] / "docs" / "guarantees.md"


def names():
    """The name that each store gives itself, where it makes its traits."""
    for path in sorted(STORES.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Name("Traits"), args=args, keywords=keywords):
                    given = [each.value for each in keywords if each.arg == "name"]
                    for value in [*args[:1], *given]:
                        assert isinstance(value, ast.Constant), path
                        yield str(value.value)


NAMES = sorted(set(names()))


def traits(name):
    return Traits(name, frozenset(Guarantee), durable=True, many_processes=True)


def test_the_stores_are_found():
    assert {"memory", "sqlite", "postgres", "mysql", "redis", "dynamodb"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_doctor_says_what_breaks_a_store_and_what_is_not_tested(name):
    assert breaks(traits(name)).endswith(".")
    assert name in _UNTESTED
    said = notes_for(traits(name), unauthorised_replays=False)
    assert not _UNTESTED[name] or _UNTESTED[name] == said[-1]


@pytest.mark.parametrize("name", NAMES)
def test_the_documentation_has_a_row_for_it(name):
    page = GUARANTEES.read_text(encoding="utf-8").partition("## For each store")[2]
    rows = [row.partition("|")[2].strip() for row in page.splitlines() if "|" in row]

    assert any(row.lower().startswith(name) for row in rows), name
