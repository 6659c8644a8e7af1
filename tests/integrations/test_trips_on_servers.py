# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""How often a gateway asks the server of its store, and what a replay writes."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from keyonce.http.scope import shared
from keyonce.integrations import asgi, wsgi
from keyonce.stores.mysql import AsyncMySQLStore, MySQLStore
from keyonce.stores.postgres import AsyncPostgresStore, PostgresStore
from keyonce.stores.redis import AsyncRedisStore, RedisStore
from keyonce.testing.integration_contract import Lab
from keyonce.testing.integration_scenarios.asgi import AsgiCaller
from keyonce.testing.integration_scenarios.wsgi import WsgiCaller
from tests.servers.mariadb import MariaDB
from tests.servers.mysql_relay import Relay as MySQLRelay
from tests.servers.relay import Relay

pytestmark = pytest.mark.servers

REPLAYS = 5


class Postgres:
    first = 2

    def __init__(self, server, sync):
        self.relay = Relay(server.port)
        self.url = server.url(server.new_database())
        url = self.url.replace(f":{server.port}/", f":{self.relay.port}/")
        kind = PostgresStore if sync else AsyncPostgresStore
        self.store = kind(url, durability="declared", purge_every=None)

    def asked(self):
        return self.relay.turns

    def written(self):
        """The number that the next transaction will have that writes."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            query = "SELECT txid_snapshot_xmax(txid_current_snapshot())"
            row = connection.execute(query).fetchone()
        assert row is not None
        return row[0]

    def close(self):
        self.relay.close()


class MySQL:
    first = 3

    def __init__(self, server, sync):
        self.server = server
        self.relay = MySQLRelay(server.port)
        name = "trips" if sync else "async_trips"
        url = server.database(name).replace(str(server.port), str(self.relay.port))
        kind = MySQLStore if sync else AsyncMySQLStore
        self.store = kind(url, purge_every=None)

    def asked(self):
        return len(self.relay.queries)

    def written(self):
        rows = self.server.ask(
            "SHOW GLOBAL STATUS WHERE Variable_name IN "
            "('Handler_write', 'Handler_update', 'Handler_delete')"
        )
        return sum(int(count) for _, count in rows)

    def close(self):
        self.relay.close()


class Redis:
    first = 2

    def __init__(self, server, sync):
        self.server = server
        kind = RedisStore if sync else AsyncRedisStore
        self.store = kind(server.url, prefix="trips" if sync else "async-trips")

    def asked(self):
        """Commands of clients; `cmdstat` counts what scripts call as well."""
        with self.server.client as client:
            stats = client.info("commandstats")
        return sum(stats.get(f"cmdstat_{name}", {}).get("calls", 0) for name in VERBS)

    def written(self):
        with self.server.client as client:
            return client.info()["aof_current_size"]

    def close(self):
        pass


VERBS = ("evalsha", "eval", "get", "exists")


@pytest.fixture(scope="module")
def mysql_server(tmp_path_factory):
    server = MariaDB(tmp_path_factory.mktemp("mariadb"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(params=["postgres", "mysql", "redis"])
def server(request):
    """One server at a time."""
    return request.getfixturevalue(f"{request.param}_server"), request.param


@pytest.fixture(params=["asgi", "wsgi"])
def place(request, server):
    kinds = {"postgres": Postgres, "mysql": MySQL, "redis": Redis}
    found, name = server
    place: Any = kinds[name](found, request.param == "wsgi")
    place.lab, end = (wsgi_lab if request.param == "wsgi" else asgi_lab)(place.store)
    yield place
    end()
    place.close()


async def asgi_app(scope, receive, send):
    if scope["type"] == "lifespan":
        for word in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{word}.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"sold"})


def wsgi_app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"sold"]


def asgi_lab(store):
    app = asgi.IdempotencyMiddleware(asgi_app, store=store, scope=shared("all"))

    async def whole(scope, receive, send):
        await app(scope, receive, send)
        if scope["type"] == "lifespan":
            await store.close()

    caller = AsgiCaller(whole)
    return Lab(caller), caller.close


def wsgi_lab(store):
    app = wsgi.IdempotencyMiddleware(wsgi_app, store=store, scope=shared("all"))

    def end():
        app.close()
        store.close()

    return Lab(WsgiCaller(app)), end


def test_a_first_request_and_a_replay_ask_as_seldom_as_they_may(place):
    lab = place.lab
    for _ in range(4):  # connections, what is prepared, the look at the settings
        warm = lab.request("/orders")
        lab.send(warm)
        lab.send(warm)
    request = lab.request("/orders")

    before = place.asked()
    first = lab.send(request)
    between, written = place.asked(), place.written()
    replays = [lab.send(request) for _ in range(REPLAYS)]
    after = place.asked()

    assert written == place.written()
    assert (200, False) == (first.status, first.replayed)
    assert {(200, b"sold", True)} == {
        (each.status, each.body, each.replayed) for each in replays
    }
    assert (place.first, REPLAYS) == (between - before, after - between)
