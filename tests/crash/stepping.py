# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A worker process whose handler takes four steps, under ASGI or WSGI, on any store.

Run as a program with one argument, its settings as JSON. *stops* says by key at which
step a request stays for ever: when that has ``acted``, or when it was ``taken``.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from typing import Any

from keyonce import (
    Guarantee,
    Policy,
    Rule,
    by_header,
    current_async_work,
    current_downstream_key,
    current_work,
)
from keyonce.stores.url import open_async_store, open_store
from tests.crash.app import Ledger
from tests.crash.orders import STEPS


class Orders:
    """The steps of an order, and where they stop."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._ledger = settings["ledger"]
        self._report = settings["report"]
        self._stops = settings["stops"]

    def act(self, key: str, name: str) -> str:
        """Do a step's effect, in a world that knows the downstream key."""
        with closing(Ledger(self._ledger)) as ledger:
            ledger.ran(f"{key} {name}")
            once = current_downstream_key()
            assert once is not None
            told = ledger.receipt(key, once=once, told=os.urandom(8).hex())
        self.stay(key, name, "acted")
        return told

    def stay(self, key: str, name: str, when: str) -> None:
        if [name, when] == self._stops.get(key):
            os.write(self._report, f"{key}\n".encode())
            threading.Event().wait()


def rules(settings: dict[str, Any]) -> list[Rule]:
    lease = timedelta(seconds=settings["lease"])
    return [Rule("POST /**", Policy(guarantee=Guarantee.RESUME, lease=lease))]


def over_wsgi(settings: dict[str, Any]) -> None:
    from werkzeug.serving import make_server

    from keyonce.integrations.wsgi import IdempotencyMiddleware

    orders = Orders(settings)

    def shop(environ, start_response):
        key, work, told = environ["HTTP_IDEMPOTENCY_KEY"], current_work(), []
        for name in STEPS:
            told.append(work.step(name, orders.act, key, name))
            orders.stay(key, name, "taken")
        start_response("201 Created", [("content-type", "application/json")])
        return [json.dumps(told).encode()]

    guarded = IdempotencyMiddleware(
        shop,
        store=open_store(settings["store"]),
        scope=by_header("X-Api-Key"),
        rules=rules(settings),
    )
    make_server(
        "127.0.0.1", 0, guarded, threaded=True, fd=settings["listener"]
    ).serve_forever()


def over_asgi(settings: dict[str, Any]) -> None:
    import uvicorn
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    from keyonce.integrations.asgi import IdempotencyMiddleware

    orders = Orders(settings)

    async def act(key: str, name: str) -> str:
        return await asyncio.to_thread(orders.act, key, name)

    async def shop(request):
        key, work, told = request.headers["idempotency-key"], current_async_work(), []
        for name in STEPS:
            told.append(await work.step(name, act, key, name))
            await asyncio.to_thread(orders.stay, key, name, "taken")
        return JSONResponse(told, status_code=201)

    async def serve() -> None:
        # A thread for each request that stays.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(32))
        guarded = IdempotencyMiddleware(
            Starlette(routes=[Route("/orders", shop, methods=["POST"])]),
            store=open_async_store(settings["store"]),
            scope=by_header("X-Api-Key"),
            rules=rules(settings),
        )
        config = uvicorn.Config(
            guarded, log_level="warning", timeout_graceful_shutdown=5
        )
        listener = socket.socket(fileno=settings["listener"])
        await uvicorn.Server(config).serve(sockets=[listener])

    asyncio.run(serve())


if __name__ == "__main__":
    told = json.loads(sys.argv[1])
    {"asgi": over_asgi, "wsgi": over_wsgi}[told["side"]](told)
