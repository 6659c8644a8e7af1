# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Somebody else's payment service: it acts once for each key, and may die of it."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

LEDGER = "provider.db"
KINDS = {"/charges": "ch", "/refunds": "re"}
mood: list[
    str
] = []  # what it does after the next charge or refund, instead of answering


def open_ledger() -> closing[sqlite3.Connection]:
    ledger = sqlite3.connect(LEDGER, timeout=10, isolation_level=None)
    ledger.execute(
        "CREATE TABLE IF NOT EXISTS ledger"
        " (id INTEGER PRIMARY KEY, kind TEXT, key TEXT UNIQUE, about TEXT)"
    )
    return closing(ledger)


def act(kind: str, key: str, about: Any) -> dict[str, Any]:
    """Move the money, unless that was done under this key before."""
    with open_ledger() as ledger:
        ledger.execute(
            "INSERT OR IGNORE INTO ledger (kind, key, about) VALUES (?, ?, ?)",
            (kind, key, json.dumps(about)),
        )
    return look_up(key)[0]


def look_up(key: str = "") -> list[dict[str, Any]]:
    with open_ledger() as ledger:
        rows = ledger.execute(
            "SELECT kind, id, about FROM ledger WHERE ? IN ('', key) ORDER BY id",
            (key,),
        ).fetchall()
    return [{"id": f"{row[0]}_{row[1]}", **json.loads(row[2])} for row in rows]


class Provider(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/mood":
            mood.append(body["next"])
            self.answer({"mood": mood})
            return
        done = act(KINDS[self.path], self.headers["Idempotency-Key"], body)
        after = mood.pop() if mood else "answer"
        if after == "die":
            os._exit(1)  # the money has moved, and nobody hears of it
        if after == "hang":
            threading.Event().wait()
        self.answer(done)

    def do_GET(self) -> None:
        key = parse_qs(urlsplit(self.path).query).get("key", [""])[0]
        self.answer(look_up(key))

    def answer(self, value: Any) -> None:
        body = json.dumps(value).encode() + b"\n"
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    port = int(os.environ.get("PORT", "9000"))
    ThreadingHTTPServer(("127.0.0.1", port), Provider).serve_forever()


if __name__ == "__main__":
    main()
