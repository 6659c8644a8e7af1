# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Changes of plan: natural keys, and an effect that is harmless to repeat."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from datetime import timedelta
from typing import Any

from flask import Flask, request

from keyonce import FingerprintRecipe, Guarantee, Policy, Rule, by_header
from keyonce.integrations.wsgi import IdempotencyMiddleware

DATABASE = "plans.db"
PRICES = {"basic": 5, "pro": 12, "team": 40}


# ------------------------------------------------------------------ the business


def connect() -> closing[sqlite3.Connection]:
    return closing(sqlite3.connect(DATABASE, timeout=10))


def open_office() -> None:
    with connect() as connection:
        connection.executescript(
            """
            PRAGMA journal_mode = WAL;
            CREATE TABLE IF NOT EXISTS subscriptions (id TEXT PRIMARY KEY, plan TEXT);
            CREATE TABLE IF NOT EXISTS changes (
                subscription TEXT, period TEXT, was TEXT, becomes TEXT,
                PRIMARY KEY (subscription, period)
            );
            """
        )


def note_change(connection: sqlite3.Connection, *change: str) -> bool:
    """Say whether it is the first change in its period: there is one of these."""
    subscription, period, plan = change
    connection.execute(
        "INSERT OR IGNORE INTO subscriptions VALUES (?, 'basic')", (subscription,)
    )
    noted = connection.execute(
        "INSERT OR IGNORE INTO changes"
        " SELECT id, ?, plan, ? FROM subscriptions WHERE id = ?",
        (period, plan, subscription),
    )
    return noted.rowcount == 1


def change_plan(subscription: str, period: str, plan: str) -> tuple[str, str]:
    """Change it, once in a period; say what it was then, and what it has become.

    It may run again: where the change is noted, nothing is changed.
    """
    with connect() as connection, connection:
        connection.execute("BEGIN IMMEDIATE")
        if note_change(connection, subscription, period, plan):
            connection.execute(
                "UPDATE subscriptions SET plan = ? WHERE id = ?", (plan, subscription)
            )
        found: tuple[str, str] = connection.execute(
            "SELECT was, becomes FROM changes WHERE subscription = ? AND period = ?",
            (subscription, period),
        ).fetchone()
    return found


# ------------------------------------------------------------------------ the web

site = Flask(__name__)


def answer(was: str, becomes: str) -> tuple[dict[str, Any], int]:
    more = PRICES[becomes] - PRICES[was]
    return {"was": was, "plan": becomes, "more_each_month": more}, 200


@site.patch("/subscriptions/<subscription>")
def patch_subscription(subscription: str) -> tuple[dict[str, Any], int]:
    change = request.get_json()
    if change["plan"] not in PRICES:
        return {"error": "There is no such plan."}, 400
    was, becomes = change_plan(subscription, change["period"], change["plan"])
    if becomes != change["plan"]:
        return {"error": f"It became {becomes} in this period already."}, 409
    return answer(was, becomes)


@site.get("/changes")
def get_changes() -> list[list[str]]:
    with connect() as connection:
        return [list(row) for row in connection.execute("SELECT * FROM changes")]


site.wsgi_app = IdempotencyMiddleware(  # type: ignore[method-assign] # as Flask says
    site.wsgi_app,
    store=f"sqlite:///{DATABASE}",
    scope=by_header("X-Api-Key"),
    rules=[
        Rule(
            "PATCH /subscriptions/{id}",
            Policy(
                guarantee=Guarantee.AT_LEAST_ONCE,
                required=True,
                # Whoever changes a setting of his own asks again at once or never.
                retention=timedelta(hours=1),
                # So long does a retry wait for a worker that was killed.
                lease=timedelta(seconds=2),
                # A retry may say when it was sent, and is the same request.
                fingerprint=FingerprintRecipe(exclude=("/sent_at",)),
            ),
        )
    ],
)


def main() -> None:
    open_office()
    site.run(port=int(os.environ.get("PORT", "8000")), threaded=True)


if __name__ == "__main__":
    main()
