# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Opening a database: whether it is fit, and making its tables."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import psycopg

from keyonce.core.flow import run
from keyonce.stores.postgres.connecting import check_url, connect
from keyonce.stores.postgres.home import Home, find_home
from keyonce.stores.postgres.partitions import begin
from keyonce.stores.postgres.performing import perform
from keyonce.stores.postgres.queries import PACKAGE, bare_queries
from keyonce.stores.postgres.setting_up import look, migrate
from keyonce.stores.postgres.translate import is_undone, refusal_of
from keyonce.stores.schema import migrations_of, require_ready

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keyonce.stores.postgres.connecting import TimedConnection
    from keyonce.stores.postgres.partitions import Demand
    from keyonce.stores.schema import Migration, Outlook

FAILURES: Final = (psycopg.Error, OSError)


def set_up(
    url: str,
    seconds: float,
    demand: Demand | None = None,
    at: float | None = None,
    *,
    migrates: bool = True,
) -> Home:
    """Make the database fit for use over a connection of its own; say where it is.

    With *demand* the first partitions are made as well, by the clock *at* if given.
    Without *migrates* no table is changed otherwise.

    Raises:
        ConfigurationError: it cannot keep the promises; what to change.
        StoreUnavailable: it did not answer.
    """
    with connected(url, seconds) as connection:
        found = outlook_of(connection)
        if not migrates:
            require_ready(found)
        elif found.to_run:
            migrated(connection)
        if demand is not None:
            _partition(connection, demand, at)
        home = Home()
        run(find_home(home), partial(perform, connection, bare_queries()))
        return home


@contextmanager
def connected(url: str, seconds: float) -> Iterator[TimedConnection]:
    """Open a connection for the block, which may take *seconds*.

    Raises:
        ConfigurationError: the server refuses it, or what is done in the block.
        StoreUnavailable: it did not answer.
    """
    check_url(url)
    try:
        connection = connect(url, seconds)
        try:
            yield connection
        finally:
            connection.close()
    except FAILURES as error:
        raise refusal_of(error) from error


def outlook_of(connection: psycopg.Connection[Any]) -> Outlook:
    """Say how the schema stands, on a server that will do."""
    carry_out = partial(perform, connection, bare_queries())
    return run(look(migrations_of(PACKAGE)), carry_out)


def migrated(
    connection: psycopg.Connection[Any], *, contract: bool = False
) -> tuple[Migration, ...]:
    """Bring the schema up to date in one transaction; give what was run."""
    carry_out = partial(perform, connection, bare_queries())
    with connection.transaction():
        return run(migrate(migrations_of(PACKAGE), contract=contract), carry_out)


def _partition(
    connection: psycopg.Connection[object], demand: Demand, at: float | None
) -> None:
    carry_out = partial(perform, connection, bare_queries())
    try:
        with connection.transaction():
            run(begin(demand, at), carry_out)
    except psycopg.Error as error:
        # Somebody is in the way: outcomes stay with their records until upkeep
        # has made what is missing.
        if not is_undone(error):
            raise
