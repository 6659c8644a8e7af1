# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Signed webhooks of a payment provider, each of which is booked exactly once."""

from __future__ import annotations

import hmac
import json
import os
import sqlite3
import time
from base64 import b64decode, b64encode
from contextlib import closing
from datetime import timedelta
from typing import Any

from flask import Flask, request
from werkzeug.datastructures import Headers

from keyonce import DeliveryDead, DeliveryInProgress, Inbox, MessageReused, SafeToRetry
from keyonce.stores.sqlite import SQLiteStore

DATABASE = "billing.db"
SECRET = os.environ.get("WEBHOOK_SECRET", "whsec_bm90IGEgc2VjcmV0LCBvbmx5IGEgdHJ5")
TOLERANCE = 300  # seconds that our clock and the sender's may be apart

# So long does a redelivery wait for a worker that was killed. 30 s is the default; here
# you should not have to wait that long.
LEASE = timedelta(seconds=3)


# ------------------------------------------------------------------ the business


def connect() -> closing[sqlite3.Connection]:
    return closing(sqlite3.connect(DATABASE, timeout=10))


def open_books() -> None:
    with connect() as connection:
        connection.executescript(
            """
            PRAGMA journal_mode = WAL;
            CREATE TABLE IF NOT EXISTS payments (invoice TEXT, cents INTEGER NOT NULL);
            CREATE TABLE IF NOT EXISTS dead_letters
                (id TEXT, reason TEXT, body BLOB, UNIQUE (id, body));
            """
        )


def book(connection: sqlite3.Connection, payment: dict[str, Any]) -> None:
    connection.execute(
        "INSERT INTO payments VALUES (?, ?)", (payment["invoice"], payment["cents"])
    )


def bury(message_id: str, reason: str, body: bytes) -> None:
    with connect() as connection, connection:
        connection.execute(
            "INSERT OR IGNORE INTO dead_letters VALUES (?, ?, ?)",
            (message_id, reason, body),
        )


# ------------------------------------------------- the signature: standardwebhooks.com


def is_genuine(headers: Headers, body: bytes) -> bool:
    """Say whether *body* is signed by whoever knows the secret, and not long ago."""
    sent_at = headers.get("webhook-timestamp", "")
    if not sent_at.isdecimal() or abs(time.time() - int(sent_at)) > TOLERANCE:
        return False
    signed = f"{headers.get('webhook-id', '')}.{sent_at}.".encode() + body
    key = b64decode(SECRET.removeprefix("whsec_"))
    expected = b"v1," + b64encode(hmac.digest(key, signed, "sha256"))
    return any(
        hmac.compare_digest(expected, signature.encode())
        for signature in headers.get("webhook-signature", "").split()
    )  # there are several while the secret is changed


# ---------------------------------------------------------------------- the inbox

inbox = Inbox(
    SQLiteStore(DATABASE),  # in the database of the payments, so that it can join
    consumer="billing",
    retention=timedelta(days=14),
    replay_window=timedelta(days=7),  # so long does the provider send again
    lease=LEASE,
)


def receive(message_id: str, body: bytes) -> bool:
    """Book what is in *body*, in one transaction with the word that it is booked."""
    with (
        connect() as connection,
        inbox.receive(message_id, payload=body, connection=connection) as delivery,
    ):
        if delivery.first:
            book(connection, json.loads(body))
    return delivery.first


# ------------------------------------------------------------------------ the web

app = Flask(__name__)


@app.post("/webhooks")
def post_webhook() -> Any:
    body = request.get_data()
    if not is_genuine(request.headers, body):
        return {"refused": "the signature is not the provider's"}, 401
    message_id = request.headers["webhook-id"]
    try:
        first = receive(message_id, body)
    except (DeliveryInProgress, SafeToRetry):
        return {"try_again": message_id}, 503, {"Retry-After": "1"}
    except (MessageReused, DeliveryDead) as reason:
        word = "key-reused" if isinstance(reason, MessageReused) else "dead"
        bury(message_id, word, body)
        return {"dead_letter": word}  # acknowledged: to send it again is of no use
    return {"booked": message_id, "duplicate": not first}


@app.get("/books")
def get_books() -> Any:
    with connect() as connection:
        payments = connection.execute("SELECT invoice, cents FROM payments").fetchall()
        dead = connection.execute("SELECT id, reason FROM dead_letters").fetchall()
    return {"payments": payments, "dead_letters": dead}


def main() -> None:
    open_books()
    app.run("127.0.0.1", int(os.environ.get("PORT", "8000")))


if __name__ == "__main__":
    main()
