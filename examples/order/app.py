# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Orders that are placed exactly once: stock, order and outcome are one transaction."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from contextlib import closing
from datetime import timedelta
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from keyonce import Guarantee, Guard, Policy, Rule, by_header, current_async_work
from keyonce.integrations.asgi import IdempotencyMiddleware
from keyonce.stores.sqlite import SQLiteStore

DATABASE = "shop.db"

# So long does a retry wait for a worker that was killed. 30 s is the default; here you
# should not have to wait that long.
LEASE = timedelta(seconds=2)


# ------------------------------------------------------------------ the business


def connect() -> closing[sqlite3.Connection]:
    return closing(sqlite3.connect(DATABASE, timeout=10))


def open_shop() -> None:
    with connect() as connection:
        connection.executescript(
            """
            PRAGMA journal_mode = WAL;
            CREATE TABLE IF NOT EXISTS stock (item TEXT PRIMARY KEY, quantity INTEGER);
            CREATE TABLE IF NOT EXISTS orders
                (id INTEGER PRIMARY KEY, item TEXT, quantity INTEGER);
            INSERT OR IGNORE INTO stock VALUES ('tea', 100), ('teapot', 1);
            """
        )


def take_stock(connection: sqlite3.Connection, item: str, quantity: int) -> bool:
    taken = connection.execute(
        "UPDATE stock SET quantity = quantity - ? WHERE item = ? AND quantity >= ?",
        (quantity, item, quantity),
    )
    return taken.rowcount == 1


def write_order(connection: sqlite3.Connection, item: str, quantity: int) -> int | None:
    values = (item, quantity)
    return connection.execute(
        "INSERT INTO orders (item, quantity) VALUES (?, ?)", values
    ).lastrowid


# ---------------------------------------------------------------------- the guard

guard = Guard(SQLiteStore(DATABASE))  # in the database of the orders, so it can join


@guard.once(
    "place-order",
    key=lambda key, _order: key,
    policy=Policy(guarantee=Guarantee.EXACTLY_ONCE, lease=LEASE),
    connection=connect,
)
def place_order(
    connection: sqlite3.Connection, _key: str, order: dict[str, Any]
) -> dict[str, Any]:
    """Run in a transaction that the guard opens, and commits with what is returned."""
    item, quantity = str(order["item"]), int(order["quantity"])
    if not take_stock(connection, item, quantity):
        return {"sold_out": item}
    return {"order": write_order(connection, item, quantity), "item": item}


# ------------------------------------------------------------------------ the web


def answer(placed: dict[str, Any]) -> JSONResponse:
    return JSONResponse(placed, status_code=409 if "sold_out" in placed else 201)


async def post_order(request: Request) -> JSONResponse:
    # One name for this request: the same on each retry, unlike for any other caller.
    key = current_async_work().downstream_key("place-order")
    placed = await asyncio.to_thread(place_order, key, await request.json())
    return answer(placed)


async def get_shop(_request: Request) -> JSONResponse:
    with connect() as connection:
        orders = connection.execute("SELECT id, item, quantity FROM orders").fetchall()
        stock = dict(connection.execute("SELECT item, quantity FROM stock"))
    return JSONResponse({"orders": orders, "stock": stock})


app = Starlette(
    routes=[
        Route("/orders", post_order, methods=["POST"]),
        Route("/shop", get_shop),
    ]
)
app.add_middleware(
    IdempotencyMiddleware,
    store=f"sqlite:///{DATABASE}",
    scope=by_header("X-Api-Key"),
    # A handler that broke off may run again: place_order will not do it twice.
    rules=[
        Rule(
            "POST /orders",
            Policy(guarantee=Guarantee.RESUME, required=True, lease=LEASE),
        )
    ],
)


def main() -> None:
    open_shop()
    port = int(os.environ.get("PORT", "8000"))
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    main()
