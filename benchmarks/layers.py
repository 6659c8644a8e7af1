# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""In process: what each layer adds to the bare app, step by step."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from benchmarks.apps import RAW, TEN_FIELDS, answer, guard, scope_of
from benchmarks.table import Line
from benchmarks.timing import fastest
from keyonce import AsyncGuard, AsyncMemoryStore, Policy
from keyonce.core.decide import Proceed
from keyonce.core.ending import Keep
from keyonce.core.model import Attempt, Fingerprint, Identity, StoredResult

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from benchmarks.plan import Plan
    from benchmarks.timing import Batch
    from keyonce.integrations.asgi_request import ASGIApp, Message

    Calls = Callable[[ASGIApp, bytes, bytes, str], Batch]

GROUP: Final = "in process, memory"
STEPS: Final = 40
BARE: Final = "bare app"
# µs over the bare app, from the design; the first of them are for a raw body.
TARGETS: Final = {
    "first request, raw body": 30.0,
    "replay, raw body": 12.0,
    "first request, ten-field JSON": 55.0,
    "replay, ten-field JSON": 35.0,
}


def measure(plan: Plan) -> Iterator[Line]:
    """Measure the layers over a store in memory."""
    times = asyncio.run(_times(plan.either(60, 250)))
    bare = times.pop(BARE)
    yield Line(group=GROUP, what=BARE, value=bare, unit="µs")
    for what, took in times.items():
        added = took - bare
        target = TARGETS.get(what)
        yield Line(
            group=GROUP,
            what=what,
            value=added,
            unit="µs added",
            ratio=None if target is None else added / target,
            against="of the target",
            target="" if target is None else f"≤ {target:.0f} µs",
            met=None if target is None else added <= target,
        )


async def _times(rounds: int) -> dict[str, float]:
    app = guard(answer, AsyncMemoryStore())
    json = b"application/json"
    batches: dict[str, Batch] = {
        BARE: calls(answer, "bare"),
        "the app in a task of its own": _tasks(),
        "guard: begin and finish": _guard(),
        "first request, raw body": calls(app, "raw"),
        "replay, raw body": calls(app, "raw"),
        "first request, ten-field JSON": calls(app, "json", TEN_FIELDS, json),
        "replay, ten-field JSON": calls(app, "json", TEN_FIELDS, json),
    }
    times = await fastest(batches, rounds)
    await app.close()
    return times


def calls(
    app: ASGIApp, name: str, body: bytes = RAW, media_type: bytes = b"text/plain"
) -> Batch:
    """Call *app* with keys that are new in each round, and the same in each batch."""

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def batch(turn: int) -> int:
        for step in range(STEPS):
            scope = scope_of(b"%s-%08d-%04d" % (name.encode(), turn, step), media_type)
            await app(scope, receive, ignore)
        return STEPS

    return batch


async def ignore(_message: Message) -> None:
    """Send nothing to anybody."""


def _tasks() -> Batch:
    async def receive() -> Message:
        return {"type": "http.request", "body": RAW, "more_body": False}

    async def batch(_turn: int) -> int:
        loop = asyncio.get_running_loop()
        for _ in range(STEPS):
            scope = scope_of(b"no matter")
            await asyncio.shield(
                loop.create_task(_whole(answer(scope, receive, ignore)))
            )
        return STEPS

    return batch


async def _whole(work: Awaitable[None]) -> None:
    await work


def _guard() -> Batch:
    guarding, policy = AsyncGuard(AsyncMemoryStore()), Policy()
    fingerprint = Fingerprint("v1", b"f" * 32)
    outcome = Keep(StoredResult(201, (), b"done", size=4))

    def under(_scheme: str) -> Any:
        return None

    async def batch(turn: int) -> int:
        for step in range(STEPS):
            identity = Identity("tenant", "POST /orders", f"{turn}-{step}")
            decision = await guarding.begin(
                Attempt(identity, fingerprint, under), policy
            )
            assert isinstance(decision, Proceed)
            await guarding.finish(decision.lease, outcome, policy)
        return STEPS

    return batch
