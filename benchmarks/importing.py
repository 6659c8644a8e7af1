# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What ``import keyonce`` costs a program that starts."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING, Final

from benchmarks.table import Line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.plan import Plan

GROUP: Final = "import"
MOST: Final = 60.0
# Of the top-level modules that are then loaded, those that no Python brings along.
FOREIGN: Final = (
    "import sys, keyonce;"
    "known = {*sys.stdlib_module_names, 'keyonce', '__main__'};"
    "print(*sorted({n.partition('.')[0] for n in sys.modules} - known))"
)


def measure(plan: Plan) -> Iterator[Line]:
    """Measure the fastest start with the import and without; list what came along."""
    runs = plan.either(7, 25)
    added = _fastest("import keyonce", runs) - _fastest("pass", runs)
    yield Line(
        group=GROUP,
        what="import keyonce",
        value=added,
        unit="ms added",
        target=f"≤ {MOST:.0f} ms",
        met=added <= MOST,
    )
    foreign = len(_loaded(FOREIGN) - _loaded(FOREIGN.replace(", keyonce", "")))
    yield Line(
        group=GROUP,
        what="optional packages it loads",
        value=foreign,
        unit="",
        target="0",
        met=foreign == 0,
    )


def _fastest(code: str, runs: int) -> float:
    return min(_one(code) for _ in range(runs)) * 1000


def _one(code: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - began


def _loaded(code: str) -> set[str]:
    told = subprocess.check_output([sys.executable, "-c", code], text=True)
    return set(told.split())
