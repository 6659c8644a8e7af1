# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Runs that have failed once never fail again, and a name is all that a run needs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.oracle import judge
from tests.simulation.planted import PLANTED, RARE, planted
from tests.simulation.run import run

ROOT = Path(__file__).parents[2]
SEEDS = [
    tuple(part.strip() for part in line.split("|"))
    for line in Path(__file__).with_name("seeds.txt").read_text().splitlines()
    if line and not line.startswith("#")
]
BUGS = {bug.name: bug for bug in (*PLANTED, *RARE)}


@pytest.mark.parametrize(("seed", "bug"), SEEDS)
def test_a_kept_seed_breaks_nothing_and_did(seed: str, bug: str) -> None:
    with planted(BUGS[bug]):
        before = judge(run(seed).history)

    now = judge(run(seed).history)

    assert before  # else a run of this name is another one by now: look for it anew
    assert [] == now


@pytest.mark.parametrize("seed", ["resume/bounded/834", "at-most-once/unbounded/7"])
def test_a_seed_is_one_run_in_every_process(seed: str) -> None:
    here = run(seed)

    told = [_elsewhere(seed, hash_seed) for hash_seed in ("1", "2")]

    again = f"{seed} {here.schedule.hex()} {here.whole.hex()}"
    assert [again, again] == told


def test_a_seed_is_one_run_after_others() -> None:
    first = run("resume/failover/3")
    for number in range(20):
        run(f"at-least-once/bounded/{number}")

    assert first.whole == run("resume/failover/3").whole


def _elsewhere(seed: str, hash_seed: str) -> str:
    told = subprocess.run(
        [sys.executable, "-m", "tests.simulation", "--seed", seed],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    return told.stdout.splitlines()[0]
