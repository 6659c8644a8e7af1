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
    """Open the store at *url*.

    ``memory://``, ``sqlite:///relative.db`` or ``sqlite:////absolute.db``,
    ``postgresql://user:password@host:5432/database``.

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
        case "postgresql" | "postgres":
            with _needing("postgres"):
                from keyonce.stores.postgres.sync import (  # noqa: PLC0415 - lazy
                    PostgresStore,
                )

            return PostgresStore(url)
        case scheme:
            raise _unknown(scheme)


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
        case "postgresql" | "postgres":
            with _needing("postgres"):
                from keyonce.stores.postgres.aio import (  # noqa: PLC0415 - lazy
                    AsyncPostgresStore,
                )

            return AsyncPostgresStore(url)
        case scheme:
            raise _unknown(scheme)


@contextmanager
def _needing(extra: str) -> Iterator[None]:
    """Say which *extra* to install when an import inside the block finds nothing."""
    try:
        yield
    except ModuleNotFoundError as exc:
        raise ConfigurationError(
            f"This store needs the package {exc.name}: pip install 'keyonce[{extra}]'"
        ) from exc


def _scheme(url: str) -> str:
    scheme, colon, rest = url.partition(":")
    if scheme == "memory" and rest != "//":
        raise ConfigurationError(f"{url!r} says too much: write 'memory://'.")
    return scheme if colon else ""


def _unknown(scheme: str) -> ConfigurationError:
    # Not the whole URL: it may hold a password.
    return ConfigurationError(
        f"There is no store for {scheme + '://'!r}. There are 'memory://', "
        "'sqlite:///relative.db', 'sqlite:////absolute.db' and "
        "'postgresql://user:password@host/database'."
    )
