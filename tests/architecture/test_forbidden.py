# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What no source file does: run what it reads, or open the database by path."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest

from tests.architecture import house

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# A row from the store, or a file, must never become code.
RUNNING = {"cloudpickle", "dill", "jsonpickle", "marshal", "pickle", "shelve"}
CALLS = {"eval", "exec", "yaml.load", "yaml.unsafe_load", "yaml.full_load"}

# Closing any handle of the database file drops all POSIX locks of the process, and
# with them SQLite's. Only SQLite itself opens it.
OPENS = {"open", "io.open", "os.open"}
OPENING_METHODS = {"open", "read_bytes", "touch", "write_bytes", "write_text"}
SQLITE = house.SOURCE / "stores" / "sqlite"

# The demo's shop has a database of its own, which no store ever opens.
SHOP = house.SOURCE / "demo" / "ledger.py"


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def running(tree: ast.AST) -> list[str]:
    """What *tree* uses that can run what it reads."""
    modules = [name for name in house.imports(tree) if name.split(".")[0] in RUNNING]
    return modules + [name for name, _ in calls(tree) if name in CALLS]


def opening(tree: ast.AST) -> list[str]:
    """What *tree* calls that opens a file by its path.

    A file that `O_EXCL` makes did not exist before, so nobody held a lock on it.
    """
    return [
        name
        for name, call in calls(tree)
        if "O_EXCL" not in ast.unparse(call)
        and (
            name in OPENS
            or name.startswith("shutil.")
            or ("." in name and name.rpartition(".")[2] in OPENING_METHODS)
        )
    ]


def connecting(tree: ast.AST) -> list[str]:
    """Where *tree* opens an SQLite database."""
    return [name for name, _ in calls(tree) if name == "sqlite3.connect"]


def where(check: Callable[[ast.AST], list[str]]) -> dict[str, list[str]]:
    found = {file: check(house.parse(file)) for file in house.files()}
    return {house.name_of(file): names for file, names in found.items() if names}


def test_nothing_runs_what_it_reads():
    assert {} == where(running)


def test_the_sqlite_store_opens_no_file():
    mine = {house.name_of(file) for file in house.files(SQLITE)}

    assert {} == {f: names for f, names in where(opening).items() if f in mine}


def test_only_the_sqlite_store_opens_a_database():
    mine = {house.name_of(file) for file in [*house.files(SQLITE), SHOP]}

    assert {} == {f: names for f, names in where(connecting).items() if f not in mine}


@pytest.mark.parametrize(
    ("check", "code"),
    [
        (running, "import pickle"),
        (running, "from marshal import loads"),
        (running, "eval('1')"),
        (running, "yaml.load(text)"),
        (opening, "open(path)"),
        (opening, "os.open(path, os.O_RDWR)"),
        (opening, "Path(path).read_bytes()"),
        (opening, "shutil.copy(path, other)"),
        (connecting, "sqlite3.connect(path)"),
    ],
)
def test_the_checks_see(check, code):
    assert check(ast.parse(code))


@pytest.mark.parametrize(
    ("check", "code"),
    [
        (running, "import json; json.loads(text); self.eval_mode()"),
        (opening, "os.open(path, os.O_CREAT | os.O_EXCL, 0o600)"),
        (opening, "files(package).joinpath('queries.sql').read_text()"),
    ],
)
def test_the_checks_let_pass(check, code):
    assert [] == check(ast.parse(code))
