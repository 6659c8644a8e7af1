# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What the demo shows: progress, one table side by side, a verdict, lines to try."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.progress import TimeElapsedColumn as Elapsed
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keyonce.demo.stage import Stage
    from keyonce.demo.tally import Figures

ROWS: tuple[tuple[str, str, str], ...] = (
    ("operations", "operations", "{}"),
    ("attempts", "attempts", "{}"),
    ("effects", "effects", "{}"),
    ("double effects", "double_effects", "{}"),
    ("lost effects", "lost_effects", "{}"),
    ("never ran", "never_ran", "{}"),
    ("different answers to one request", "different_answers", "{}"),
    ("replays", "replays", "{}"),
    ("409s", "conflicts", "{}"),
    ("422s", "mismatches", "{}"),
    ("unknown", "unknown", "{}"),
    ("unanswered", "unanswered", "{}"),
    ("processes killed with -9", "strikes", "{}"),
    ("p50, ms", "p50_ms", "{:.1f}"),
    ("p99, ms", "p99_ms", "{:.1f}"),
    ("requests/s", "rate", "{:.0f}"),
)
HARM = frozenset({"double_effects", "lost_effects", "different_answers"})


@dataclass(frozen=True, slots=True)
class Outcome:
    """A whole demo: both sides, and why it fell short, if it did."""

    seed: int
    bare: Figures
    guarded: Figures
    shortcomings: Sequence[str]

    @property
    def passed(self) -> bool:
        """Whether the storm raged and the guard kept its promise."""
        return not self.shortcomings


class Screen:
    """Where the demo speaks: progress beside the result, which goes to stdout."""

    def __init__(self, *, as_json: bool) -> None:
        """Print tables for people, or one JSON object for a program."""
        self._as_json = as_json
        self._out = Console(highlight=False)
        self._aside = Console(stderr=True, highlight=False)

    def progress(self) -> Progress:
        """Make the progress bar, which shows on a terminal only."""
        return Progress(
            TextColumn("{task.description:<8}"),
            BarColumn(),
            MofNCompleteColumn(),
            Elapsed(),
            console=self._aside,
            disable=self._as_json or not self._aside.is_terminal,
        )

    def show(self, outcome: Outcome, hints: Sequence[str] = ()) -> None:
        """Print *outcome*, and *hints* to copy into another terminal."""
        if self._as_json:
            sys.stdout.write(f"{_as_json(outcome, hints)}\n")
            sys.stdout.flush()
            return
        self._out.print(_table(outcome))
        self._out.print(verdict(outcome), soft_wrap=True)
        for hint in hints:
            self._out.print(hint, markup=False, soft_wrap=True)

    def complain(self, words: str) -> None:
        """Say what went wrong, beside the result."""
        self._aside.print(words, markup=False, soft_wrap=True)


def verdict(outcome: Outcome) -> str:
    """Say in a few sentences what the figures mean."""
    bare, guarded = outcome.bare, outcome.guarded
    if not outcome.passed:
        return "Failed. " + " ".join(outcome.shortcomings)
    return (
        f"Bare, {bare.operations} operations left {bare.double_effects} effects too"
        " many. Behind the guard: none, and no answer differed from the first."
        f" {guarded.unknown} ended unknown, as a process was killed in the middle:"
        " they are not run again until somebody says what became of them."
    )


def hints(bare: Stage, guarded: Stage) -> list[str]:
    """Give lines to try while both sides are left running."""
    front = guarded.fronts[0].url
    order = """'{"operation": "mine", "amount": 100}'"""
    post = (
        "curl -i -H 'Content-Type: application/json' -H 'X-Api-Key: me'"
        f" -H 'Idempotency-Key: \"try-1\"' -d {order}"
    )
    return [
        "",
        "Both sides are left running until Ctrl-C. Behind the guard, twice or more:",
        f"  {post} {front}/payments",
        "The same key with another amount:",
        f"  {post.replace('100', '999')} {front}/payments",
        "What the shop behind it did, and what the bare shop does with the same:",
        f"  curl {front}/effects/mine",
        f"  {post} {bare.shop.url}/payments",
        f"  curl {bare.shop.url}/effects/mine",
        "Who is stuck, since when:",
        f"  keyonce keys list --status unknown --store {guarded.store}",
    ]


def _table(outcome: Outcome) -> Table:
    table = Table(title=f"The same storm twice, seed {outcome.seed}")
    table.add_column("")
    table.add_column("bare", justify="right")
    table.add_column("guarded", justify="right")
    bare, guarded = _values(outcome.bare), _values(outcome.guarded)
    for label, name, form in ROWS:
        left, right = form.format(bare[name]), form.format(guarded[name])
        if name in HARM:
            left, right = _coloured(left), _coloured(right)
        table.add_row(label, left, right)
    return table


def _coloured(count: str) -> str:
    return f"[bold green]{count}[/]" if count == "0" else f"[bold red]{count}[/]"


def _values(figures: Figures) -> dict[str, float]:
    values: dict[str, float] = asdict(figures)
    values["p50_ms"] = values.pop("p50") * 1000
    values["p99_ms"] = values.pop("p99") * 1000
    return {name: round(value, 3) for name, value in values.items()}


def _as_json(outcome: Outcome, hints: Sequence[str]) -> str:
    value = {
        "seed": outcome.seed,
        "passed": outcome.passed,
        "verdict": verdict(outcome),
        "shortcomings": list(outcome.shortcomings),
        "bare": _values(outcome.bare),
        "guarded": _values(outcome.guarded),
    }
    if hints:
        value["try"] = [line.strip() for line in hints if "curl" in line]
    return json.dumps(value, indent=2)
