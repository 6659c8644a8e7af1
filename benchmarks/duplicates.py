# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Ten thousand requests with one key at the same moment, in one process."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from benchmarks.apps import RAW, SCOPE, answer, scope_of
from benchmarks.table import Line
from keyonce import Policy, Rule
from keyonce.core.policy import InFlightAnswer
from keyonce.integrations.asgi import IdempotencyMiddleware
from keyonce.stores.sqlite import AsyncSQLiteStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.plan import Plan
    from keyonce.core.model import Claim, Claimed, Completion, Identity, Record
    from keyonce.integrations.asgi_request import Message, Receive, Scope, Send

GROUP: Final = "duplicates at once, SQLite"
MANY: Final = 10_000
WORKS_FOR: Final = 1.0
PATIENCE: Final = timedelta(seconds=60)


class CountedStore(AsyncSQLiteStore):
    """Counts its trips to the file."""

    def __init__(self, path: Path) -> None:
        """Count from nothing."""
        super().__init__(path)
        self.trips: Counter[str] = Counter()

    def glance(self, identity: Identity) -> Claimed | None:
        self.trips["read"] += 1
        return super().glance(identity)

    async def claim(self, command: Claim) -> Claimed:
        self.trips["claim"] += 1
        return await super().claim(command)

    async def complete(self, command: Completion) -> Record | None:
        self.trips["complete"] += 1
        return await super().complete(command)


def measure(plan: Plan) -> Iterator[Line]:
    """Send them all, and count executions, answers and trips to the store."""
    yield from asyncio.run(_storm(plan.folder / "duplicates.db"))


async def _storm(path: Path) -> list[Line]:
    executions: list[float] = []
    answers: Counter[tuple[int, bytes]] = Counter()

    async def work(scope: Scope, receive: Receive, send: Send) -> None:
        executions.append(time.monotonic())
        await asyncio.sleep(WORKS_FOR)
        await answer(scope, receive, send)

    store = CountedStore(path)
    policy = Policy(in_flight=InFlightAnswer.WAIT, patience=PATIENCE)
    app = IdempotencyMiddleware(
        work, store=store, scope=SCOPE, rules=[Rule("POST /**", policy)]
    )
    began = time.monotonic()
    await asyncio.gather(*(_one(app, answers) for _ in range(MANY)))
    took = time.monotonic() - began - WORKS_FOR
    await app.close()
    await store.close()
    return [*_lines(len(executions), answers, store.trips), _rate(took)]


async def _one(app: IdempotencyMiddleware, answers: Counter[tuple[int, bytes]]) -> None:
    status = 0

    async def receive() -> Message:
        return {"type": "http.request", "body": RAW, "more_body": False}

    async def send(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        else:
            answers[status, message["body"]] += 1

    await app(scope_of(b"one-key-for-all"), receive, send)


def _lines(
    executions: int, answers: Counter[tuple[int, bytes]], trips: Counter[str]
) -> Iterator[Line]:
    equal = max(answers.values())
    yield _count("executions", executions, 1)
    yield Line(
        group=GROUP,
        what=f"equal answers to {MANY:,} requests",
        value=equal,
        unit="",
        target=f"{MANY:,}",
        met=equal == MANY and {status for status, _ in answers} == {201},
    )
    # One look that finds nothing, the claim, the outcome.
    yield _count("trips to the store in all", trips.total(), 3)


def _count(what: str, count: int, most: int) -> Line:
    target = f"≤ {most}"
    return Line(
        group=GROUP, what=what, value=count, unit="", target=target, met=count <= most
    )


def _rate(took: float) -> Line:
    return Line(
        group=GROUP,
        what="time for each, beside the work",
        value=took / MANY * 1e6,
        unit="µs",
    )
