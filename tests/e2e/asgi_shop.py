# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A shop that notes each sale in a file, for several workers of a server to import."""

from __future__ import annotations

import json
import os
from datetime import timedelta

from keyonce import Policy, Rule, by_header
from keyonce.core.policy import InFlightAnswer
from keyonce.integrations.asgi import IdempotencyMiddleware


async def shop(scope, receive, send):
    """Sell once for each call; tell who has sold what."""
    if scope["type"] == "lifespan":
        for word in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{word}.complete"})
        return
    if scope["method"] == "POST":
        note = f"{os.getpid()}\n".encode()
        file = os.open(os.environ["SHOP_SALES"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, note)
        os.close(file)
    body = json.dumps({"worker": os.getpid()}).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


app = IdempotencyMiddleware(
    shop,
    store=os.environ["SHOP_STORE"],
    scope=by_header("X-Api-Key"),
    rules=[
        Rule(
            "POST /**",
            Policy(in_flight=InFlightAnswer.WAIT, patience=timedelta(seconds=30)),
        )
    ],
)
