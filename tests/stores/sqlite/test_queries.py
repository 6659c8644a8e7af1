# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The named queries: all there, all used, none scans what it need not."""

from __future__ import annotations

import ast
import inspect

import pytest

from keyonce.core.model import Query
from keyonce.core.states import Status
from keyonce.stores.sqlite import SQLiteStore, joining, procedures
from keyonce.stores.statement import queries_of
from keyonce.testing.store_scenarios.cases import ORDER, completed, named

QUERIES = queries_of("keyonce.stores.sqlite")


def words_in(module):
    """Every text that the code of *module* holds."""
    tree = ast.parse(inspect.getsource(module))
    return {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def statements_in(module):
    """The names that *module* builds statements with, where they are literal."""
    tree = ast.parse(inspect.getsource(module))
    return {
        node.args[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) == "Statement"
        and isinstance(node.args[0], ast.Constant)
    }


def test_every_query_is_used():
    assert set() == QUERIES.keys() - words_in(procedures) - words_in(joining)


def test_every_statement_has_its_query():
    asked = statements_in(procedures) | statements_in(joining)

    assert {"find_record", "insert_record"} <= asked
    assert set() == asked - QUERIES.keys()


def test_a_block_is_one_statement():
    assert [] == [name for name, sql in QUERIES.items() if ";" in sql or not sql]


@pytest.fixture
def connection(tmp_path):
    store = SQLiteStore(tmp_path / "keyonce.db")
    for number in range(20):
        completed(store, named(str(number)))
    connection = store._database.connections.borrow()
    yield connection
    store._database.connections.give_back(connection)
    store.close()


def plan(connection, name, values=()):
    rows = connection.execute(f"EXPLAIN QUERY PLAN {QUERIES[name]}", values).fetchall()
    return " | ".join(row[3] for row in rows)


def test_a_record_is_found_by_the_index_over_all_three_columns(connection):
    found = plan(connection, "find_record", ORDER)

    assert "scope=? AND operation=? AND key=?" in found
    assert "SCAN" not in found.replace("SCALAR", "")


def test_a_purge_touches_only_what_is_due(connection):
    assert "status=? AND expires_at<?" in plan(connection, "due_records", (0, 1))


def test_counting_reads_the_index_alone(connection):
    assert "COVERING INDEX keyonce_upkeep" in plan(connection, "count_records")


def test_what_is_stuck_is_found_without_reading_what_is_done(connection):
    query = Query(status=Status.UNKNOWN)
    name, values = procedures._listing(query)

    assert "list_open" == name
    assert "INDEX keyonce_upkeep (status=?)" in plan(connection, name, values)


def test_a_listing_goes_along_the_index(connection):
    name, values = procedures._listing(Query(after=ORDER))
    found = plan(connection, name, values)

    assert "list_records" == name
    assert "(scope,operation,key)>(?,?,?)" in found
    assert "TEMP B-TREE" not in found


def test_long_listings_go_over_pages(tmp_path, monkeypatch):
    monkeypatch.setattr(procedures, "PAGE", 3)
    store = SQLiteStore(tmp_path / "keyonce.db")
    for number in range(10):
        completed(store, named(f"{number}"))

    listed = [record.identity.key for record in store.records(Query(limit=8))]

    assert [str(number) for number in range(8)] == listed
    assert 10 == len(store.records(Query()))
    store.close()
