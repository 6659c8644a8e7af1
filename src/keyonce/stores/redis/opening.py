# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""From what a store is given to the server that it speaks to."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from keyonce.stores.redis.address import address_of
from keyonce.stores.redis.clients import open_async_client, open_client, twin_of
from keyonce.stores.redis.keys import Names, names_under
from keyonce.stores.redis.server import Server

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyonce.stores.redis.address import Durability


def opened(
    place: str | Any,
    *,
    clock: Callable[[], float] | None,
    timeout: float,
    prefix: str,
    durability: Durability,
) -> tuple[Server, Names]:
    """Give the server that threads speak to, and the names of the keys.

    Raises:
        ConfigurationError: the URL or the prefix cannot be used.
    """
    if not isinstance(place, str):
        server = Server(lambda: place, clock=clock, durability=durability, ours=False)
        return server, names_under(prefix)
    address = address_of(place, prefix=prefix, durability=durability)
    server = Server(
        partial(open_client, address, timeout),
        clock=clock,
        durability=address.durability,
        ours=True,
    )
    return server, names_under(address.prefix)


def opened_for_loops(
    place: str | Any,
    *,
    clock: Callable[[], float] | None,
    timeout: float,
    prefix: str,
    durability: Durability,
) -> tuple[Any, bool, Server, Names]:
    """Give an asyncio client, whether it is ours, and what `opened` gives.

    Raises:
        ConfigurationError: the URL, the client or the prefix cannot be used.
    """
    if isinstance(place, str):
        address = address_of(place, prefix=prefix, durability=durability)
        client = open_async_client(address, timeout)
        server, names = opened(
            place, clock=clock, timeout=timeout, prefix=prefix, durability=durability
        )
        return client, True, server, names
    for_threads = twin_of(place)
    server = Server(lambda: for_threads, clock=clock, durability=durability, ours=True)
    return place, False, server, names_under(prefix)
