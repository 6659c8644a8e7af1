# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What real stores answer to real calls at once could have been said in turn."""

from __future__ import annotations

import pytest

from tests.linearizability.campaign import recorded
from tests.linearizability.real import by_processes, by_threads


def linearizable(histories, number):
    """Judge *histories*; give the figures."""
    figures = recorded(histories)

    assert ([], []) == (figures.differing, figures.wrong)
    assert number == figures.accepted
    assert figures.overlapping > 0
    return figures


@pytest.mark.parametrize("kind", ["memory", "sqlite", "async sqlite"])
def test_threads(kind, tmp_path):
    place = str(tmp_path / "keyonce.db")

    figures = linearizable(by_threads(kind, place, 100, seed="commit"), 100)

    assert figures.open > 0


def test_processes(tmp_path):
    place = str(tmp_path / "keyonce.db")

    linearizable(by_processes("sqlite", place, 50, seed="commit"), 50)


@pytest.mark.servers
@pytest.mark.parametrize("made", [by_threads, by_processes])
@pytest.mark.parametrize("face", ["", "async "])
@pytest.mark.parametrize("kind", ["postgres", "mysql", "redis"])
def test_servers(kind, face, made, request):
    place = request.getfixturevalue(f"{kind}_place")

    mysql = kind == "mysql"
    count = 25 if mysql else 100  # the second look makes judging them slow
    seed = f"{face}{made.__name__}"
    histories = made(face + kind, place, count, seed, own=mysql)
    if mysql:  # writes, then looks: its answer may know of what came between
        histories = (history.asking_twice() for history in histories)

    linearizable(histories, count)
