# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The release tier: python -m tests.linearizability 20000."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.linearizability.campaign import Figures, agreement, bad_ones, recorded
from tests.linearizability.real import by_processes, by_threads

REAL = 500


def main() -> int:
    """Print a line for each part; give 1 where one of them fails."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    sound = True
    for what, figures in parts(count):
        sys.stdout.write(f"{what:28} {told(figures)}\n")
        sys.stdout.flush()
        for history in (*figures.differing, *figures.wrong)[:3]:
            sys.stdout.write("".join(f"    {call}\n" for call in history.calls))
        sound &= not figures.differing and not figures.wrong
    return 0 if sound else 1


def parts(count: int) -> Iterator[tuple[str, Figures]]:
    """Give the figures of each part, one after the other."""
    yield "generated", agreement(count)
    yield "planted bad", bad_ones(max(100, count // 20))
    yield "memory, threads", recorded(by_threads("memory", "", REAL, "release"))
    for kind in ("sqlite", "async sqlite"):
        with TemporaryDirectory() as folder:
            place = str(Path(folder, "keyonce.db"))
            yield f"{kind}, threads", recorded(by_threads(kind, place, REAL, "release"))
    with TemporaryDirectory() as folder:
        place = str(Path(folder, "keyonce.db"))
        yield (
            "sqlite, processes",
            recorded(by_processes("sqlite", place, REAL, "release")),
        )


def told(figures: Figures) -> str:
    """Say *figures* in a line."""
    return (
        f"{figures.histories:6} histories: {figures.accepted:6} accepted by both, "
        f"{figures.rejected:6} rejected by both, {len(figures.differing)} differ, "
        f"{len(figures.wrong)} judged wrongly; {figures.overlapping} with calls at "
        f"once, {figures.open} with lost answers"
    )


if __name__ == "__main__":
    sys.exit(main())
