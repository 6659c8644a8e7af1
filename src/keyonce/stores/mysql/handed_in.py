# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What a caller has handed in, without importing what may not be there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from keyonce.core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyonce.stores.mysql.address import Address


class Lender(NamedTuple):
    """Gives connections of PyMySQL to *place*; `close()` gives each back."""

    lend: Callable[[], Any]
    place: str


def is_of_sqlalchemy(thing: object) -> bool:
    """Whether *thing* is an object of SQLAlchemy or of a class that stands on one."""
    modules = (each.__module__ for each in type(thing).__mro__)
    return any(module.partition(".")[0] == "sqlalchemy" for module in modules)


def lender_of(engine: object, pool: object) -> Lender:
    """Take connections from an engine of SQLAlchemy.

    Raises:
        ConfigurationError: it is none, or does not lead to MySQL by PyMySQL.
    """
    _check(engine, pool, "an Engine")
    from keyonce.stores.mysql.alchemy import (  # noqa: PLC0415 - an extra
        check_engine,
        lend_from,
        place_of,
    )

    known = check_engine(engine)
    return Lender(lend_from(known), place_of(known.url))


def pool_of(engine: object, pool: object) -> tuple[Address, Any]:
    """Take connections from an async engine of SQLAlchemy, as from a pool.

    Raises:
        ConfigurationError: it is none, or does not lead to MySQL by asyncmy.
    """
    _check(engine, pool, "an AsyncEngine")
    from keyonce.stores.mysql.async_alchemy import (  # noqa: PLC0415 - an extra
        EnginePool,
        address_of_engine,
        check_async_engine,
    )

    known = check_async_engine(engine)
    return address_of_engine(known), EnginePool(known)


def _check(engine: object, pool: object, kind: str) -> None:
    if not is_of_sqlalchemy(engine):
        raise ConfigurationError(
            f"A MySQL store is made of a URL or of {kind} of SQLAlchemy, not of a "
            f"{type(engine).__name__}."
        )
    if pool is not None:
        raise ConfigurationError(
            "A MySQL store takes its connections from an engine or from a pool: leave "
            "one of them out."
        )
