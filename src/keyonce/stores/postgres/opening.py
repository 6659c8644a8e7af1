# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Opening a database: whether it is fit, and making its tables."""

from __future__ import annotations

from functools import partial
from typing import Final

import psycopg

from keyonce.core.flow import run
from keyonce.stores.postgres.connecting import check_url, connect
from keyonce.stores.postgres.performing import perform
from keyonce.stores.postgres.queries import PACKAGE, bare_queries
from keyonce.stores.postgres.setting_up import is_ready, migrate
from keyonce.stores.postgres.translate import refusal_of
from keyonce.stores.schema import migrations_of

FAILURES: Final = (psycopg.Error, OSError)


def set_up(url: str, seconds: float) -> None:
    """Make the database fit for use over a connection of its own.

    Raises:
        ConfigurationError: it cannot keep the promises; what to change.
        StoreUnavailable: it did not answer.
    """
    check_url(url)
    try:
        connection = connect(url, seconds)
        try:
            _set_up(connection)
        finally:
            connection.close()
    except FAILURES as error:
        raise refusal_of(error) from error


def _set_up(connection: psycopg.Connection[object]) -> None:
    migrations = migrations_of(PACKAGE)
    carry_out = partial(perform, connection, bare_queries())
    if not run(is_ready(migrations), carry_out):
        with connection.transaction():
            run(migrate(migrations), carry_out)
