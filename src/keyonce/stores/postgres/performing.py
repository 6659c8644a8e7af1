# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""One step of a procedure on one connection of psycopg."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.rows import tuple_row

from keyonce.stores.postgres.steps import Beside, Script
from keyonce.stores.statement import Statement

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keyonce.stores.postgres.steps import Step
    from keyonce.stores.statement import Row


def perform(
    connection: psycopg.Connection[Any],
    queries: Mapping[str, bytes],
    step: Step,
    *,
    prepare: bool | None = None,
) -> list[Row]:
    """Carry out *step*; with *prepare* None the connection decides about that."""
    if isinstance(step, Beside):  # this is the store's own
        step = step.statement
    if isinstance(step, Script):
        connection.execute(step.sql.encode())
    if not isinstance(step, Statement):
        return []
    cursor = psycopg.RawCursor(connection, row_factory=tuple_row)
    cursor.execute(queries[step.query], step.values, prepare=prepare, binary=True)
    return cursor.fetchall() if cursor.description else []


async def aperform(
    connection: psycopg.AsyncConnection[Any],
    queries: Mapping[str, bytes],
    step: Step,
    *,
    prepare: bool | None = None,
) -> list[Row]:
    """Carry out *step*; with *prepare* None the connection decides about that."""
    if isinstance(step, Beside):  # this is the store's own
        step = step.statement
    if isinstance(step, Script):
        await connection.execute(step.sql.encode())
    if not isinstance(step, Statement):
        return []
    cursor = psycopg.AsyncRawCursor(connection, row_factory=tuple_row)
    await cursor.execute(queries[step.query], step.values, prepare=prepare, binary=True)
    return await cursor.fetchall() if cursor.description else []
