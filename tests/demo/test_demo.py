# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The whole demo on a small storm: the guard keeps its promise, or it is told."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from keyonce.demo.ledger import Effect, Ledger, effects_in
from keyonce.demo.plan import Fault, Operation, Strike, plan
from keyonce.demo.run import run
from keyonce.demo.screen import Outcome, verdict
from keyonce.demo.stage import stage
from keyonce.demo.storm import Notes, play
from keyonce.demo.tally import Figures, shortcomings, tally

if TYPE_CHECKING:
    from pathlib import Path

SCHEDULE = plan(5, 150)


@dataclass(frozen=True)
class Played:
    """One side of the storm, when all is over."""

    notes: Notes
    ledger: Path

    def figures(self, schedule: tuple[Operation, ...] = SCHEDULE) -> Figures:
        return tally(schedule, self.notes, effects_in(self.ledger))


async def played(folder: Path, *, guarded: bool) -> Played:
    async with stage(folder, guarded=guarded) as on:
        notes = await play(SCHEDULE, on, lambda: None)
        await on.settle()
    return Played(notes, on.ledger)


@pytest.fixture(scope="module")
def bare(tmp_path_factory) -> Played:
    folder = tmp_path_factory.mktemp("demo") / "bare"
    return asyncio.run(played(folder, guarded=False))


@pytest.fixture(scope="module")
def guarded(tmp_path_factory) -> Played:
    folder = tmp_path_factory.mktemp("demo") / "guarded"
    return asyncio.run(played(folder, guarded=True))


def test_the_guard_keeps_its_promise_in_the_storm(bare, guarded):
    assert [] == shortcomings(bare.figures(), guarded.figures(), len(Strike))


def test_the_figures_of_the_guarded_side_add_up(guarded):
    figures = guarded.figures()

    assert 150 == figures.operations
    assert figures.effects == 150 - figures.never_ran
    assert figures.attempts >= figures.answers >= 150 - figures.unknown
    assert figures.answers >= (figures.replays + figures.conflicts + figures.mismatches)
    assert 3 == figures.strikes
    assert 0 < figures.p50 <= figures.p99


def test_a_reused_key_is_refused_and_its_payload_has_no_effect(guarded):
    reused = [one for one in SCHEDULE if one.fault is Fault.REUSED_KEY]
    amounts = {one.operation: one.amount for one in effects_in(guarded.ledger)}
    refused = {one.operation for one in guarded.notes.attempts if one.status == 422}

    assert reused
    assert {one.name for one in reused} == refused
    assert all(amounts.get(one.name, one.amount) == one.amount for one in reused)


def test_who_was_killed_in_the_middle_ends_unknown_and_is_told_so(guarded):
    struck = {one.name for one in SCHEDULE if one.strike}
    unknown = {
        one.operation
        for one in guarded.notes.attempts
        if (one.status, one.code) == (409, "outcome-unknown")
    }

    assert struck <= unknown


def test_a_planted_double_effect_fails_the_verdict(bare, guarded):
    [first, *_] = effects_in(guarded.ledger)
    before = guarded.figures()
    ledger = Ledger(guarded.ledger)
    ledger.act(first)
    ledger.close()

    after = guarded.figures()
    found = shortcomings(bare.figures(), after, len(Strike))

    assert (0, 1) == (before.double_effects, after.double_effects)
    assert ["The guarded side had double effects."] == found
    outcome = Outcome(5, bare.figures(), after, found)
    assert not outcome.passed
    assert verdict(outcome).startswith("Failed. The guarded side had double effects.")


def test_a_planted_lost_effect_fails_the_verdict(bare, guarded):
    acknowledged = next(one for one in guarded.notes.attempts if one.succeeded)
    effects = [
        effect
        for effect in effects_in(guarded.ledger)
        if effect.operation != acknowledged.operation
    ]

    figures = tally(SCHEDULE, guarded.notes, list(dict.fromkeys(effects)))

    assert 1 == figures.lost_effects
    assert shortcomings(bare.figures(), figures, len(Strike))


def test_the_demo_prints_both_sides_as_json_and_exits_0(capfd):
    status = run({"operations": 150, "seed": 2, "json": True, "keep": False})

    printed = json.loads(capfd.readouterr().out)
    assert 0 == status
    assert printed["passed"] is True
    assert 150 == printed["bare"]["operations"] == printed["guarded"]["operations"]
    assert 0 == printed["guarded"]["double_effects"] < printed["bare"]["double_effects"]


def test_the_demo_prints_one_table(capfd, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")

    status = run({"operations": 40, "seed": 2})

    printed = capfd.readouterr().out
    assert 0 == status
    for row in ("operations", "double effects", "409s", "unknown", "requests/s"):
        assert row in printed
    assert "too many" in printed


def test_too_small_a_demo_says_so(capfd):
    assert 2 == run({"operations": 3})
    assert "at least 20" in capfd.readouterr().err


def test_keep_leaves_both_running_until_ctrl_c():
    program = (
        "import sys; from keyonce.demo.run import run;"
        "sys.exit(run({'operations': 20, 'json': True, 'keep': True}))"
    )
    demo = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True
    )
    try:
        assert demo.stdout is not None
        text = ""
        while not text.endswith("\n}\n"):
            line = demo.stdout.readline()
            assert line, "the demo ended before it printed its result"
            text += line
        lines = json.loads(text)["try"]
        twice = [_shell(lines[0]) for _ in range(2)]
        other, told = _shell(lines[1]), _shell(lines[2])
        bare = [_shell(lines[3]) for _ in range(2)][-1]
    finally:
        os.kill(demo.pid, signal.SIGINT)
        status = demo.wait(timeout=30)
        demo.stdout.close()

    assert 0 == status
    assert ["201 Created"] * 2 == [answer.split("\n")[0][9:] for answer in twice]
    assert "idempotency-replayed: true" in twice[1].lower()
    assert "422" in other.split("\n")[0]
    assert 1 == told.count('"receipt"')
    assert 2 == bare.rpartition("[")[2].count('"receipt"')


def _shell(line: str) -> str:
    """Run *line* as somebody would who copied it."""
    ran = subprocess.run(
        ["sh", "-c", line], check=True, capture_output=True, text=True, timeout=30
    )
    return ran.stdout.replace("\r\n", "\n")
