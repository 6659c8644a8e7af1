# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The store that a URL names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from keyonce.core.errors import ConfigurationError

if TYPE_CHECKING:
    from keyonce.core.protocols import AsyncStore, Store

REDIS: Final = {
    *("redis", "rediss", "unix", "redis+cluster", "rediss+cluster"),
    *("redis+sentinel", "rediss+sentinel"),
}


def open_store(url: str) -> Store:
    """Open ``memory://``, ``sqlite:///relative.db`` or ``sqlite:////absolute.db``.

    Also Redis and Valkey: ``redis://``, ``rediss://``, ``unix://``,
    ``redis+cluster://`` and ``redis+sentinel://``.

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
        case scheme if scheme in REDIS:
            from keyonce.stores.redis.sync import RedisStore  # noqa: PLC0415 - lazy

            return RedisStore(url)
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
        case scheme if scheme in REDIS:
            from keyonce.stores.redis.aio import (  # noqa: PLC0415 - lazy
                AsyncRedisStore,
            )

            return AsyncRedisStore(url)
        case scheme:
            raise _unknown(scheme)


def _scheme(url: str) -> str:
    scheme, colon, rest = url.partition(":")
    if scheme == "memory" and rest != "//":
        raise ConfigurationError(f"{url!r} says too much: write 'memory://'.")
    return scheme if colon else ""


def _unknown(scheme: str) -> ConfigurationError:
    # Not the whole URL: it may hold a password.
    return ConfigurationError(
        f"There is no store for {scheme + '://'!r}. There are 'memory://', "
        "'sqlite:///relative.db', 'sqlite:////absolute.db' and 'redis://host:6379/0'."
    )
