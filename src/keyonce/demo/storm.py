# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The storm: many clients at once who lose answers, hang up and ask again."""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import dataclass, replace
from random import Random
from time import perf_counter
from typing import TYPE_CHECKING, Protocol

from keyonce.demo.plan import Fault, Operation
from keyonce.demo.wire import Answer, HangUp, LoseAnswer, Request, exchange

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from keyonce.demo.wire import Address, Cut

FEWEST_AT_ONCE = 4
MOST_AT_ONCE = 32
"""A small storm has fewer operations at once: each kill takes some with it."""

MOST_ATTEMPTS = 40
FIRST_PAUSE = 0.03
LONGEST_PAUSE = 0.4
LONGEST_RETRY_AFTER = 0.25
SERVER_ERROR = 500
OK = range(200, 300)


@dataclass(frozen=True, slots=True)
class Attempt:
    """What one client noted of one request: *status* is None without an answer.

    *code* is the problem's code, *digest* that of the answer's body, *took* is
    in seconds.
    """

    operation: str
    key: str
    amount: int
    client: int
    took: float
    status: int | None = None
    code: str = ""
    replayed: bool = False
    digest: bytes = b""

    @property
    def succeeded(self) -> bool:
        """Whether the client was told that its wish is done."""
        return self.status in OK


@dataclass(frozen=True, slots=True)
class Notes:
    """All that the clients of one storm noted; *seconds* is how long it took."""

    attempts: tuple[Attempt, ...]
    seconds: float
    strikes: int


class Stage(Protocol):
    """Where a storm is played: fronts to talk to, processes to be killed."""

    @property
    def fronts(self) -> Sequence[Address]:
        """The addresses that clients use, in turn."""

    @property
    def strikes(self) -> int:
        """How many processes have been killed."""

    def expect(self, operation: Operation, front: Address) -> None:
        """Kill what *operation* asks for once the shop says that it holds it."""


async def play(
    schedule: Sequence[Operation], stage: Stage, advance: Callable[[], None]
) -> Notes:
    """Play *schedule* on *stage*; *advance* is called as each operation ends."""
    begun = perf_counter()
    attempts: list[Attempt] = []
    waiting = iter(schedule)

    async def one_after_another() -> None:
        for operation in waiting:
            await _perform(operation, stage, attempts)
            advance()

    async with asyncio.TaskGroup() as group:
        for _ in range(_at_once(len(schedule))):
            group.create_task(one_after_another())
    return Notes(tuple(attempts), perf_counter() - begun, stage.strikes)


def _at_once(operations: int) -> int:
    return max(FEWEST_AT_ONCE, min(MOST_AT_ONCE, operations // 15))


async def _perform(operation: Operation, stage: Stage, attempts: list[Attempt]) -> None:
    """Ask for *operation* as its clients do, then once more as a mistake."""
    async with asyncio.TaskGroup() as group:
        for client in range(operation.clients):
            pursuit = _Pursuit(operation, client, operation.amount, stage, attempts)
            group.create_task(pursuit.pursue())
    if operation.fault is Fault.REUSED_KEY:
        other = _Pursuit(
            operation, operation.clients, operation.amount + 1, stage, attempts
        )
        await other.pursue()


class _Pursuit:
    """One client with one wish: it asks until it has a clear answer."""

    def __init__(
        self,
        operation: Operation,
        client: int,
        amount: int,
        stage: Stage,
        attempts: list[Attempt],
    ) -> None:
        self._operation = operation
        self._client = client
        self._amount = amount
        self._stage = stage
        self._attempts = attempts
        self._chance = Random(f"{operation.key} {client}")
        self._request = _request(operation, amount)

    async def pursue(self) -> None:
        """Ask, and ask again with the same key while the answer is unclear."""
        for number in range(MOST_ATTEMPTS):
            answer = await self._attempt(number)
            if answer is not None and not _worth_a_retry(answer):
                return
            await asyncio.sleep(self._pause(number, answer))

    async def _attempt(self, number: int) -> Answer | None:
        operation = self._operation
        fronts = self._stage.fronts
        front = fronts[(operation.number + self._client + number) % len(fronts)]
        if operation.strike and number == 0:
            self._stage.expect(operation, front)
        cut = _cut(operation) if number == 0 and self._client == 0 else None
        begun = perf_counter()
        answer = await exchange(front, self._request, cut=cut)
        self._note(answer, perf_counter() - begun)
        return answer

    def _note(self, answer: Answer | None, took: float) -> None:
        name, key = self._operation.name, self._operation.key
        note = Attempt(name, key, self._amount, self._client, took)
        if answer is not None:
            note = replace(
                note,
                status=answer.status,
                code=_code(answer),
                replayed="idempotency-replayed" in answer.headers,
                digest=hashlib.sha256(answer.body).digest(),
            )
        self._attempts.append(note)

    def _pause(self, number: int, answer: Answer | None) -> float:
        """Back off with jitter; Retry-After counts, up to a short while."""
        asked = answer.headers.get("retry-after", "") if answer else ""
        if asked.isdecimal():
            pause = min(float(asked), LONGEST_RETRY_AFTER)
        else:
            pause = min(FIRST_PAUSE * 2.0**number, LONGEST_PAUSE)
        return pause * self._chance.uniform(0.6, 1.0)


def _request(operation: Operation, amount: int) -> Request:
    headers = {
        "Content-Type": "application/json",
        "Idempotency-Key": f'"{operation.key}"',
        "X-Api-Key": operation.customer,
    }
    return Request("POST", operation.path, headers, operation.body(amount))


def _cut(operation: Operation) -> Cut:
    match operation.fault:
        case Fault.LOST_ANSWER:
            return LoseAnswer()
        case Fault.HANG_UP | Fault.IMPATIENCE:
            return HangUp(operation.fault_after)
        case _:
            return None


def _worth_a_retry(answer: Answer) -> bool:
    """Say whether asking again may help: 422 and an unknown outcome are ends."""
    return answer.status >= SERVER_ERROR or _code(answer) == "request-in-progress"


def _code(answer: Answer) -> str:
    """Give the code of a problem, or nothing."""
    if "problem+json" not in answer.headers.get("content-type", ""):
        return ""
    problem = json.loads(answer.body)
    return str(problem.get("code", "")) if isinstance(problem, dict) else ""
