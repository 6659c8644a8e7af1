# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Payments that never run again: of an unknown end the provider is asked."""

from __future__ import annotations

import json
import os
import urllib.request
from datetime import timedelta
from typing import Any

from flask import Flask, request

from keyonce import (
    CompletedWith,
    NeverHappened,
    Policy,
    Reconciler,
    Rule,
    StillUnknown,
    UnknownWork,
    by_header,
    current_work,
    json_answer,
)
from keyonce.integrations.wsgi import IdempotencyMiddleware

PROVIDER = os.environ.get("PROVIDER", "http://127.0.0.1:9000")
PATIENCE = float(os.environ.get("PATIENCE", "3"))  # seconds, with a silent provider


def charge(key: str, order: dict[str, Any]) -> str:
    headers = {"Content-Type": "application/json", "Idempotency-Key": key}
    data = json.dumps(order).encode()
    sent = urllib.request.Request(PROVIDER + "/charges", data, headers)
    with urllib.request.urlopen(sent, timeout=PATIENCE) as answer:
        return str(json.load(answer)["id"])


def find_out(work: UnknownWork) -> CompletedWith | NeverHappened | StillUnknown:
    """Ask the provider what came of a payment; it is asked again if this raises."""
    url = f"{PROVIDER}/charges?key={work.downstream_key('charge')}"
    with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
        charges = json.load(answer)
    if charges:
        return CompletedWith(json_answer(201, said(charges[0]["id"])))
    if work.unknown_for < PATIENCE + 1:
        return StillUnknown()  # what was sent just before may still arrive
    return NeverHappened()  # the next attempt runs


def said(charged: str) -> dict[str, str]:
    return {"charge": charged}


site = Flask(__name__)


@site.post("/payments")
def pay() -> tuple[dict[str, str], int]:
    work = current_work()
    charged = charge(work.downstream_key("charge"), request.get_json())
    work.reference(charged)
    return said(charged), 201


guarded = IdempotencyMiddleware(
    site.wsgi_app,
    store="sqlite:///careful.db",
    scope=by_header("X-Api-Key"),
    rules=[
        Rule(
            "POST /payments",
            Policy(  # at-most-once is the default
                required=True,
                retention=timedelta(days=7),
                lease=timedelta(seconds=2),
                reconcile=find_out,
            ),
        )
    ],
)
site.wsgi_app = guarded  # type: ignore[method-assign] # as Flask says


def main() -> None:
    # Finds out about keys that nobody comes back for, too.
    with Reconciler(guarded.guard, every=timedelta(seconds=1)):
        site.run(port=int(os.environ.get("PORT", "8001")), threaded=True)


if __name__ == "__main__":
    main()
