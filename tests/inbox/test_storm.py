# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""5,000 messages, delivered at least once to workers that are killed (F-72, F-76)."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.servers.postgres import newest

MESSAGES, KILLS = "5000", "50"
FIGURES = re.compile(r"(\d+) workers killed.*: (\d+) lost, (\d+) doubled")


@pytest.mark.parametrize(
    "kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.servers)]
)
def test_every_message_is_handled_once_and_without_the_inbox_it_is_not(kind, request):
    if kind == "postgres":
        newest()  # skips, or fails, where there is none
    seed = request.config.getoption("randomly_seed", None) or 4
    program = ("-m", "tests.inbox.storm", kind, MESSAGES, KILLS, str(seed))

    played = subprocess.run(
        [sys.executable, *program],
        capture_output=True,
        text=True,
        timeout=115,
        check=False,
    )

    assert 0 == played.returncode, played.stdout + played.stderr
    with_it, without_it = (tuple(map(int, f)) for f in FIGURES.findall(played.stdout))
    assert (50, 0, 0) == with_it
    assert without_it[2] > 0
