# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Whatever kills or fails the work between begin and commit: one effect in the end."""

from __future__ import annotations

import subprocess
import sys

ROUNDS = 20


def test_orders_that_are_killed_and_tried_again_are_placed_once(kind, url, request):
    seed = request.config.getoption("randomly_seed", None) or 4
    program = ("-m", "tests.exactly_once.rounds", kind, url, str(ROUNDS), str(seed))

    played = subprocess.run(
        [sys.executable, *program],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )

    said = f"{kind}: {ROUNDS} orders, effects of an order: {{1: {ROUNDS}}}\n"
    assert (said, 0) == (played.stdout, played.returncode), played.stderr
