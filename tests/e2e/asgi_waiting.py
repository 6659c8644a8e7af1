# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A guarded app whose duplicates wait, and whose first run frees its key."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta

from keyonce import AsyncMemoryStore, Policy, Rule, by_header
from keyonce.core.errors import SafeToRetry
from keyonce.core.policy import InFlightAnswer
from keyonce.integrations.asgi import IdempotencyMiddleware

GUARDED = "IdempotencyMiddleware._carry"
PATIENCE = timedelta(seconds=60)


class Bakery:
    """Holds the first POST until ``GET /open``, then fails it; bakes the others."""

    def __init__(self):
        self.runs = 0
        self.gate = asyncio.Event()

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return
        told = await (self.bake(receive) if scope["method"] == "POST" else tell(scope))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps(told).encode()})

    async def bake(self, receive):
        self.runs += 1
        if self.runs == 1:
            await self.gate.wait()
            raise SafeToRetry("the oven was cold")
        message = await receive()
        return message["body"].decode()


async def tell(scope):
    if scope["path"] == "/open":
        bakery.gate.set()
    tasks = asyncio.all_tasks()
    guarded = sum(GUARDED in str(task.get_coro()) for task in tasks)
    return {"runs": bakery.runs, "guarded": guarded, "tasks": len(tasks)}


bakery = Bakery()
app = IdempotencyMiddleware(
    bakery,
    store=AsyncMemoryStore(),
    scope=by_header("X-Api-Key"),
    rules=[Rule("POST /*", Policy(in_flight=InFlightAnswer.WAIT, patience=PATIENCE))],
)
