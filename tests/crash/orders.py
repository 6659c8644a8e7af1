# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""An order in four steps, as a Starlette application takes them."""

from __future__ import annotations

import os
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from keyonce import StepRule, current_async_work, current_downstream_key

STEP_POINTS = ("note.before", "note.after")
STEPS = ("hold", "charge", "ship", "tell")


def orders(ledger: Any) -> Starlette:
    """Make the application, whose effects are in *ledger*."""

    async def act(key: str, name: str) -> str:
        ledger.ran(f"{key} {name}")
        once = current_downstream_key()
        told: str = ledger.receipt(key, once=once, told=os.urandom(8).hex())
        return told

    async def order(request: Request) -> Response:
        key = request.headers["idempotency-key"]
        work = current_async_work()
        told = [await work.step(name, act, key, name) for name in STEPS]
        return JSONResponse(told, status_code=201)

    async def charge(request: Request) -> Response:
        key, once = request.headers["idempotency-key"], StepRule("charge", safe=False)
        told = await current_async_work().step(once, act, key, "charge")
        return JSONResponse(told, status_code=201)

    paths = {"/resume/steps": order, "/resume/charge": charge}
    return Starlette(
        routes=[Route(path, take, methods=["POST"]) for path, take in paths.items()]
    )
