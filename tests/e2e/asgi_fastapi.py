# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A FastAPI shop under middlewares of every kind, for a server to import."""

from __future__ import annotations

import os

from fastapi import BackgroundTasks, FastAPI, Request
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware

from keyonce import Policy, Rule, by_header
from keyonce.integrations.asgi import IdempotencyMiddleware

app = FastAPI()
done: list[str] = []


class Order(BaseModel):
    sku: str


async def passing(request, call_next):
    answer = await call_next(request)
    answer.headers["x-passed"] = "yes"
    return answer


app.add_middleware(
    IdempotencyMiddleware,
    store=os.environ["SHOP_STORE"],
    scope=by_header("X-Api-Key"),
    rules=[Rule("POST /**", Policy(required=True))],
)
app.add_middleware(BaseHTTPMiddleware, dispatch=passing)
app.add_middleware(GZipMiddleware, minimum_size=1000)
app.add_middleware(CORSMiddleware, allow_origins=["*"])


@app.get("/done")
async def what_was_done() -> list[str]:
    return done


@app.get("/-/runs/none")
async def ready() -> int:
    return 0


@app.post("/orders", status_code=201)
async def order(order: Order, later: BackgroundTasks):
    done.append(f"sold {order.sku}")
    later.add_task(done.append, f"mailed {order.sku}")
    return {"number": len(done)}


@app.post("/reports")
async def report(request: Request):
    done.append("reported")

    async def lines():
        for number in range(100):
            yield f"{number}: ".encode() + b"x" * 10_000 + b"\n"

    return StreamingResponse(lines(), media_type="text/plain")
