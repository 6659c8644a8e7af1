# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from keyonce.core.states import ABSENT, TABLE, Status


def test_the_stored_numbers_never_change():
    assert {
        "IN_PROGRESS": 1,
        "COMPLETED": 2,
        "UNKNOWN": 3,
        "RELEASED": 4,
        "TOMBSTONE": 5,
    } == {status.name: status.value for status in Status}


def test_every_status_has_its_word():
    assert ["in_progress", "completed", "unknown", "released", "tombstone"] == [
        status.word for status in Status
    ]


def test_the_table_knows_every_status():
    assert {ABSENT, *Status} == set(TABLE)


def test_the_table_cannot_be_changed():
    with pytest.raises(TypeError):
        TABLE[Status.UNKNOWN] = frozenset()  # type: ignore[index]


def test_from_every_status_but_unknown_a_key_can_pass_away():
    """Unknown passes away through completed or released: somebody must say which."""
    assert [Status.IN_PROGRESS, Status.UNKNOWN] == [
        status for status in Status if ABSENT not in TABLE[status]
    ]


def test_a_completed_record_never_runs_again():
    assert Status.IN_PROGRESS not in TABLE[Status.COMPLETED]
    assert Status.IN_PROGRESS not in TABLE[Status.UNKNOWN]
    assert Status.IN_PROGRESS not in TABLE[Status.TOMBSTONE]
