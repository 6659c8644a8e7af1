# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Under uvicorn, 32 clients at once: the share of the bare app's throughput kept.

Bare and guarded servers stand side by side and are loaded in turns; the median of
the rounds counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from benchmarks.apps import FILE
from benchmarks.kept import Kept
from benchmarks.load import FIRST, REPLAY
from benchmarks.servers import uvicorn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.plan import Plan
    from benchmarks.table import Line

TARGETS: Final = {
    "memory, first": 0.65,
    "memory, replay": 0.60,
    "SQLite FULL, first": 0.25,
    "SQLite FULL, replay": 0.60,
}


def measure(plan: Plan) -> Iterator[Line]:
    """Measure first requests and replays, in memory and in a file."""
    file = {FILE: str(plan.folder / "served.db")}
    seconds, rounds = plan.either(1.0, 3.0), plan.either(1, 5)
    kept = Kept("uvicorn, 32 clients", "bare app")
    with (
        uvicorn("bare") as bare,
        uvicorn("memory") as memory,
        uvicorn("sqlite", file) as sqlite,
    ):
        guarded = {"memory": memory, "SQLite FULL": sqlite}
        for turn in range(rounds):
            for mode in (FIRST, REPLAY):
                base = bare.load(FIRST, seconds, f"bare-{turn}")
                for name, server in guarded.items():
                    told = server.load(mode, seconds, f"{mode}-{turn}")
                    kept.note(f"{name}, {mode}", base, told)
    yield from kept.lines(TARGETS)
