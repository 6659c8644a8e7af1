# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Payments and refunds in steps: what broke off is taken up where it was."""

from __future__ import annotations

import json
import os
import sqlite3
import urllib.request
from contextlib import closing
from datetime import timedelta
from typing import Any

from flask import Flask, request

from keyonce import (
    Guarantee,
    Policy,
    Rule,
    by_header,
    current_downstream_key,
    current_work,
)
from keyonce.integrations.wsgi import IdempotencyMiddleware

PROVIDER = os.environ.get("PROVIDER", "http://127.0.0.1:9000")
PATIENCE = float(os.environ.get("PATIENCE", "3"))  # seconds, with a silent provider
DATABASE = "payments.db"


# ------------------------------------------------------------------ the provider


def send(path: str, body: dict[str, Any]) -> str:
    """Have the provider do something, once for this step of this payment."""
    headers = {"Content-Type": "application/json"}
    # Derived from our own record, for the step at hand: the same on each retry.
    headers["Idempotency-Key"] = current_downstream_key() or ""
    data = json.dumps(body).encode()
    sent = urllib.request.Request(PROVIDER + path, data, headers)
    with urllib.request.urlopen(sent, timeout=PATIENCE) as answer:
        return str(json.load(answer)["id"])


def charge(order: str, amount: int) -> str:
    return send("/charges", {"order": order, "amount": amount})


def give_back(charged: str) -> str:
    return send("/refunds", {"charge": charged})


# --------------------------------------------------------------------- our books


def open_books() -> closing[sqlite3.Connection]:
    books = sqlite3.connect(DATABASE, timeout=10, isolation_level=None)
    books.execute("CREATE TABLE IF NOT EXISTS books (key TEXT UNIQUE, entry TEXT)")
    return closing(books)


def book(entry: str) -> None:
    """Note it; here the key of the step is the unique one."""
    with open_books() as books:
        books.execute(
            "INSERT OR IGNORE INTO books VALUES (?, ?)",
            (current_downstream_key(), entry),
        )


# ----------------------------------------------------------------------- the web

site = Flask(__name__)


@site.post("/payments")
def pay() -> tuple[dict[str, Any], int]:
    order, work = request.get_json(), current_work()
    charged = work.step("charge", charge, order["order"], order["amount"])
    work.reference(charged)  # operators see it beside the key, whatever comes
    work.step("book", book, f"{order['order']} paid by {charged}")
    return {"order": order["order"], "charge": charged}, 201


@site.post("/payments/<charged>/refunds")
def refund(charged: str) -> tuple[dict[str, Any], int]:
    work = current_work()
    refunded = work.step("refund", give_back, charged)
    work.reference(refunded)
    work.step("book", book, f"{charged} given back by {refunded}")
    return {"charge": charged, "refund": refunded}, 201


@site.get("/books")
def show() -> list[str]:
    with open_books() as books:
        return [row[0] for row in books.execute("SELECT entry FROM books")]


@site.errorhandler(OSError)
def provider_is_silent(_error: OSError) -> tuple[dict[str, str], int]:
    # Under resume a 5xx frees the key: what is recorded stays, the rest runs again.
    return {"error": "The provider is silent. Send this again, under its key."}, 503


POLICY = Policy(
    guarantee=Guarantee.RESUME,
    required=True,
    retention=timedelta(days=7),
    lease=timedelta(
        seconds=3
    ),  # so long does a retry wait for a worker that was killed
)
site.wsgi_app = IdempotencyMiddleware(  # type: ignore[method-assign] # as Flask says
    site.wsgi_app,
    store=f"sqlite:///{DATABASE}",
    scope=by_header("X-Api-Key"),
    rules=[
        Rule("POST /payments", POLICY),
        Rule("POST /payments/{charge}/refunds", POLICY),
    ],
)


def main() -> None:
    site.run(port=int(os.environ.get("PORT", "8000")), threaded=True)


if __name__ == "__main__":
    main()
