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
    """Open the store of *url*.

    ``memory://``, ``sqlite:///relative.db``, ``sqlite:////absolute.db`` or
    ``dynamodb://table?region=eu-central-1``.

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
        case "dynamodb":
            with _extra("dynamodb"):
                from keyonce.stores.dynamodb.sync import (  # noqa: PLC0415 - lazy
                    DynamoDBStore,
                )

            return DynamoDBStore(url)
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
        case "dynamodb":
            with _extra("aiodynamodb"):
                from keyonce.stores.dynamodb.aio import (  # noqa: PLC0415 - lazy
                    AsyncDynamoDBStore,
                )

            return AsyncDynamoDBStore(url)
        case scheme:
            raise _unknown(scheme)


def _scheme(url: str) -> str:
    scheme, colon, rest = url.partition(":")
    if scheme == "memory" and rest != "//":
        raise ConfigurationError(f"{url!r} says too much: write 'memory://'.")
    return scheme if colon else ""


@contextmanager
def _extra(name: str) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise ConfigurationError(
            f"This store needs packages that are not here ({error.name}). "
            f"Install them with: pip install 'keyonce[{name}]'"
        ) from error


def _unknown(scheme: str) -> ConfigurationError:
    # Not the whole URL: it may hold a password.
    return ConfigurationError(
        f"There is no store for {scheme + '://'!r}. There are 'memory://', "
        "'sqlite:///relative.db', 'sqlite:////absolute.db' and "
        "'dynamodb://table?region=eu-central-1'."
    )
