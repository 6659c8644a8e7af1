# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The whole demo on a small storm: the guard keeps its promise, or it is told."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import shlex
import signal
import sqlite3
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from keyonce.demo.ledger import Ledger, effects_in
from keyonce.demo.plan import Fault, Operation, Strike, plan
from keyonce.demo.run import run
from keyonce.demo.screen import Outcome, Screen, verdict
from keyonce.demo.stage import stage
from keyonce.demo.storm import Notes, play
from keyonce.demo.tally import Figures, shortcomings, tally
from keyonce.demo.wire import Address, Answer, Request, exchange

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


def test_the_screen_shows_one_table_side_by_side(bare, guarded, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")

    Screen(as_json=False).show(Outcome(5, bare.figures(), guarded.figures(), []))

    printed = capsys.readouterr().out
    rows = {cells[1].strip(): cells[2:4] for cells in map(_cells, printed.split("\n"))}
    assert ["150", "150"] == [cell.strip() for cell in rows["operations"]]
    assert {"double effects", "lost effects", "409s", "422s", "unknown"} <= rows.keys()
    assert {"attempts", "effects", "replays", "requests/s"} <= rows.keys()
    assert {"p50, ms", "p99, ms"} <= rows.keys()
    assert f"left {bare.figures().double_effects} effects too many" in printed


def _cells(line: str) -> list[str]:
    return [*line.split("│"), "", "", ""]


def test_too_small_a_demo_says_so(capfd):
    assert 2 == run({"operations": 3})
    assert "at least 50" in capfd.readouterr().err


async def test_keep_leaves_both_running_until_ctrl_c():
    program = (
        "import sys; from keyonce.demo.run import run;"
        "sys.exit(run({'operations': 50, 'json': True, 'keep': True}))"
    )
    demo = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE
    )
    try:
        printed = json.loads(await _printed(demo))
        post, other, told, bare_post, bare_told = printed["try"]
        first, again = await _curl(post), await _curl(post)
        refused, guarded_effects = await _curl(other), await _curl(told)
        await _curl(bare_post)
        await _curl(bare_post)
        bare_effects = await _curl(bare_told)
    finally:
        demo.send_signal(signal.SIGINT)
        status = await asyncio.wait_for(demo.wait(), 30)

    assert 0 == status
    assert printed["passed"] is True
    assert 50 == printed["bare"]["operations"] == printed["guarded"]["operations"]
    assert 0 == printed["guarded"]["double_effects"] < printed["bare"]["double_effects"]
    assert (201, 201, 422) == (first.status, again.status, refused.status)
    assert first.body == again.body
    assert "true" == again.headers["idempotency-replayed"]
    assert 1 == len(json.loads(guarded_effects.body))
    assert 2 == len(json.loads(bare_effects.body))


async def test_a_demo_that_is_killed_politely_takes_everything_along(tmp_path):
    demo = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-c", "import sys; from keyonce.demo.run import run; sys.exit(run({}))"),
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    async with asyncio.timeout(60):
        while not (found := [*tmp_path.glob("*/bare/shop.db")]) or not _acted(found[0]):
            await asyncio.sleep(0.05)
        demo.send_signal(signal.SIGTERM)
        _, said = await demo.communicate()

    assert 130 == demo.returncode
    assert b"Stopped.\n" == said
    assert [] == [*tmp_path.iterdir()]


async def test_no_process_outlives_a_driver_that_is_killed(tmp_path):
    program = f"""
import asyncio, os, signal
from pathlib import Path
from keyonce.demo.stage import stage
async def main():
    async with stage(Path({str(tmp_path / "shop")!r}), guarded=True) as on:
        print(*(at.port for at in (on.shop, *on.fronts)), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
    driver = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await asyncio.wait_for(driver.communicate(), 60)
    ports = [int(port) for port in said.split()]

    async with asyncio.timeout(30):
        for port in ports:
            while await exchange(Address("127.0.0.1", port), Request("GET", "/", {})):
                await asyncio.sleep(0.1)

    assert 3 == len(ports)
    assert -signal.SIGKILL == driver.returncode


def _acted(ledger: Path) -> bool:
    """Whether the storm at *ledger* has begun."""
    try:
        return len(effects_in(ledger)) > 0
    except sqlite3.OperationalError:
        return False


async def _printed(demo: asyncio.subprocess.Process) -> str:
    """Read the one JSON object that *demo* prints and goes on after."""
    assert demo.stdout is not None
    text = ""
    while not text.endswith("\n}\n"):
        line = (await asyncio.wait_for(demo.stdout.readline(), 100)).decode()
        assert line, "the demo ended before it printed its result"
        text += line
    return text


async def _curl(line: str) -> Answer:
    """Do what the curl *line* would, as a shell would read it."""
    words = shlex.split(line)
    headers = [value for option, value in itertools.pairwise(words) if option == "-H"]
    bodies = [value for option, value in itertools.pairwise(words) if option == "-d"]
    url = urlsplit(words[-1])
    answer = await exchange(
        Address(str(url.hostname), int(url.port or 0)),
        Request(
            "POST" if bodies else "GET",
            url.path,
            {
                name: value.strip()
                for name, _, value in (h.partition(":") for h in headers)
            },
            "".join(bodies).encode(),
        ),
    )
    assert answer is not None
    return answer
