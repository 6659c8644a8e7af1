# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Real servers under exactly-once, killed around the commit, and the retry after it."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing

import pytest

from keyonce.testing.integration_contract import Lab
from keyonce.testing.integration_scenarios.messages import Request
from tests.integrations.servers import GUNICORN, UVICORN, serving

SERVERS = {
    "uvicorn": (*UVICORN, "--factory", "tests.e2e.committing:asgi_app"),
    "gunicorn": (*GUNICORN, "tests.e2e.committing:wsgi_app()"),
}


@pytest.fixture
def folder(tmp_path):
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
        connection.execute("CREATE TABLE orders (name TEXT)")
    return tmp_path


def orders(folder):
    with closing(sqlite3.connect(folder / "shop.db")) as connection:
        return connection.execute("SELECT count(*) FROM orders").fetchone()[0]


KILLS = ("after-own", "after-route", "before-route", "after-built")


@pytest.mark.parametrize("server", SERVERS)
def test_a_server_killed_around_the_commit_has_one_effect(server, folder):
    environment = {**os.environ, "SHOP_FOLDER": str(folder)}
    asked: list[Request] = []
    effects, answers = [], []
    for mark in (*KILLS, None):
        command = SERVERS[server]
        with serving(command, folder / "log", environment=environment) as caller:
            lab = Lab(caller)
            if asked:
                answers.append(lab.settled(asked[-1]))
                effects.append(orders(folder))
            if mark is not None:
                (folder / mark).touch()
                asked.append(lab.request(f"/{mark.partition('-')[2]}"))
                assert lab.send(asked[-1]).cut_off
                effects.append(orders(folder))

    # Each kill, then its retry: nothing is lost, and nothing is there twice.
    assert [1, 1, 2, 2, 2, 3, 4, 4] == effects
    assert {201} == {answer.status for answer in answers}
    assert [b"sold"] * 3 + [b'{"built":"tr_1"}'] == [a.body for a in answers]
    assert [True, True, False, True] == [answer.replayed for answer in answers]
    assert not any((folder / mark).exists() for mark in KILLS)
