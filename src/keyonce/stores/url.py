# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The store that a URL names."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from keyonce.core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import timedelta

    from keyonce.core.protocols import AsyncStore, Store
    from keyonce.stores.schema import Schema
    from keyonce.stores.sealed.environment import Settings

SQL: Final = {"sqlite", "postgresql", "postgres", "mysql", "mariadb"}
REDIS: Final = {
    *("redis", "rediss", "unix", "redis+cluster", "rediss+cluster"),
    *("redis+sentinel", "rediss+sentinel"),
}

SEALED: Final = "sealed+"


def open_store(
    url: str, *, migrate: bool = True, store_timeout: timedelta | None = None
) -> Store:
    """Open the store of *url*.

    Without *migrate*, or with ``?migrate=no`` in the URL, SQL stores change no tables:
    those that are missing or of an older version are refused.

    ``memory://``, ``sqlite:///relative.db``, ``sqlite:////absolute.db``,
    ``postgresql://user:password@host/database``, ``mysql://user:password@host/database``
    or ``mariadb://``, ``dynamodb://table?region=eu-central-1``; Redis and Valkey by
    ``redis://``, ``rediss://``, ``unix://``, ``redis+cluster://`` and
    ``redis+sentinel://``; a cache before any of them by
    ``tiered://?fast=…&durable=…``. With ``sealed+`` before it outcomes are encrypted
    at rest, with the keys that the environment names.

    A verb tries for at most *store_timeout*; without it, for the store's own 5 s. A
    tiered store has that for its durable tier; its cache has a timeout of its own.

    Raises:
        ConfigurationError: no store is called that, or it cannot be used.
        StoreUnavailable: it did not answer.
    """
    if is_sealed(url):
        from keyonce.stores.sealed.sync import Sealed  # noqa: PLC0415 - lazy

        told = _sealing()
        inner = open_store(beneath(url), migrate=migrate, store_timeout=store_timeout)
        return Sealed(inner, told.ring, accept_plain_until=told.accept_plain_until)
    url, migrate = _told(url, migrate=migrate)
    within = _within(store_timeout)
    match _scheme(url):
        case "memory":
            from keyonce.stores.memory import MemoryStore  # noqa: PLC0415 - lazy

            return MemoryStore()
        case "sqlite":
            from keyonce.stores.sqlite.sync import SQLiteStore  # noqa: PLC0415 - lazy

            return SQLiteStore(url, migrate=migrate, **within)
        case "postgresql" | "postgres":
            with _needing("postgres"):
                from keyonce.stores.postgres.sync import (  # noqa: PLC0415 - lazy
                    PostgresStore,
                )

            return PostgresStore(url, migrate=migrate, **within)
        case "mysql" | "mariadb":
            with _needing("mysql"):
                from keyonce.stores.mysql.sync import MySQLStore  # noqa: PLC0415 - lazy

            return MySQLStore(url, migrate=migrate, **within)
        case "dynamodb":
            with _needing("dynamodb"):
                from keyonce.stores.dynamodb.sync import (  # noqa: PLC0415 - lazy
                    DynamoDBStore,
                )

            return DynamoDBStore(url, **within)
        case scheme if scheme in REDIS:
            with _needing("redis"):
                from keyonce.stores.redis.sync import RedisStore  # noqa: PLC0415 - lazy

            return RedisStore(url, **within)
        case "tiered":
            return _open_tiered(url, migrate=migrate, store_timeout=store_timeout)
        case scheme:
            raise _unknown(url, scheme)


def open_async_store(
    url: str, *, migrate: bool = True, store_timeout: timedelta | None = None
) -> AsyncStore:
    """Open the same stores for event loops.

    Raises:
        ConfigurationError: no store is called that, or it cannot be used.
        StoreUnavailable: it did not answer.
    """
    if is_sealed(url):
        from keyonce.stores.sealed.aio import AsyncSealed  # noqa: PLC0415 - lazy

        told = _sealing()
        inner = open_async_store(
            beneath(url), migrate=migrate, store_timeout=store_timeout
        )
        return AsyncSealed(inner, told.ring, accept_plain_until=told.accept_plain_until)
    url, migrate = _told(url, migrate=migrate)
    within = _within(store_timeout)
    match _scheme(url):
        case "memory":
            from keyonce.stores.memory import AsyncMemoryStore  # noqa: PLC0415 - lazy

            return AsyncMemoryStore()
        case "sqlite":
            from keyonce.stores.sqlite.aio import (  # noqa: PLC0415 - lazy
                AsyncSQLiteStore,
            )

            return AsyncSQLiteStore(url, migrate=migrate, **within)
        case "postgresql" | "postgres":
            with _needing("postgres"):
                from keyonce.stores.postgres.aio import (  # noqa: PLC0415 - lazy
                    AsyncPostgresStore,
                )

            return AsyncPostgresStore(url, migrate=migrate, **within)
        case "mysql" | "mariadb":
            with _needing("mysql"):
                from keyonce.stores.mysql.aio import (  # noqa: PLC0415 - lazy
                    AsyncMySQLStore,
                )

            return AsyncMySQLStore(url, migrate=migrate, **within)
        case "dynamodb":
            with _needing("aiodynamodb"):
                from keyonce.stores.dynamodb.aio import (  # noqa: PLC0415 - lazy
                    AsyncDynamoDBStore,
                )

            return AsyncDynamoDBStore(url, **within)
        case scheme if scheme in REDIS:
            with _needing("redis"):
                from keyonce.stores.redis.aio import (  # noqa: PLC0415 - lazy
                    AsyncRedisStore,
                )

            return AsyncRedisStore(url, **within)
        case "tiered":
            return _open_async_tiered(url, migrate=migrate, store_timeout=store_timeout)
        case scheme:
            raise _unknown(url, scheme)


def open_schema(url: str) -> Schema:
    """Give the schema of the store of *url*, for operators; nothing is opened yet.

    Raises:
        ConfigurationError: no store is called that, or it cannot be used.
    """
    url, _ = _told(beneath(url), migrate=True)
    match _scheme(url):
        case "sqlite":
            from keyonce.stores.sqlite.migrating import (  # noqa: PLC0415 - lazy
                SQLiteSchema,
            )

            return SQLiteSchema(url)
        case "postgresql" | "postgres":
            with _needing("postgres"):
                from keyonce.stores.postgres.migrating import (  # noqa: PLC0415 - lazy
                    PostgresSchema,
                )

            return PostgresSchema(url)
        case "mysql" | "mariadb":
            with _needing("mysql"):
                from keyonce.stores.mysql.migrating import (  # noqa: PLC0415 - lazy
                    MySQLSchema,
                )

            return MySQLSchema(url)
        case "dynamodb":
            with _needing("dynamodb"):
                from keyonce.stores.dynamodb.migrating import (  # noqa: PLC0415 - lazy
                    DynamoDBSchema,
                )

            return DynamoDBSchema(url)
        case scheme if scheme in REDIS:
            with _needing("redis"):
                from keyonce.stores.redis.migrating import (  # noqa: PLC0415 - lazy
                    RedisSchema,
                )

            return RedisSchema(url)
        case "tiered":
            from keyonce.stores.tiered.address import address_of  # noqa: PLC0415 - lazy

            return open_schema(address_of(url).durable)
        case scheme:
            raise _unknown(url, scheme)


def _open_tiered(url: str, *, migrate: bool, store_timeout: timedelta | None) -> Store:
    from keyonce.stores.tiered.address import address_of  # noqa: PLC0415 - lazy
    from keyonce.stores.tiered.sync import Tiered  # noqa: PLC0415 - lazy

    address = address_of(url)
    cache = address.cache()
    settings = address.settings(cache)
    durable = open_store(address.durable, migrate=migrate, store_timeout=store_timeout)
    return Tiered(cache, durable, **settings)


def _open_async_tiered(
    url: str, *, migrate: bool, store_timeout: timedelta | None
) -> AsyncStore:
    from keyonce.stores.tiered.address import address_of  # noqa: PLC0415 - lazy
    from keyonce.stores.tiered.aio import AsyncTiered  # noqa: PLC0415 - lazy

    address = address_of(url)
    cache = address.async_cache()
    settings = address.settings(cache)
    durable = open_async_store(
        address.durable, migrate=migrate, store_timeout=store_timeout
    )
    return AsyncTiered(cache, durable, **settings)


def _within(store_timeout: timedelta | None) -> dict[str, Any]:
    return {} if store_timeout is None else {"store_timeout": store_timeout}


def is_sealed(url: str) -> bool:
    """Whether *url* is of a store whose outcomes are encrypted at rest."""
    return url.startswith(SEALED)


def beneath(url: str) -> str:
    """Give the URL of the store that holds the records of *url*.

    Raises:
        ConfigurationError: it is sealed twice.
    """
    inner = url.removeprefix(SEALED)
    if is_sealed(inner):
        raise ConfigurationError(f"A store is sealed once: write {SEALED!r} once.")
    return inner


def _sealing() -> Settings:
    """Read the key ring, before a store is opened that it may be missing for."""
    with _needing("crypto"):
        import keyonce.stores.sealed.cipher  # noqa: F401, PLC0415 - lazy
    from keyonce.stores.sealed.environment import settings_in  # noqa: PLC0415 - lazy

    return settings_in(os.environ)


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
            f"This store needs the package {missing}: pip install 'keyonce[{extra}]'"
        ) from exc


def _told(url: str, *, migrate: bool) -> tuple[str, bool]:
    """Take `migrate=no` out of the URL of an SQL store, and say whether to migrate.

    Raises:
        ConfigurationError: it says neither yes nor no.
    """
    head, mark, query = url.partition("?")
    if not mark or _scheme(url) not in SQL:
        return url, migrate
    options = query.split("&")
    said = {each for each in options if each.startswith("migrate=")}
    if said - {"migrate=yes", "migrate=no"}:
        raise ConfigurationError(
            "The store's URL says 'migrate=': write 'migrate=no' where 'keyonce "
            "migrate' changes the tables, or leave it out."
        )
    rest = "&".join(each for each in options if each not in said)
    if not said:
        return url, migrate
    return head + (f"?{rest}" if rest else ""), migrate and "migrate=no" not in said


def _scheme(url: str) -> str:
    scheme, colon, rest = url.partition(":")
    if scheme == "memory" and rest != "//":
        raise ConfigurationError(f"{url!r} says too much: write 'memory://'.")
    return scheme if colon else ""


def _unknown(url: str, scheme: str) -> ConfigurationError:
    there_are = (
        "There are 'memory://', 'sqlite:///relative.db', 'sqlite:////absolute.db', "
        "'postgresql://user:password@host/database', "
        "'mysql://user:password@host/database', 'redis://host:6379/0', "
        "'dynamodb://table?region=eu-central-1', and a cache before any of them: "
        "'tiered://?fast=…&durable=…'. With 'sealed+' before any of these outcomes "
        "are encrypted at rest."
    )
    if url and ":" not in url:
        meant = f"For the SQLite file of that name write 'sqlite:///{url}'."
        return ConfigurationError(f"{url!r} is no URL. {meant} {there_are}")
    # Not the whole URL: it may hold a password.
    return ConfigurationError(f"There is no store for {scheme + '://'!r}. {there_are}")
