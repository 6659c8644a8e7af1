# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A Redis server, or several that act as one, as one event loop speaks to it."""

from __future__ import annotations

import asyncio
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, TypeVar

from keyonce.core.flow import arun
from keyonce.stores.redis.clients import parts_of
from keyonce.stores.redis.lane import RAW, Lane
from keyonce.stores.redis.scripts import command_of, scripts
from keyonce.stores.redis.translate import is_noscript, readable, translated
from keyonce.stores.redis.words import ScriptCall, Together

if TYPE_CHECKING:
    from keyonce.stores.redis.server import Server
    from keyonce.stores.redis.words import Procedure, Word

R = TypeVar("R")

# So few connections serve any number of tasks; with one, a large outcome on its way
# would make everybody wait.
LANES: Final = 2

_LOAD: Final = attrgetter("load")


class AsyncServer:
    """What runs the scripts of a loop."""

    def __init__(
        self, client: Any, threads: Server, *, timeout: float, ours: bool
    ) -> None:
        """Speak by *client*; *threads* looks at the settings; close it if *ours*."""
        self._client = client
        self._threads = threads
        self._timeout = timeout
        self._ours = ours
        self._checked = False
        self._lanes = [Lane(client, timeout) for _ in range(LANES)]

    async def run(self, procedure: Procedure[R]) -> R:
        """Carry out *procedure*, which may ask for scripts only.

        Raises:
            ConfigurationError: the settings of the server break the promises.
            StoreUnavailable: it did not answer in time.
        """
        with translated():
            async with asyncio.timeout(self._timeout):
                if not self._checked:
                    await asyncio.to_thread(self._threads.check)
                    self._checked = True
                return await arun(procedure, self._perform)

    async def _perform(self, word: Word) -> Any:
        if isinstance(word, Together):
            return await self._together(word.calls)
        if not isinstance(word, ScriptCall):
            raise TypeError(word)  # operators' words are for threads
        script, keys, args = word
        with translated():
            lane = min(self._lanes, key=_LOAD)
            try:
                return await lane.ask(*command_of(word))
            except Exception as error:
                if not is_noscript(error):
                    raise
            text = scripts()[script].text
            return await lane.ask("EVAL", text, len(keys), *keys, *args)

    async def _together(self, calls: tuple[ScriptCall, ...]) -> list[Any]:
        with translated():
            pipeline = self._client.pipeline(transaction=False)
            for command in map(command_of, calls):
                pipeline.execute_command(*command, **RAW)
            answers = await pipeline.execute(raise_on_error=False)
            return [
                await self._perform(call) if is_noscript(answer) else readable(answer)
                for call, answer in zip(calls, answers, strict=True)
            ]

    async def close(self) -> None:
        """Close the client if it was made here."""
        for lane in self._lanes:
            await lane.end()
        if not self._ours:
            return
        for part in parts_of(self._client):
            await (getattr(part, "aclose", None) or part.close)()
