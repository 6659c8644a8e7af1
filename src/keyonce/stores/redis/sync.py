# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The Redis store for threads."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from keyonce.stores.redis.keys import DEFAULT_PREFIX
from keyonce.stores.redis.opening import opened
from keyonce.stores.redis.verbs import Verbs

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyonce.stores.durability import Durability

STORE_TIMEOUT: Final = timedelta(seconds=5)


class RedisStore(Verbs):
    """Records in Redis or Valkey, shared by everyone who reaches the server.

    *place* is a URL (see `keyonce.stores.redis.address`) or a client of redis-py or
    valkey-py, which stays yours to close and keeps its own timeouts. Every change
    is one script, on the server's clock. What a verb has answered is as durable as
    the server's settings make it: they are looked at before the first command, and a
    server that evicts keys or keeps nothing on disk is refused. *durability*
    ``"declared"`` takes your word for it instead, where settings cannot be read or
    are weaker. All keys begin with *prefix*. A call gives up after about
    *store_timeout*. *clock* takes the place of the server's clock, for tests.

    Raises:
        ConfigurationError: the URL or the server cannot be used; what to change.
        StoreUnavailable: it did not answer.
    """

    def __init__(
        self,
        place: str | Any,
        *,
        clock: Callable[[], float] | None = None,
        store_timeout: timedelta = STORE_TIMEOUT,
        prefix: str = DEFAULT_PREFIX,
        durability: Durability = "checked",
    ) -> None:
        """Read the URL; nothing is opened until it is used."""
        server, names, news = opened(
            place,
            clock=clock,
            timeout=store_timeout.total_seconds(),
            prefix=prefix,
            durability=durability,
        )
        super().__init__(server, names, news)

    def close(self) -> None:
        """Close every connection that was made here, and end the thread."""
        self._news.close()
        self._server.close()
