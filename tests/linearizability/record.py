# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""One record as a sequential object, after the guarantees: the first checker's model."""

from __future__ import annotations

from typing import NamedTuple

from tests.linearizability.history import (
    ABSENT,
    COMPLETED,
    IN_PROGRESS,
    REFUSED,
    RELEASED,
    UNKNOWN,
    Answer,
    Asked,
    Seen,
)


class Row(NamedTuple):
    """What is stored, and whether the lease of the work has ended."""

    status: str = ABSENT
    owner: str = ""
    executions: int = 0
    result: str = ""
    steps: str = ""
    noted: int = 0
    lapsed: bool = False


NONE = Row()


def applied(row: Row, asked: Asked, *, runs_again: bool) -> tuple[Row, Answer]:
    """Carry *asked* out: the row after it, and the answer."""
    holds = row.status in (IN_PROGRESS, UNKNOWN) and row.owner == asked.owner
    works = row.status == IN_PROGRESS and row.owner == asked.owner
    match asked.verb:
        case "claim":
            row = _claimed(row, asked, runs_again=runs_again)
            granted = row.status == IN_PROGRESS and row.owner == asked.owner
            return row, shown(row, row.steps if granted else None)
        case "complete":
            if holds:
                row = row._replace(status=COMPLETED, result=asked.given, steps="")
            return row, shown(row)
        case "renew":
            row = row._replace(lapsed=row.lapsed and not works)
            return row, shown(row) if holds else None
        case "note":
            if holds and asked.number >= row.noted:
                row = row._replace(steps=asked.given, noted=asked.number)
            return row, holds
        case "release":
            if works:
                return row._replace(status=RELEASED), True
            return row, row.status == RELEASED and row.owner == asked.owner
        case "abandon":
            return (row._replace(status=UNKNOWN) if works else row), holds
        case "find":
            return row, shown(row, row.steps)
        case "lapse":
            return row._replace(lapsed=row.status == IN_PROGRESS), None
        case _:
            return _settled(row, asked)


def _claimed(row: Row, asked: Asked, *, runs_again: bool) -> Row:
    if row.status in (ABSENT, RELEASED):
        return _begun(row, asked.owner)
    ended = row.status == IN_PROGRESS and row.lapsed and asked.witnessed
    if not ended or row.owner == asked.owner:
        return row
    return _begun(row, asked.owner) if runs_again else row._replace(status=UNKNOWN)


def _begun(row: Row, owner: str) -> Row:
    """Begin an execution, where the one before left off."""
    return Row(IN_PROGRESS, owner, row.executions + 1, steps=row.steps)


def _settled(row: Row, asked: Asked) -> tuple[Row, Answer]:
    unclear = row.status == UNKNOWN or (row.status == IN_PROGRESS and row.lapsed)
    match asked.verb:
        case "resolve" if unclear:
            row = Row(COMPLETED, "", row.executions, asked.given)
            return row, shown(row)
        case "free" if unclear:
            row = row._replace(status=RELEASED, owner="")
            return row, shown(row)
        case "forget" if row.status in (COMPLETED, RELEASED):
            return NONE, shown(row._replace(result=""))
        case _:
            return row, REFUSED


def shown(row: Row, steps: str | None = None) -> Seen | None:
    """Show *row* as an answer does."""
    if row.status == ABSENT:
        return None
    return Seen(row.status, row.owner, row.executions, row.result, steps)
