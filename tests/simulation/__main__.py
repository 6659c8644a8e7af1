# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The release tier: many schedules of each guarantee on all cores, and the figures."""

from __future__ import annotations

import argparse
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed

from keyonce.core.guarantee import Guarantee
from tests.simulation.campaign import GUARANTEES, Campaign, chunk
from tests.simulation.oracle import INVARIANTS, judge
from tests.simulation.run import run

SIZE = 1000


def tell(line: str) -> None:
    """Write *line* at once, also into a pipe."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    """Run what the command line asks for; 0 when nothing was broken or missed."""
    parser = argparse.ArgumentParser(prog="scripts/prove")
    parser.add_argument("schedules", type=int, nargs="?", default=10_000)
    parser.add_argument("--guarantee", choices=[*map(str, GUARANTEES)])
    parser.add_argument("--seed", help="one run, such as resume/bounded/834")
    given = parser.parse_args()
    if given.seed:
        return _one(given.seed)
    chosen = [one for one in GUARANTEES if given.guarantee in (None, str(one))]
    tell(f"{len(INVARIANTS)} checks of the invariants I1 to I12 in each schedule")
    return max(_many(guarantee, given.schedules) for guarantee in chosen)


def _one(seed: str) -> int:
    result = run(seed)
    told = judge(result.history)
    tell(f"{seed} {result.schedule.hex()} {result.whole.hex()}")
    tell("\n".join(told) or "nothing is broken")
    return 1 if told else 0


def _many(guarantee: Guarantee, wanted: int) -> int:
    began = time.perf_counter()
    whole = Campaign(guarantee)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        parts = [
            pool.submit(_part, guarantee, number)
            for number in range(-(-wanted // SIZE))
        ]
        for part in as_completed(parts):
            whole.add(part.result())
    _tell(whole, wanted, time.perf_counter() - began)
    short = len(whole.schedules) < wanted
    return 1 if whole.violations or whole.missing or short else 0


def _part(guarantee: Guarantee, number: int) -> Campaign:
    part = Campaign(guarantee)
    # A few more than wanted: what two parts have in common counts once.
    part.go_on(chunk(guarantee, number, SIZE), SIZE + SIZE // 100)
    return part


def _tell(whole: Campaign, wanted: int, took: float) -> None:
    tell(
        f"{whole.guarantee}: {len(whole.schedules)} distinct faulted schedules "
        f"(wanted {wanted}) in {whole.runs} runs, {whole.requests} requests, "
        f"{took:.0f} s; {len(whole.violations)} violations"
    )
    for told in whole.violations[:20]:
        tell(f"  {told}")
    for state, times in sorted(whole.states.items()):
        tell(f"  {times:9} × {state}")
    for state in whole.missing:
        tell(f"  NOT REACHED: {state}")


if __name__ == "__main__":
    sys.exit(main())
