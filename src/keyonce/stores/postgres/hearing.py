# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The connection on which a process hears what others have ended: LISTEN.

A pooler in transaction mode gives a session to somebody else with each transaction, so
that nobody would hear anything behind it.
"""

from __future__ import annotations

from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from keyonce.stores.postgres.connecting import SHOWN_PID, connect, is_direct
from keyonce.stores.postgres.rows import texts_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    from keyonce.core.model import Identity

# So that a server that is gone without a word is missed within half a minute.
_ALIVE: Final = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}


def news_name(identity: Identity) -> str:
    """Name *identity* as the queries do where they notify: by a digest."""
    return sha256("\x1f".join(texts_of(identity)).encode()).hexdigest()


class HearingLine:
    """One session that listens."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        """Hear by *connection*, which listens already."""
        self._connection = connection

    def hear(self, seconds: float) -> Iterator[str]:
        """Give the names that news comes of within *seconds*."""
        for notify in self._connection.notifies(timeout=seconds):
            yield notify.payload

    def close(self) -> None:
        """End the session."""
        with suppress(Exception):
            self._connection.close()


def open_line(url: str, seconds: float) -> HearingLine | None:
    """Listen on a connection of its own; None where a session is not kept."""
    connection = connect(url, seconds, **_ALIVE)
    try:
        if not is_direct(connection, connection.execute(SHOWN_PID).fetchone()):
            connection.close()
            return None
        connection.execute("LISTEN keyonce")
    except BaseException:
        connection.close()
        raise
    connection.deadline = None
    return HearingLine(connection)
