# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A worker process that a test may kill: a guarded app, its ledger, its points.

Run as a program with one argument, its settings as JSON. The ledger is a
database of its own and what is in it is the truth about effects: each is
committed before ``effect.after``. A path is ``/{guarantee}/{work}``.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sqlite3
import sys
from datetime import timedelta

import uvicorn

from keyonce import Guarantee, Policy, Rule, by_header
from keyonce.integrations.asgi import IdempotencyMiddleware
from keyonce.stores.url import open_async_store
from keyonce.testing.points import AsyncPausingStore, PipeGate
from tests.crash.orders import orders

PATHS = {
    "at-most-once": Guarantee.AT_MOST_ONCE,
    "at-least-once": Guarantee.AT_LEAST_ONCE,
    "resume": Guarantee.RESUME,
}


class Ledger:
    """Every run of the work, and every effect: two tables in one file."""

    def __init__(self, path: str) -> None:
        self._connection = sqlite3.connect(path, timeout=30, isolation_level=None)
        self._connection.executescript(
            """
            PRAGMA journal_mode = WAL;
            CREATE TABLE IF NOT EXISTS runs (key TEXT, pid INTEGER);
            CREATE TABLE IF NOT EXISTS effects (key TEXT, once TEXT UNIQUE);
            CREATE TABLE IF NOT EXISTS receipts (key TEXT, once TEXT UNIQUE, told TEXT);
            """
        )

    def ran(self, key: str) -> None:
        self._connection.execute("INSERT INTO runs VALUES (?, ?)", (key, os.getpid()))

    def effect(self, key: str, *, once: str | None) -> None:
        """Do it; a downstream that knows the key *once* does it only once."""
        self._connection.execute(
            "INSERT OR IGNORE INTO effects VALUES (?, ?)", (key, once)
        )

    def receipt(self, key: str, *, once: str, told: str) -> str:
        """Do a step's effect; whoever comes again with *once* hears what was *told*."""
        self._connection.execute(
            "INSERT OR IGNORE INTO receipts VALUES (?, ?, ?)", (key, once, told)
        )
        query = "SELECT told FROM receipts WHERE once = ?"
        first: str = self._connection.execute(query, (once,)).fetchone()[0]
        return first

    def receipts(self, key: str) -> list[str]:
        """Give what was told of all effects of *key*, in their order."""
        query = "SELECT told FROM receipts WHERE key = ? ORDER BY rowid"
        return [row[0] for row in self._connection.execute(query, (key,))]

    def runs(self, key: str) -> int:
        return self._count("SELECT count(*) FROM runs WHERE key = ?", key)

    def effects(self, key: str) -> int:
        return self._count("SELECT count(*) FROM effects WHERE key = ?", key)

    def _count(self, query: str, key: str) -> int:
        number: int = self._connection.execute(query, (key,)).fetchone()[0]
        return number

    def close(self) -> None:
        self._connection.close()


class Shop:
    """The app: its work says by its path how it ends."""

    def __init__(self, ledger: Ledger, gate: PipeGate) -> None:
        self._ledger = ledger
        self._gate = gate
        self._orders = orders(ledger)

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            await self._lifespan(receive, send)
            return
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        key = headers["idempotency-key"]
        _, guarantee, work = scope["path"].split("/")
        self._ledger.ran(key)
        if work == "poison":
            os._exit(9)
        if work in ("steps", "charge"):
            await self._orders(scope, receive, send)
            return
        answer = []
        if work == "refusals":
            answer.append((b"keyonce-outcome", b"release"))
        elif work == "doubts":
            answer.append((b"keyonce-outcome", b"unknown"))
        else:
            await self._pay(key, guarantee)
            await asyncio.sleep(float(headers.get("x-seconds", "0")))
        body = os.urandom(16).hex().encode()
        length = str(len(body)).encode()
        answer += [(b"x-receipt", body[:8]), (b"content-length", length)]
        await send({"type": "http.response.start", "status": 201, "headers": answer})
        await send({"type": "http.response.body", "body": body})

    async def _pay(self, key: str, guarantee: str) -> None:
        once = f"charge of {key}" if guarantee == "resume" else None
        await asyncio.to_thread(self._gate, "effect.before")
        self._ledger.effect(key, once=once)
        await asyncio.to_thread(self._gate, "effect.after")

    async def _lifespan(self, receive, send):
        while True:
            kind = (await receive())["type"]
            await send({"type": f"{kind}.complete"})
            if kind == "lifespan.shutdown":
                return


def guarded(settings):
    """Put the guard around the shop as *settings* say."""
    gate = PipeGate(
        *settings["stop"], report=settings["report"], go_on=settings["go_on"]
    )
    store = open_async_store(settings["store"])
    rules = [
        Rule(
            f"POST /{word}/**",
            Policy(
                guarantee=guarantee,
                lease=timedelta(seconds=settings["lease"]),
                in_flight=settings["in_flight"],
                patience=timedelta(seconds=30),
                max_executions=3,
            ),
        )
        for word, guarantee in PATHS.items()
    ]
    return IdempotencyMiddleware(
        Shop(Ledger(settings["ledger"]), gate),
        store=AsyncPausingStore(store, gate) if settings["stop"] else store,
        scope=by_header("X-Api-Key"),
        rules=rules,
    )


def main() -> None:
    settings = json.loads(sys.argv[1])
    config = uvicorn.Config(
        guarded(settings), log_level="warning", timeout_graceful_shutdown=5
    )
    listener = socket.socket(fileno=settings["listener"])
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
