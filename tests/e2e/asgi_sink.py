# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A guarded app that lets large requests wait, and does not read them itself."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from keyonce import AsyncMemoryStore, by_header
from keyonce.integrations.asgi import IdempotencyMiddleware


class Sink:
    """Holds every POST until ``GET /open``; ``GET /`` tells how many there are."""

    def __init__(self):
        self.held = 0
        self.gate = asyncio.Event()

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http":
            told = await (
                self.hold() if scope["method"] == "POST" else self.tell(scope)
            )
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send(
                {"type": "http.response.body", "body": json.dumps(told).encode()}
            )

    async def hold(self):
        self.held += 1
        await self.gate.wait()
        return self.held

    async def tell(self, scope):
        if scope["path"] == "/open":
            self.gate.set()
        status = Path("/proc/self/status").read_text(encoding="ascii")
        peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        return {"held": self.held, "peak": 1024 * int(peak.split()[1])}


app = IdempotencyMiddleware(
    Sink(), store=AsyncMemoryStore(), scope=by_header("X-Api-Key")
)
