# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Commands that wait for one another travel together."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from asyncio import Future

# A client may be set to decode answers as text; ours are bytes.
RAW: Final = {"NEVER_DECODE": ()}


class _Asked(NamedTuple):
    command: tuple[Any, ...]
    answer: Future[Any]


class Lane:
    """One trip after the other, each with all that was asked during the last.

    A lone command goes at once, in its caller's own task. What was asked meanwhile
    goes in a pipeline; of that, a cancelled caller only drops its answer.
    """

    __slots__ = ("_asked", "_busy", "_client", "_timeout", "_trips")

    def __init__(self, client: Any, timeout: float) -> None:
        """Travel by *client*; no pipeline takes longer than *timeout* seconds."""
        self._client = client
        self._timeout = timeout
        self._asked: list[_Asked] = []
        self._busy = False
        self._trips: asyncio.Task[None] | None = None

    @property
    def load(self) -> int:
        """How many wait here, those on the way counted as one."""
        return len(self._asked) + self._busy

    async def ask(self, *command: Any) -> Any:
        """Send *command*, now or with others, and wait for its answer."""
        if self._busy:
            answer = asyncio.get_running_loop().create_future()
            self._asked.append(_Asked(command, answer))
            return await answer
        self._busy = True
        try:
            return await self._alone(command)
        finally:
            if self._asked:
                self._trips = asyncio.get_running_loop().create_task(self._travel())
            else:
                self._busy = False

    async def _alone(self, command: tuple[Any, ...]) -> Any:
        task = asyncio.current_task()
        before = 0 if task is None else task.cancelling()
        answer = await self._client.execute_command(*command, **RAW)
        # redis-py 8.1 can lose a cancellation that comes while it waits.
        if task is not None and task.cancelling() > before:
            raise asyncio.CancelledError
        return answer

    async def end(self) -> None:
        """Wait until nobody is on the way."""
        if self._trips is not None:
            await asyncio.wait((self._trips,))

    async def _travel(self) -> None:
        try:
            while self._asked:
                together, self._asked = self._asked, []
                await self._deliver(together)
        finally:
            self._busy, self._trips = False, None
            _cancel(self._asked)  # some are left only where the loop is being closed

    async def _deliver(self, together: list[_Asked]) -> None:
        try:
            async with asyncio.timeout(self._timeout):
                answers = await self._trip(together)
        except Exception as error:  # noqa: BLE001 - it is for those who asked
            answers = [error] * len(together)
        except BaseException:
            _cancel(together)
            raise
        for (_, future), answer in zip(together, answers, strict=True):
            if future.done():
                continue
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)

    async def _trip(self, together: list[_Asked]) -> list[Any]:
        pipeline = self._client.pipeline(transaction=False)
        for command, _ in together:
            pipeline.execute_command(*command, **RAW)
        answers: list[Any] = await pipeline.execute(raise_on_error=False)
        return answers


def _cancel(asked: list[_Asked]) -> None:
    for _, answer in asked:
        answer.cancel()
