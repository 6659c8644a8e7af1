# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""From what a store is given to the server that it speaks to."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from keyonce.stores.news import News
from keyonce.stores.redis.address import address_of
from keyonce.stores.redis.clients import open_async_client, open_client, twin_of
from keyonce.stores.redis.hearing import open_line
from keyonce.stores.redis.keys import Names, names_under
from keyonce.stores.redis.server import Server

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyonce.stores.durability import Durability


def opened(
    place: str | Any,
    *,
    clock: Callable[[], float] | None,
    timeout: float,
    prefix: str,
    durability: Durability,
) -> tuple[Server, Names, News]:
    """Give the server that threads speak to, the names of the keys, and the news.

    Raises:
        ConfigurationError: the URL or the prefix cannot be used.
    """
    if not isinstance(place, str):
        server = Server(lambda: place, clock=clock, durability=durability, ours=False)
        names = names_under(prefix)
        return server, names, _news(partial(twin_of, place), names, timeout)
    address = address_of(place, prefix=prefix, durability=durability)
    client = partial(open_client, address, timeout)
    server = Server(client, clock=clock, durability=address.durability, ours=True)
    names = names_under(address.prefix)
    return server, names, _news(client, names, timeout)


def _news(open_client: Callable[[], Any], names: Names, timeout: float) -> News:
    return News(partial(open_line, open_client, names.news, timeout))


def opened_for_loops(
    place: str | Any,
    *,
    clock: Callable[[], float] | None,
    timeout: float,
    prefix: str,
    durability: Durability,
) -> tuple[Any, bool, Server, Names, News]:
    """Give an asyncio client, whether it is ours, and what `opened` gives.

    Raises:
        ConfigurationError: the URL, the client or the prefix cannot be used.
    """
    if isinstance(place, str):
        address = address_of(place, prefix=prefix, durability=durability)
        client = open_async_client(address, timeout)
        server, names, news = opened(
            place, clock=clock, timeout=timeout, prefix=prefix, durability=durability
        )
        return client, True, server, names, news
    for_threads = twin_of(place)
    server = Server(lambda: for_threads, clock=clock, durability=durability, ours=True)
    names = names_under(prefix)
    news = _news(partial(twin_of, place), names, timeout)
    return place, False, server, names, news
