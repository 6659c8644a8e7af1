# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The demo from its options to its exit status."""

from __future__ import annotations

import asyncio
import signal
import tempfile
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keyonce.demo.ledger import effects_in
from keyonce.demo.plan import Strike, plan
from keyonce.demo.processes import ChildFailed
from keyonce.demo.screen import Outcome, Screen, hints
from keyonce.demo.stage import stage
from keyonce.demo.storm import play
from keyonce.demo.tally import shortcomings, tally

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from keyonce.demo.plan import Operation
    from keyonce.demo.stage import Stage
    from keyonce.demo.tally import Figures

OPERATIONS = 2000
SEED = 1
LONGEST = 120.0
"""Seconds after which a storm counts as stuck."""

FINE, FAILED, WRONG, STOPPED = 0, 1, 2, 130


def run(options: Mapping[str, Any]) -> int:
    """Play the storm bare and guarded, print both, and give the exit status.

    *options* are ``operations`` (int, 2000), ``seed`` (int, 1), ``json`` (bool:
    print one JSON object instead of the table) and ``keep`` (bool: leave both
    sides running until Ctrl-C). The status is 0 only if the guarded side kept
    its promise, 1 if it did not or if the storm proved nothing, 2 if the demo
    could not be played, 130 if it was stopped.
    """
    seed = int(options.get("seed", SEED))
    screen = Screen(as_json=bool(options.get("json", False)))
    try:
        schedule = plan(seed, int(options.get("operations", OPERATIONS)))
        return asyncio.run(
            _demo(schedule, seed, screen, keep=bool(options.get("keep", False)))
        )
    except (ChildFailed, OSError, ValueError) as failure:
        screen.complain(f"The demo could not be played. {failure}")
        return WRONG
    except (KeyboardInterrupt, asyncio.CancelledError):
        screen.complain("Stopped.")
        return STOPPED


async def _demo(
    schedule: Sequence[Operation], seed: int, screen: Screen, *, keep: bool
) -> int:
    """Play both sides in a folder of their own, and leave nothing behind."""
    _stop_on_sigterm()
    async with AsyncExitStack() as opened:
        folder = Path(opened.enter_context(_temporary_folder()))
        figures, stages = [], []
        with screen.progress() as progress:
            for name in ("bare", "guarded"):
                on = await opened.enter_async_context(
                    stage(folder / name, guarded=name == "guarded")
                )
                bar = progress.add_task(name, total=len(schedule))
                advance = partial(progress.advance, bar)
                figures.append(await _figures(name, schedule, on, advance))
                stages.append(on)
        bare, guarded = figures
        missed = shortcomings(bare, guarded, len(Strike))
        outcome = Outcome(seed, bare, guarded, missed)
        stopped = _wait_for_ctrl_c() if keep else None
        screen.show(outcome, hints(stages[0], stages[1]) if keep else ())
        if not outcome.passed:
            screen.complain(stages[-1].last_words())
        if stopped is not None:
            await stopped.wait()
    return FINE if outcome.passed else FAILED


async def _figures(
    name: str, schedule: Sequence[Operation], on: Stage, advance: Callable[[], None]
) -> Figures:
    """Play *schedule* on one side and count what came of it."""
    try:
        async with asyncio.timeout(LONGEST):
            notes = await play(schedule, on, advance)
            await on.settle()
    except TimeoutError:
        raise ChildFailed(f"The {name} storm did not end.\n{on.last_words()}") from None
    return tally(schedule, notes, effects_in(on.ledger))


def _temporary_folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(
        prefix="keyonce-demo-", ignore_cleanup_errors=True
    )


def _stop_on_sigterm() -> None:
    """Let a plain kill end the demo as Ctrl-C does, with all its processes."""
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


def _wait_for_ctrl_c() -> asyncio.Event:
    """Give the event of being asked to stop, which then cancels nothing."""
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    return stopped
