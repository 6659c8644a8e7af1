# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Stock that is reserved exactly once, and never sold twice, by many processes."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any
from uuid import uuid4

from flask import Flask, request
from sqlalchemy import Connection, create_engine, text

from keyonce import Guarantee, Guard, Policy, Rule, by_header, current_work
from keyonce.integrations.wsgi import IdempotencyMiddleware
from keyonce.stores.url import open_store

DATABASE_URL = os.environ.get("DATABASE_URL", "sqlite:///inventory.db")

# So long does a retry wait for a worker that was killed. 30 s is the default; here you
# should not have to wait that long.
LEASE = timedelta(seconds=3)


# ------------------------------------------------------------------ the business

engine = create_engine(DATABASE_URL.replace("postgresql:", "postgresql+psycopg:"))


def open_warehouse() -> None:
    for statement in (
        "CREATE TABLE IF NOT EXISTS stock (sku VARCHAR PRIMARY KEY, available INT)",
        "CREATE TABLE IF NOT EXISTS reservations (id VARCHAR, sku VARCHAR)",
        "INSERT INTO stock VALUES ('lamp', 10), ('chair', 9) ON CONFLICT DO NOTHING",
    ):
        with engine.begin() as connection:
            connection.execute(text(statement))


def take(connection: Connection, sku: str) -> bool:
    """Take one from the stock. The condition holds against all who do so as well."""
    taken = connection.execute(
        text(
            "UPDATE stock SET available = available - 1"
            " WHERE sku = :sku AND available > 0"
        ),
        {"sku": sku},
    )
    return taken.rowcount == 1


def write_down(connection: Connection, sku: str) -> str:
    name = f"r-{uuid4()}"
    connection.execute(
        text("INSERT INTO reservations VALUES (:id, :sku)"), {"id": name, "sku": sku}
    )
    return name


# ---------------------------------------------------------------------- the guard

guard = Guard(open_store(DATABASE_URL))  # in the database of the stock


@guard.once(
    "reserve",
    key=lambda key, _sku: key,
    policy=Policy(guarantee=Guarantee.EXACTLY_ONCE, lease=LEASE),
    connection=engine.connect,
)
def reserve(connection: Connection, _key: str, sku: str) -> dict[str, str]:
    """Run in a transaction of the guard's, which commits the outcome as well."""
    if not take(connection, sku):
        return {"sold_out": sku}  # an outcome as any other: this key keeps it
    return {"reservation": write_down(connection, sku)}


# ------------------------------------------------------------------------ the web

app = Flask(__name__)


def answer(reserved: dict[str, str]) -> Any:
    return reserved, 409 if "sold_out" in reserved else 201


@app.post("/reservations")
def post_reservation() -> Any:
    # One name for this request: the same on each retry, unlike for any other caller.
    key = current_work().downstream_key("reserve")
    return answer(reserve(key, request.get_json()["sku"]))


@app.get("/stock")
def get_stock() -> Any:
    with engine.connect() as connection:
        stock = connection.execute(text("SELECT sku, available FROM stock"))
        return {row.sku: row.available for row in stock}


app.wsgi_app = IdempotencyMiddleware(  # type: ignore[method-assign]
    app.wsgi_app,
    store=DATABASE_URL,
    scope=by_header("X-Api-Key"),
    # A request that broke off may run again: reserve will not do it twice.
    rules=[
        Rule(
            "POST /reservations",
            Policy(guarantee=Guarantee.RESUME, required=True, lease=LEASE),
        )
    ],
)


def main() -> None:
    open_warehouse()
    app.run("127.0.0.1", int(os.environ.get("PORT", "8000")))


if __name__ == "__main__":
    main()
