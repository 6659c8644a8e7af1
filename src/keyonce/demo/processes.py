# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Child processes of the demo: started, heard, killed, ended one by one."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

READY_WITHIN = 30.0
ENDS_WITHIN = 6.0


class ChildFailed(RuntimeError):
    """A process of the demo did not start. The message holds its last words."""


class Child:
    """One Python process, known by its id and by nothing else."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        log: Path,
        heard: Callable[[Child, str], None],
    ) -> None:
        """Hand each line that *process* says to *heard*; its errors are in *log*."""
        self._process = process
        self._log = log
        self._heard = heard
        self._hearing = asyncio.create_task(self._hear())

    @classmethod
    async def start(
        cls,
        arguments: Sequence[str],
        log: Path,
        *,
        heard: Callable[[Child, str], None],
        fds: Sequence[int] = (),
    ) -> Child:
        """Start Python with *arguments*, where a Ctrl-C in the terminal spares it."""
        with log.open("ab") as errors:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *arguments,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                pass_fds=fds,
                cwd=log.parent,
                env=_environment(),
                start_new_session=True,
            )
        return cls(process, log, heard)

    @property
    def ended(self) -> bool:
        """Whether the process is gone."""
        return self._process.returncode is not None

    async def until(self, ready: Callable[[], bool]) -> None:
        """Wait until *ready*, or raise ChildFailed when that will never be."""
        try:
            async with asyncio.timeout(READY_WITHIN):
                while not ready():
                    if self.ended:
                        raise self._failed("ended at its start")
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise self._failed(f"was not ready in {READY_WITHIN:.0f} s") from None

    async def kill(self) -> None:
        """End it with -9, without a word of warning."""
        if not self.ended:
            self._process.kill()
        await self._gone()

    async def end(self) -> None:
        """Ask it to end, and insist after a while."""
        if not self.ended:
            self._process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(ENDS_WITHIN):
                    await self._process.wait()
            except TimeoutError:
                self._process.kill()
        await self._gone()

    async def _hear(self) -> None:
        if self._process.stdout is None:
            return
        async for line in self._process.stdout:
            self._heard(self, line.decode(errors="replace").strip())

    async def _gone(self) -> None:
        await self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()
        await self._hearing

    def _failed(self, what: str) -> ChildFailed:
        last = last_lines(self._log)
        return ChildFailed(f"A process {what}; the last words in its log:\n{last}")


def _environment() -> dict[str, str]:
    """Give ours without the sidecar's settings: the demo has its own."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("KEYONCE_")
    }


def last_lines(log: Path) -> str:
    """Give the end of *log*."""
    words = log.read_text(encoding="utf-8", errors="replace")
    return "\n".join(words.splitlines()[-25:]) or "(none)"
