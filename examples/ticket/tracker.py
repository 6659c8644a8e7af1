# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A ticket tracker as many have one: it knows nothing of keys, nor of retries."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


def connect() -> closing[sqlite3.Connection]:
    return closing(sqlite3.connect("tickets.db", timeout=10))


def create_ticket(title: str) -> dict[str, Any]:
    with connect() as connection, connection:
        created = connection.execute("INSERT INTO tickets (title) VALUES (?)", (title,))
        return {"ticket": created.lastrowid, "title": title}


def all_tickets() -> list[dict[str, Any]]:
    with connect() as connection:
        rows = connection.execute("SELECT id, title FROM tickets ORDER BY id")
        return [{"ticket": number, "title": title} for number, title in rows]


def page(name: str) -> None:
    """Ring *name* until somebody answers, which takes as long as it takes."""
    print(f"ringing {name}")
    time.sleep(20)


class Tracker(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.answer(200, all_tickets())

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        asked = json.loads(self.rfile.read(length))
        ticket = create_ticket(asked["title"])
        if "page" in asked:
            page(asked["page"])
        self.answer(201, ticket)

    def answer(self, status: int, told: Any) -> None:
        body = json.dumps(told).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    with connect() as connection:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS tickets (id INTEGER PRIMARY KEY, title TEXT)"
        )
    port = int(os.environ.get("PORT", "8000"))
    ThreadingHTTPServer(("127.0.0.1", port), Tracker).serve_forever()


if __name__ == "__main__":
    main()
