# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The queries as they are sent, and what a connection is told before it is used.

The clock is the server's, read by the statement that uses it, in UTC whatever
zone the session is in. A store with a clock of its own, in a test, binds its
time instead.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from keyonce.stores.statement import Row, Statement, queries_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keyonce.stores.statement import Values

R = TypeVar("R")

PACKAGE: Final = "keyonce.stores.mysql"
SERVER_CLOCK: Final = "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))"
BOUND_CLOCK: Final = "%(now)s"

_BLOCK: Final = re.compile(r"\{(\w+)\}")

# The `%` of the queries are placeholders; this one is sent as it stands.
SESSION: Final = (
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED; "
    "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', "
    "innodb_lock_wait_timeout = {seconds}, lock_wait_timeout = {seconds}"
)


def scripts(*, bound_clock: bool) -> Mapping[str, str]:
    """Give every block by its name, ready to be bound and sent."""
    queries = queries_of(PACKAGE)
    clock = BOUND_CLOCK if bound_clock else SERVER_CLOCK
    return {name: _filled(block, queries, clock) for name, block in queries.items()}


def _filled(block: str, queries: Mapping[str, str], clock: str) -> str:
    """Put in the blocks that *block* names, and those that they name."""

    def named(word: re.Match[str]) -> str:
        name = word[1]
        return clock if name == "now" else _filled(queries[name], queries, clock)

    return _BLOCK.sub(named, block)


def session(store_timeout: float) -> str:
    """Say what a connection of our own is told, whatever the server's settings.

    It waits for a lock no longer than a caller waits for the store.
    """
    return SESSION.format(seconds=max(1, int(store_timeout)))


def singly(script: str) -> list[str]:
    """Split *script* for a connection that takes one statement at a time."""
    return [piece for piece in script.split(";\n") if piece.strip()]


class Together(NamedTuple):
    """Ask for these queries in one trip. Answer: the rows of the last."""

    statements: tuple[Statement, ...]


Word = Statement | Together
Words = Generator[Word, list[Row], R]


def bound(values: Values, now: int | None) -> dict[str, Any]:
    """Give *values*, with the time where a test sets it."""
    named = dict(values)
    return named if now is None else named | {"now": now}
