# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""From what a tiered store is given to what its verbs share."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from keyonce.core.errors import ConfigurationError
from keyonce.stores.tiered.clocks import machine, monotonic, twice
from keyonce.stores.tiered.naming import own_prefix
from keyonce.stores.tiered.reckoning import Reckoning
from keyonce.stores.tiered.seals import Seals
from keyonce.stores.tiered.shelf import Shelf
from keyonce.stores.tiered.standing import Standing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from keyonce.core.model import Traits
    from keyonce.stores.tiered.cache import AsyncCache, Cache

IN_THE_CLEAR: Final = (
    "The durable store is sealed and the cache before it is outside the process: the "
    "cache would hold outcomes in the clear. Seal the whole: sealed+tiered://…, with "
    "the durable URL as it is without sealed+, or Sealed(Tiered(…), ring)."
)


def shelf_of(
    fast: Cache | AsyncCache,
    durable: Traits | None,
    *,
    keys: Mapping[str, bytes],
    current_key: str | None,
    prefix: str | None,
    hold_for: float,
    clock: Callable[[], float] | None,
) -> Shelf:
    """Make the shelf between *fast* and a store that promises *durable*.

    Raises:
        ConfigurationError: *fast* is no cache, others can write to it and there is
            no key or no prefix, or one of the settings cannot work.
    """
    if not all(hasattr(fast, name) for name in ("get", "put", "drop", "shared")):
        raise ConfigurationError(
            f"The fast tier is a cache (MemoryCache, RedisCache), not "
            f"{type(fast).__name__}. By URLs: open_store('tiered://?fast=…&durable=…')."
        )
    seals = Seals(keys, current_key)
    if fast.shared and not seals.keyed:
        raise ConfigurationError(
            "This cache is outside the process and there is no key to seal its "
            "entries: whoever can write to it could forge answers. Give keys and "
            "current_key, or secret_env=NAME or secret_file=PATH in the URL."
        )
    if fast.shared and prefix is None:
        raise ConfigurationError(
            "This cache is outside the process and there is no prefix: with another "
            "durable store behind it either would serve the other's answers. Give "
            "each durable store a prefix of its own, such as prefix='shop-orders'."
        )
    if fast.shared and durable is not None and durable.sealed:
        raise ConfigurationError(IN_THE_CLEAR)
    return Shelf(
        seals=seals,
        prefix=own_prefix() if prefix is None else prefix,
        hold_for=hold_for,
        reckoning=Reckoning(machine if clock is None else twice(clock)),
        standing=Standing("" if durable is None else durable.name, monotonic),
    )


def tiered_traits(durable: Traits) -> Traits:
    """Give what a store promises with a cache before it: the same."""
    return replace(durable, name=f"tiered({durable.name})", immediate=False)
