# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Shops that commit order and answer together, for servers to import.

The process kills itself where a file named like the place in ``SHOP_FOLDER`` stands:
``before-ROUTE``, with the effect written and not committed, or ``after-ROUTE``, between
the commit and the first byte of the answer.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
from contextlib import asynccontextmanager, closing, contextmanager
from datetime import timedelta
from pathlib import Path

from keyonce import Guarantee, Policy, Rule, by_header, current_async_work, current_work
from keyonce.integrations import asgi, wsgi

FOLDER = Path(os.environ.get("SHOP_FOLDER", "."))
FILE = FOLDER / "shop.db"
EFFECT = "INSERT INTO orders (name) VALUES ('tea')"
EXACT = Policy(guarantee=Guarantee.EXACTLY_ONCE, lease=timedelta(seconds=1))


def die_at(place):
    """End this process with no word, once, if a test has asked for it."""
    mark = FOLDER / place
    if mark.exists():
        mark.unlink()
        os.kill(os.getpid(), signal.SIGKILL)


def opened():
    return closing(sqlite3.connect(FILE, timeout=20))


@contextmanager
def connect():
    with opened() as connection:
        yield connection
        die_at("after-route")


@asynccontextmanager
async def connect_on_loop():
    with connect() as connection:
        yield connection


def build(reference):
    return {"built": reference}


def rules(connection):
    return [
        Rule("POST /route", EXACT, connection=connection),
        Rule("POST /built", EXACT, rebuild=build),
        Rule("POST /**", EXACT),
    ]


async def on_loop(scope, receive, send):
    """Sell tea, on the event loop."""
    if scope["type"] == "lifespan":
        for word in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{word}.complete"})
        return
    said = b"sold"
    match scope["path"].strip("/"):
        case "route":
            current_async_work().connection.execute(EFFECT)
            die_at("before-route")
        case "own" | "built" as form:
            work = current_async_work()
            with opened() as connection:
                async with work.transaction(connection):
                    connection.execute(EFFECT)
                    if form == "own":
                        await work.complete(b"sold", status=201)
                    else:
                        await work.complete(reference="tr_1", status=201)
                    die_at(f"before-{form}")
                die_at(f"after-{form}")
        case _:
            said = b"null"
    status = 201 if scope["method"] == "POST" else 200
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": said})


def in_threads(environ, start_response):
    """Sell tea, in a thread."""
    said = b"sold"
    match environ["PATH_INFO"].strip("/"):
        case "route":
            current_work().connection.execute(EFFECT)
            die_at("before-route")
        case "own" | "built" as form:
            work = current_work()
            with opened() as connection:
                with work.transaction(connection):
                    connection.execute(EFFECT)
                    if form == "own":
                        work.complete(b"sold", status=201)
                    else:
                        work.complete(reference="tr_1", status=201)
                    die_at(f"before-{form}")
                die_at(f"after-{form}")
        case _:
            said = json.dumps(None).encode()
    posted = environ["REQUEST_METHOD"] == "POST"
    start_response("201 Created" if posted else "200 OK", [])
    return [said]


def asgi_app():
    return asgi.IdempotencyMiddleware(
        on_loop,
        store=f"sqlite:///{FILE}",
        scope=by_header("X-Api-Key"),
        rules=rules(connect_on_loop),
    )


def wsgi_app():
    return wsgi.IdempotencyMiddleware(
        in_threads,
        store=f"sqlite:///{FILE}",
        scope=by_header("X-Api-Key"),
        rules=rules(connect),
    )
