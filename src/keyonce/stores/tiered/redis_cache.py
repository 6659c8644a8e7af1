# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A cache in Redis or Valkey: it may evict, forget and be gone as it likes."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from importlib import import_module
from typing import Any, Final

from keyonce.core.errors import ConfigurationError
from keyonce.stores.tiered.cache import LARGEST_ENTRY

TIMEOUT: Final = timedelta(milliseconds=50)
CONNECTIONS: Final = 32
LONGEST_TIMEOUT: Final = 1.0  # seconds, of a client that is handed in

# A client may be set to decode answers as text; ours are bytes.
_RAW: Final = {"NEVER_DECODE": ()}
_SCHEMES: Final = ("redis://", "rediss://", "unix://")
_NO_ENTRY: Final = b"\0"


class RedisCache:
    """Entries in a Redis or Valkey server, for threads.

    *place* is a ``redis://``, ``rediss://`` or ``unix://`` URL, or a client of
    redis-py or valkey-py, which stays yours to close and keeps its own timeouts:
    they are short, or a server that hangs holds up callers. Each command of a
    client made here gives up after *timeout*. The server may have any eviction
    policy and needs no disk.

    Raises:
        ConfigurationError: the URL cannot be used, or the client waits for ever.
    """

    def __init__(self, place: str | Any, *, timeout: timedelta = TIMEOUT) -> None:
        """Read the URL; nothing is opened until it is used."""
        self._ours = isinstance(place, str)
        self._client = (
            _open(place, timeout.total_seconds())
            if isinstance(place, str)
            else _impatient(place)
        )

    @property
    def shared(self) -> bool:
        """Whoever reaches the server can write to it."""
        return True

    @property
    def immediate(self) -> bool:
        """It waits for the server."""
        return False

    def get(self, name: bytes) -> bytes | None:
        try:
            return _entry(self._client.execute_command(*_get(name), **_RAW))
        except Exception as error:  # noqa: BLE001 - any driver's
            return _of_another_kind(error)

    def put(self, name: bytes, entry: bytes, seconds: float) -> None:
        self._client.execute_command(*_put(name, entry, seconds))

    def drop(self, name: bytes) -> None:
        self._client.execute_command("DEL", name)

    def close(self) -> None:
        """Close the client if it was made here."""
        if self._ours:
            self._client.close()


class AsyncRedisCache:
    """RedisCache for one event loop; *timeout* holds for a client of yours, too."""

    def __init__(self, place: str | Any, *, timeout: timedelta = TIMEOUT) -> None:
        """Read the URL; nothing is opened until it is used."""
        self._ours = isinstance(place, str)
        self._timeout = timeout.total_seconds()
        self._client: Any = _open_async(place) if isinstance(place, str) else place
        self._room = asyncio.Semaphore(CONNECTIONS)

    @property
    def shared(self) -> bool:
        """Whoever reaches the server can write to it."""
        return True

    @property
    def immediate(self) -> bool:
        """It waits for the server."""
        return False

    async def get(self, name: bytes) -> bytes | None:
        try:
            return _entry(await self._soon(*_get(name), **_RAW))
        except Exception as error:  # noqa: BLE001 - any driver's
            return _of_another_kind(error)

    async def put(self, name: bytes, entry: bytes, seconds: float) -> None:
        await self._soon(*_put(name, entry, seconds))

    async def drop(self, name: bytes) -> None:
        await self._soon("DEL", name)

    async def close(self) -> None:
        """Close the client if it was made here."""
        if self._ours:
            await self._client.aclose()

    async def _soon(self, *command: Any, **options: Any) -> Any:
        task = asyncio.current_task()
        before = 0 if task is None else task.cancelling()
        async with asyncio.timeout(self._timeout), self._room:
            answer = await self._client.execute_command(*command, **options)
        # redis-py 8.1 can lose a cancellation that comes while it waits.
        if task is not None and task.cancelling() > before:
            raise asyncio.CancelledError
        return answer


def _get(name: bytes) -> tuple[Any, ...]:
    # No more than an entry can be, whatever somebody has put there.
    return "GETRANGE", name, 0, LARGEST_ENTRY


def _put(name: bytes, entry: bytes, seconds: float) -> tuple[Any, ...]:
    return "SET", name, entry, "PX", max(1, int(seconds * 1000))


def _entry(answer: bytes) -> bytes | None:
    return answer or None


def _of_another_kind(error: Exception) -> bytes:
    """Give what is no entry for a name that is no string; else raise *error*."""
    if "WRONGTYPE" in str(error):
        return _NO_ENTRY
    raise error


def _open(url: str, timeout: float) -> Any:
    """Make a client for threads, of few connections."""
    return _client(
        "redis",
        "BlockingConnectionPool",
        url,
        max_connections=CONNECTIONS,
        timeout=timeout,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
    )


def _open_async(url: str) -> Any:
    """Make a client for a loop, without timeouts: ours stand around each command.

    Those of the driver would double the time of a command, and so would a pool
    with a bound of its own.
    """
    return _client(
        "redis.asyncio",
        "ConnectionPool",
        url,
        socket_timeout=None,
        socket_connect_timeout=None,
    )


def _client(package: str, pool: str, url: str, **settings: Any) -> Any:
    """Make a client that tries nothing twice.

    Raises:
        ConfigurationError: the URL cannot be used, or the driver is not there.
    """
    if not url.startswith(_SCHEMES):
        raise ConfigurationError(
            "A cache (fast=) is memory://, or in Redis by a URL that begins with "
            "redis://, rediss:// or unix://. For a Cluster, or behind Sentinel, hand a "
            "client to RedisCache."
        )
    try:
        driver = import_module(package)
        retry = import_module(f"{package}.retry").Retry(_no_backoff(), 0)
    except ImportError as exc:
        raise ConfigurationError(
            "A cache in Redis needs redis-py: pip install 'keyonce[redis]'."
        ) from exc
    try:
        connections = getattr(driver, pool).from_url(
            url, retry=retry, protocol=2, **settings
        )
        connections.connection_class(**connections.connection_kwargs)
    except (TypeError, ValueError) as exc:
        raise ConfigurationError(
            f"The URL of the cache cannot be used: {type(exc).__name__}. Write for "
            "example redis://user:password@host:6379/0."
        ) from exc
    return driver.Redis.from_pool(connections)


def _no_backoff() -> Any:
    from redis.backoff import NoBackoff  # noqa: PLC0415 - optional

    return NoBackoff()


def _impatient(client: Any) -> Any:
    """Refuse a client that would wait for a hanging server for long."""
    pool = getattr(client, "connection_pool", None)
    settings = getattr(pool, "connection_kwargs", None)
    if settings is None:
        return client  # of a Cluster: there is no telling
    patience = settings.get("socket_timeout")
    if patience is None or patience > LONGEST_TIMEOUT:
        raise ConfigurationError(
            "The client of the cache has no short socket_timeout: a server that hangs "
            "would hold up every caller. Give it at most 1, better 0.05 seconds."
        )
    return client
