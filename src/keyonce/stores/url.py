# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The store that a URL names."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from keyonce.core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keyonce.core.protocols import AsyncStore, Store


def open_store(url: str) -> Store:
    """Open ``memory://``, ``sqlite:///relative.db``, ``mysql://user@host/database``.

    Four slashes make the path of an SQLite file absolute; ``mariadb://`` is
    ``mysql://``.

    Raises:
        ConfigurationError: no store is called that, or it cannot be used.
        StoreUnavailable: it did not answer.
    """
    match _scheme(url):
        case "memory":
            from keyonce.stores.memory import MemoryStore  # noqa: PLC0415 - lazy

            return MemoryStore()
        case "sqlite":
            from keyonce.stores.sqlite.sync import SQLiteStore  # noqa: PLC0415 - lazy

            return SQLiteStore(url)
        case "mysql" | "mariadb":
            with _needing("mysql"):
                from keyonce.stores.mysql.sync import MySQLStore  # noqa: PLC0415 - lazy

            return MySQLStore(url)
        case scheme:
            raise _unknown(url, scheme)


def open_async_store(url: str) -> AsyncStore:
    """Open the same stores for event loops.

    Raises:
        ConfigurationError: no store is called that, or it cannot be used.
        StoreUnavailable: it did not answer.
    """
    match _scheme(url):
        case "memory":
            from keyonce.stores.memory import AsyncMemoryStore  # noqa: PLC0415 - lazy

            return AsyncMemoryStore()
        case "sqlite":
            from keyonce.stores.sqlite.aio import (  # noqa: PLC0415 - lazy
                AsyncSQLiteStore,
            )

            return AsyncSQLiteStore(url)
        case "mysql" | "mariadb":
            with _needing("mysql"):
                from keyonce.stores.mysql.aio import (  # noqa: PLC0415 - lazy
                    AsyncMySQLStore,
                )

            return AsyncMySQLStore(url)
        case scheme:
            raise _unknown(url, scheme)


def _scheme(url: str) -> str:
    scheme, colon, rest = url.partition(":")
    if scheme == "memory" and rest != "//":
        raise ConfigurationError(f"{url!r} says too much: write 'memory://'.")
    return scheme if colon else ""


def _unknown(url: str, scheme: str) -> ConfigurationError:
    there_are = (
        "There are 'memory://', 'sqlite:///relative.db', 'sqlite:////absolute.db' and "
        "'mysql://user:password@host/database'."
    )
    if url and ":" not in url:
        meant = f"For the SQLite file of that name write 'sqlite:///{url}'."
        return ConfigurationError(f"{url!r} is no URL. {meant} {there_are}")
    # Not the whole URL: it may hold a password.
    return ConfigurationError(f"There is no store for {scheme + '://'!r}. {there_are}")


@contextmanager
def _needing(extra: str) -> Iterator[None]:
    """Say which *extra* brings the driver that is missing."""
    try:
        yield
    except ModuleNotFoundError as exc:
        missing = (exc.name or "").partition(".")[0]
        if missing in {"", "keyonce"}:
            raise
        raise ConfigurationError(
            f"This store needs the package {missing}: pip install 'keyonce[{extra}]'."
        ) from exc
