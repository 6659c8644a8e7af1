# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""``python -m benchmarks``: measure, and print one table with the targets beside."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks import (
    bodies,
    duplicates,
    floor,
    growth,
    importing,
    layers,
    proxied,
    purging,
    purging_postgres,
    remote,
    room,
    sealing,
    served,
    tiered,
    waiting,
)
from benchmarks.plan import Plan
from benchmarks.table import as_json, show

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.table import Line

ALL: Final[dict[str, Callable[[Plan], Iterator[Line]]]] = {
    "layers": layers.measure,
    "sqlite": floor.measure,
    "served": served.measure,
    "sidecar": proxied.measure,
    "duplicates": duplicates.measure,
    "waiting": waiting.measure,
    "growth": growth.measure,
    "purge": purging.measure,
    "room": room.measure,
    "purge-postgres": purging_postgres.measure,
    "sealing": sealing.measure,
    "bodies": bodies.measure,
    "import": importing.measure,
}
# Only when asked for: they need the programs of servers.
NAMED: Final[dict[str, Callable[[Plan], Iterator[Line]]]] = {
    "remote": remote.measure,
    "tiered": tiered.measure,
}


def main() -> None:
    """Read the arguments, measure, print."""
    given = _arguments()
    lines: list[Line] = []
    for name in given.names or ALL:
        print(f"measuring {name} …", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(dir=given.folder) as folder:
            lines += (ALL | NAMED)[name](Plan(Path(folder), given.quick))
    if given.json:
        print(json.dumps({"machine": machine(), "lines": as_json(lines)}, indent=2))
        return
    print(machine(), "", *show(lines), sep="\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", choices=[[], *ALL, *NAMED], help="[default: all]"
    )
    parser.add_argument("--quick", action="store_true", help="less of all: a minute")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--folder",
        default="/var/tmp",
        help="where files go; on a real disk  [default: %(default)s]",
    )
    return parser.parse_args()


def machine() -> str:
    """Say what it was measured on."""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{python}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}"


if __name__ == "__main__":
    main()
