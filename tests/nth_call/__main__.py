# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The release tier: python -m tests.nth_call [KIND ...]; without kinds, every store."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from keyonce.core.guarantee import Guarantee
from tests.nth_call.campaign import swept
from tests.nth_call.faults import troubles
from tests.nth_call.places import WEAK, Places
from tests.nth_call.servers import SERVED, served

HERE = ("memory", "sqlite", "sealed sqlite", "tiered sqlite")


def main() -> None:
    """Sweep every trouble over every call, and print a line for each kind and promise."""
    for kind in sys.argv[1:] or (*HERE, *SERVED):
        with TemporaryDirectory() as name:
            folder = Path(name)
            if kind in SERVED:
                with served(kind, folder / "server") as place:
                    everything(kind, Places(folder, place), place.guarantees)
            else:
                promised = WEAK if kind == "memory" else frozenset(Guarantee)
                everything(kind, Places(folder), promised)


def everything(kind: str, places: Places, promised: frozenset[Guarantee]) -> None:
    """Sweep both faces for each guarantee."""
    for guarantee in sorted(promised):
        for aio in (False, True):
            began = time.monotonic()
            chosen = troubles(wired=kind in SERVED)
            met = swept(places, kind, guarantee, aio=aio, troubles=chosen)
            face = "loop" if aio else "threads"
            sys.stdout.write(
                f"{kind:16} {guarantee:14} {face:8} {len(chosen):3} troubles, "
                f"{sum(met.values()):5} lives with a fault, 0 violations, "
                f"{time.monotonic() - began:6.1f} s\n"
            )
            sys.stdout.flush()


if __name__ == "__main__":
    main()
