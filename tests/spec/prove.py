# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Looks at every state of a larger world: three workers, five executions."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.spec.tlc import INVARIANTS, PROPERTIES, Model, check

LARGE: Final = tuple(
    Model(guarantee, verdict=verdict, purging=True, workers=3, claims=5, faults=4)
    for guarantee, verdict in (
        ("exactly-once", "nobody"),
        ("resume", "nobody"),
        ("at-most-once", "truth"),
        ("at-least-once", "nobody"),
    )
)


def main() -> None:
    """Print a line for each guarantee."""
    for model in LARGE:
        names = tuple(
            name
            for name in INVARIANTS
            if name != "AtMostOneEffect" or model.guarantee != "at-least-once"
        )
        with TemporaryDirectory() as folder:
            looked = check(model, Path(folder), names, PROPERTIES)
        what = looked.violated or "holds"
        line = f"{model.guarantee:14} {looked.states:>9} states  {what}\n"
        sys.stdout.write(line)
        sys.stdout.flush()


if __name__ == "__main__":
    main()
