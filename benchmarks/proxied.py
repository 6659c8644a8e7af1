# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The sidecar in front of a small service: throughput kept of its bare proxy.

The same process proxies requests without a key, guards first requests, and replays
without calling the service.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from benchmarks.kept import Kept
from benchmarks.load import UNKEYED
from benchmarks.servers import sidecar, uvicorn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.plan import Plan
    from benchmarks.table import Line

TARGETS: Final = {"first": 0.60, "replay": 1.0}


def measure(plan: Plan) -> Iterator[Line]:
    """Measure what guarding costs a proxy."""
    file = str(plan.folder / "sidecar.db")
    seconds, rounds = plan.either(1.0, 3.0), plan.either(1, 5)
    kept = Kept("sidecar, SQLite FULL, 32 clients", "bare proxy")
    with uvicorn("bare") as upstream, sidecar(upstream.port, file) as front:
        for turn in range(rounds):
            for mode in TARGETS:
                base = front.load(UNKEYED, seconds, f"bare-{turn}")
                told = front.load(mode, seconds, f"{mode}-{turn}")
                kept.note(mode, base, told)
    yield from kept.lines(TARGETS)
