# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A handler that claims inside its own transaction: duplicates wait, then hear 409."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from secrets import token_bytes

import psycopg
import pytest
from flask import Flask, Response, request

from keyonce import Fingerprint, Guarantee, Identity, Replay, StoredResult
from keyonce.core.decide import decide
from keyonce.core.model import Claim, Completion
from keyonce.stores.postgres import PostgresStore
from tests.servers.postgres import PostgresServer, newest

pytestmark = pytest.mark.servers

PRINT = Fingerprint("scheme-1", bytes(32))
SOON = 20.0


@pytest.fixture
def database():
    server = PostgresServer(newest(), fsync="off", synchronous_commit="off").start()
    url = server.url(server.new_database())
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE orders (name TEXT)")
    yield url
    server.close()


class Shop:
    """Takes orders; the first one waits at the till until it may go on."""

    def __init__(self, url):
        self.url = url
        self.store = PostgresStore(url)
        self.at_the_till = threading.Event()
        self.may_go_on = threading.Event()
        self.app = Flask(__name__)
        self.app.post("/orders")(self.order)

    def order(self):
        key = request.headers["Idempotency-Key"]
        identity, owner = Identity("anna", "POST /orders", key), token_bytes(16)
        exact = Guarantee.EXACTLY_ONCE
        with psycopg.connect(self.url) as connection, connection.transaction():
            inside = self.store.joined(connection)
            command = Claim(identity, owner, PRINT, exact, 30.0, 3)
            claimed = inside.claim(command, lock_timeout=0.2)
            if claimed is None:
                return Response(status=409, headers={"Retry-After": "1"})
            decision = decide(claimed.record, PRINT, owner, claimed.now)
            if isinstance(decision, Replay):
                result = decision.record.result
                assert result is not None
                return Response(result.body, result.status)
            self.at_the_till.set()
            assert self.may_go_on.wait(SOON)
            connection.execute("INSERT INTO orders VALUES (%s)", (key,))
            result = StoredResult(201, (), b"ordered", size=7)
            inside.complete(Completion(identity, owner, result, 3600.0))
        return Response(b"ordered", 201)

    def post(self):
        headers = {"Idempotency-Key": "order-1"}
        return self.app.test_client().post("/orders", headers=headers)


def test_a_duplicate_waits_for_the_transaction_and_then_hears_409(database):
    shop = Shop(database)

    with ThreadPoolExecutor() as threads:
        first = threads.submit(shop.post)
        assert shop.at_the_till.wait(SOON)
        meanwhile = shop.post()
        shop.may_go_on.set()
        answer = first.result(SOON)
    later = shop.post()

    assert (409, "1") == (meanwhile.status_code, meanwhile.headers["Retry-After"])
    assert (201, b"ordered") == (answer.status_code, answer.data)
    assert (201, b"ordered") == (later.status_code, later.data)
    with psycopg.connect(database) as connection:
        assert [("order-1",)] == connection.execute("SELECT * FROM orders").fetchall()
    shop.store.close()
