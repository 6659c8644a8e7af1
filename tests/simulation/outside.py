# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The world outside: a payment provider with a ledger, and the handler that pays.

What reaches the provider happens, also when whoever sent it is dead by then.
"""

from __future__ import annotations

import asyncio
from asyncio import Future, get_running_loop
from typing import Any

from keyonce.core.errors import SafeToRetry
from keyonce.core.guarantee import Guarantee
from keyonce.core.model import Identity, StoredResult
from keyonce.core.reconcile import (
    CompletedWith,
    NeverHappened,
    StillUnknown,
    UnknownWork,
)
from keyonce.engine.aio_work import AsyncWork
from keyonce.engine.current import current_place
from keyonce.engine.steps import StepRule
from keyonce.engine.unrecorded import NOBODY
from tests.simulation.history import Called, Effect, History, Ran
from tests.simulation.link import PLACE
from tests.simulation.plan import BOUND, Plan
from tests.simulation.weather import Weather
from tests.simulation.world import World

CHARGE = "charge"


class Boom(Exception):
    """What a handler raises that nobody planned for."""


class Provider:
    """Carries out what it is asked for, and writes it into the ledger."""

    def __init__(self, world: World, history: History, weather: Weather) -> None:
        self._world = world
        self._history = history
        self._weather = weather
        self._done: dict[str, int] = {}
        self._void: dict[str, int] = {}

    async def charge(self, run: Ran, step: str, key: str, *, deduplicates: bool) -> int:
        """Do it, and say which run it was done for."""
        world, chance = self._world, self._world.chance
        told: Future[int] = get_running_loop().create_future()
        there, back = chance.between(0.001, 0.05), chance.between(0.001, 0.05)
        fails = self._weather.is_foul and chance.maybe(0.06)
        arrives = not fails or chance.maybe(0.5)

        def arrive() -> None:
            if key in self._void and run.execution <= self._void[key]:
                answer: int | None = None
            elif deduplicates and key in self._done:
                answer = self._done[key]
            else:
                answer = self._done[key] = run.number
                self._history.effects.append(Effect(world.now, run.number, step, key))
                world.note(f"effect {step}")
            if not fails:
                world.after(back, tell, answer)

        def tell(answer: int | None) -> None:
            if told.done():
                return
            if answer is None:
                told.set_exception(Boom("Too late."))
            else:
                told.set_result(answer)

        if arrives:
            world.after(there, arrive)
        if fails:
            world.after(there + back + chance.between(0.0, 2.0), tell, None)
        return await told

    def done_for(self, key: str) -> int | None:
        """Say which run it was done for, if it was."""
        return self._done.get(key)

    def forbid(self, key: str, execution: int) -> None:
        """See to it that no execution up to *execution* does it any more."""
        self._void[key] = max(execution, self._void.get(key, 0))


def answer_of(identity: Identity, payload: bytes, run: int) -> bytes:
    """Make the body by which the oracle knows whose answer it is."""
    parts = [part.encode() for part in identity]
    return b"|".join((*parts, payload, b"%d" % run, b"."))


class Shop:
    """The app behind the guard."""

    def __init__(
        self,
        world: World,
        history: History,
        weather: Weather,
        provider: Provider,
        plan: Plan,
    ) -> None:
        self._world = world
        self._history = history
        self._weather = weather
        self._provider = provider
        self._plan = plan
        chance = world.chance
        resumes = plan.terms.guarantee is Guarantee.RESUME
        styles = ("plain", "steps", "two-steps", "unsafe") if resumes else ("plain",)
        self._style = {b"tea": chance.among(styles), b"rum": chance.among(styles)}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        place = PLACE.get()
        await receive()
        place.phase = "handler"
        run, work = self._begun(place.number)
        try:
            await self._run(run, work, receive, send)
        except asyncio.CancelledError:
            self._history.reached["the handler is cancelled"] += 1
            raise

    def _begun(self, number: int) -> tuple[Ran, AsyncWork | None]:
        asked = self._history.asked[number - 1]
        inside = current_place()
        if inside is not None and inside.lease.identity.scope == NOBODY:
            inside = None  # there is no record, and so no lease
        work = inside.work if inside is not None else None
        assert work is None or isinstance(work, AsyncWork)
        lease = None if inside is None else inside.lease
        run = Ran(
            len(self._history.ran) + 1,
            number,
            asked.identity,
            asked.payload,
            b"" if lease is None else lease.owner,
            0 if lease is None else lease.execution,
            0.0 if lease is None else lease.born_at,
            self._world.now,
        )
        self._history.ran.append(run)
        self._world.note(f"run {asked.node} {asked.identity} {run.execution}")
        return run, work

    async def _run(
        self, run: Ran, work: AsyncWork | None, receive: Any, send: Any
    ) -> None:
        chance, terms = self._world.chance, self._plan.terms
        outcome = self._outcome()
        if outcome != "ok":
            self._history.faults += 1
            self._history.reached[f"handler:{outcome}"] += 1
        foul = self._weather.is_foul
        await self._pause(terms.lease, long=foul and chance.maybe(0.15))
        match outcome:
            case "safe-to-retry":
                raise SafeToRetry("Nothing has happened.")
            case "raises-before":
                raise Boom("before")
            case "status-429" | "status-402":
                await self._answer(send, run, status=int(outcome[-3:]))
                return
            case "steered-release":
                steered = ((b"keyonce-outcome", b"release"),)
                await self._answer(send, run, status=404, headers=steered)
                return
        poisoned = run.payload == self._plan.poison
        if poisoned and chance.maybe(0.5):
            await self._die()
        await self._effects(run, work)
        if poisoned:
            await self._die()
        await self._pause(terms.lease, long=foul and chance.maybe(0.15))
        await self._ended(outcome, run, send)

    async def _ended(self, outcome: str, run: Ran, send: Any) -> None:
        match outcome:
            case "raises-after":
                raise Boom("after")
            case "cancelled":
                raise asyncio.CancelledError
            case "hangs":
                await asyncio.sleep(3 * self._plan.terms.work_limit)
                raise Boom("hung")
            case "status-500":
                await self._answer(send, run, status=500)
            case "broken":
                await self._answer(send, run, breaks=True)
            case "event-stream":
                self._history.streamed.add(run.number)
                kind = ((b"content-type", b"text/event-stream"),)
                await self._answer(send, run, headers=kind)
            case "steered-unknown":
                steered = ((b"keyonce-outcome", b"unknown"),)
                await self._answer(send, run, status=202, headers=steered)
            case "large":
                await self._answer(send, run, padding=b"x" * BOUND)
            case _:
                await self._answer(send, run)

    def _outcome(self) -> str:
        chance = self._world.chance
        if not self._weather.is_foul or not chance.maybe(self._plan.misbehaves):
            return "large" if chance.maybe(0.04) else "ok"
        return chance.among(OUTCOMES)

    async def _pause(self, lease: float, *, long: bool) -> None:
        chance = self._world.chance
        seconds = chance.between(lease, 4 * lease) if long else chance.random() * 0.1
        if long:
            self._history.reached["the work is longer than its lease"] += 1
        await asyncio.sleep(seconds)

    async def _effects(self, run: Ran, work: AsyncWork | None) -> None:
        place = PLACE.get()
        style = self._style[run.payload]
        steps = (CHARGE, "ship") if style == "two-steps" else (CHARGE,)
        resumes = self._plan.terms.guarantee is Guarantee.RESUME
        for step in steps:
            place.phase = "effect"
            if work is None:
                await self._call(run, step, f"unprotected-{run.number}", False)
                continue
            # A key that was freed may be used for something else: so the name says it.
            key = work.downstream_key(f"{step} {run.payload.decode()}")
            if not resumes or style == "plain":
                await self._call(run, step, key, resumes)
                continue
            safe = style != "unsafe"
            rule = StepRule(step, safe=safe)
            await work.step(rule, self._call, run, step, key, safe)
        place.phase = "handler"

    async def _call(self, run: Ran, step: str, key: str, deduplicates: bool) -> int:
        self._history.called.append(Called(self._world.now, run.number, step))
        return await self._provider.charge(run, step, key, deduplicates=deduplicates)

    async def _die(self) -> None:
        """Take the whole process down, as a segmentation fault does."""
        self._history.reached["a poisoned key kills its worker"] += 1
        self._history.faults += 1
        lane = self._world.lane
        assert lane is not None
        self._world.after(0.0, lane.host.dies)  # type: ignore[attr-defined]
        await asyncio.sleep(1e9)

    async def _answer(
        self,
        send: Any,
        run: Ran,
        *,
        status: int = 201,
        headers: tuple[tuple[bytes, bytes], ...] = (),
        padding: bytes = b"",
        breaks: bool = False,
    ) -> None:
        PLACE.get().phase = "answering"
        own = (
            (b"set-cookie", b"session=%d" % run.number),
            (b"x-run", b"%d" % run.number),
        )
        await send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [*headers, *own],
            }
        )
        body = padding + answer_of(run.identity, run.payload, run.number)
        if breaks or self._world.chance.maybe(0.15):
            half = len(body) // 2
            more = {
                "type": "http.response.body",
                "body": body[:half],
                "more_body": True,
            }
            await send(more)
            if breaks:
                raise Boom("in the middle")
            await asyncio.sleep(self._world.chance.random() * 0.05)
            body = body[half:]
        await send({"type": "http.response.body", "body": body, "more_body": False})

    async def ask(self, work: UnknownWork) -> Any:
        """The reconcile hook: ask the provider, and bar the way before saying no."""
        chance = self._world.chance
        await asyncio.sleep(chance.between(0.001, 0.5))
        if self._weather.is_foul and chance.maybe(0.3):
            if chance.maybe(0.3):
                raise Boom("the provider is down")
            self._history.reached["reconcile still unknown"] += 1
            return StillUnknown()
        key = work.downstream_key(f"{CHARGE} tea")
        done_for = self._provider.done_for(key)
        if done_for is None:
            self._provider.forbid(key, work.execution)
            return NeverHappened()
        if chance.maybe(0.2):  # the answer takes its time
            await asyncio.sleep(chance.between(0.1, 3.0))
        run = self._history.ran[done_for - 1]
        body = answer_of(run.identity, run.payload, run.number)
        return CompletedWith(StoredResult(201, ((b"x-run", b"%d" % run.number),), body))


OUTCOMES = (
    "ok",
    "safe-to-retry",
    "raises-before",
    "raises-after",
    "status-500",
    "status-402",
    "status-429",
    "cancelled",
    "hangs",
    "large",
    "broken",
    "event-stream",
    "steered-unknown",
    "steered-release",
)
