# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What a tiered URL says.

tiered://?fast=redis://cache:6379/0&durable=postgresql://user:password@host/shop
    &secret_env=KEYONCE_CACHE_SECRET

Both are whole URLs, in which % & # are written %25 %26 %23. *secret_env* names the
environment variable, *secret_file* the file, with the keys of a shared cache.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote

from keyonce.core.errors import ConfigurationError
from keyonce.stores.tiered.memory_cache import MemoryCache
from keyonce.stores.tiered.naming import prefix_for
from keyonce.stores.tiered.opening import IN_THE_CLEAR, shelf_of
from keyonce.stores.tiered.redis_cache import AsyncRedisCache, RedisCache

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keyonce.stores.tiered.cache import AsyncCache, Cache

OPTIONS: Final = (
    *("fast", "durable", "secret_env", "secret_file"),
    *("prefix", "size", "timeout"),
)
MEMORY: Final = "memory://"
EXAMPLE: Final = (
    "tiered://?fast=redis://cache:6379/0&durable=postgresql://user:password@host/shop"
    "&secret_env=KEYONCE_CACHE_SECRET"
)

_MIB: Final = 1024 * 1024
_UNITS: Final = {"KiB": 1024, "MiB": _MIB, "GiB": 1024 * _MIB}


@dataclass(frozen=True, slots=True, repr=False)  # its URLs may hold passwords
class Address:
    """The two tiers, and what lies between them."""

    fast: str
    durable: str
    secret_env: str | None = None
    secret_file: str | None = None
    prefix: str = ""
    size: int = 64 * _MIB
    timeout: timedelta = timedelta(milliseconds=50)

    def cache(self) -> MemoryCache | RedisCache:
        """Make the cache for threads."""
        if self.fast == MEMORY:
            return MemoryCache(size=self.size)
        return RedisCache(self.fast, timeout=self.timeout)

    def async_cache(self) -> MemoryCache | AsyncRedisCache:
        """Make the cache for one event loop."""
        if self.fast == MEMORY:
            return MemoryCache(size=self.size)
        return AsyncRedisCache(self.fast, timeout=self.timeout)

    def settings(self, fast: Cache | AsyncCache) -> dict[str, Any]:
        """Read what a tiered store with the cache *fast* is made with.

        Raises:
            ConfigurationError: the keys are not where the URL says, or they or the
                prefix cannot work.
        """
        keys, current_key = self._keys()
        settings: dict[str, Any] = {
            "keys": keys,
            "current_key": current_key,
            "prefix": self.prefix,
        }
        # Tried before the durable store is opened: nothing has to be closed then.
        shelf_of(fast, None, hold_for=1.0, clock=None, **settings)
        return settings

    def _keys(self) -> tuple[Mapping[str, bytes], str | None]:
        if self.secret_env is not None:
            where = f"the environment variable {self.secret_env}"
            return _keys_in(os.environ.get(self.secret_env, ""), where)
        if self.secret_file is not None:
            where = f"the file {self.secret_file}"
            return _keys_in(_text_of(self.secret_file), where)
        return {}, None


def address_of(url: str) -> Address:
    """Read *url*.

    Raises:
        ConfigurationError: it is not of the form above.
    """
    scheme, _, rest = url.partition("://")
    if scheme != "tiered" or not rest.startswith("?"):
        raise _bad("A tiered URL has no host, but options")
    options = _options(rest[1:])
    fast, durable = options.get("fast", ""), options.get("durable", "")
    if not fast or not durable:
        raise _bad("A tiered URL names a fast and a durable store")
    if durable.startswith("tiered:"):
        raise _bad("The durable store of a tiered one is no tiered one")
    if durable.startswith("sealed+") and fast != MEMORY:
        raise ConfigurationError(IN_THE_CLEAR)
    if fast.partition(":")[0] == "memory" and fast != MEMORY:
        raise _bad("Memory has no host: fast=memory://, and its size beside it")
    if "secret_env" in options and "secret_file" in options:
        raise _bad("The keys are in secret_env or in secret_file, not in both")
    return Address(
        fast=fast,
        durable=durable,
        secret_env=options.get("secret_env"),
        secret_file=options.get("secret_file"),
        prefix=options.get("prefix") or prefix_for(durable),
        size=_bytes(options.get("size", "64MiB")),
        timeout=_timeout(options.get("timeout", "50ms")),
    )


def tiered_url(fast: str, durable: str, **options: str) -> str:
    """Write the URL of a tiered store, everything escaped that has to be."""
    parts = {"fast": fast, "durable": durable, **options}
    return "tiered://?" + "&".join(
        f"{name}={quote(value, safe=':/@,?=[]')}" for name, value in parts.items()
    )


def _options(query: str) -> dict[str, str]:
    options: dict[str, str] = {}
    for part in query.split("&"):
        name, _, value = part.partition("=")
        if name not in OPTIONS:
            known = ", ".join(OPTIONS)
            raise _bad(
                f"A tiered URL has no option of that name; there are {known}. An '&' "
                "inside of one of its URLs is written %26"
            )
        if name in options:
            raise _bad(f"A tiered URL says {name} once")
        options[name] = unquote(value)
    return options


def _bytes(text: str) -> int:
    found = re.fullmatch(r"(\d{1,9})(KiB|MiB|GiB)", text)
    if found is None:
        raise _bad("The size of a cache is such as 64MiB")
    return int(found[1]) * _UNITS[found[2]]


def _timeout(text: str) -> timedelta:
    found = re.fullmatch(r"([1-9]\d{0,4})ms", text)
    if found is None:
        raise _bad("The timeout of a cache is such as 50ms")
    return timedelta(milliseconds=int(found[1]))


def _text_of(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigurationError(
            f"The keys of the cache cannot be read from {path}: {type(exc).__name__}."
        ) from exc


def _keys_in(text: str, where: str) -> tuple[Mapping[str, bytes], str]:
    pairs = [word.partition(":") for word in text.replace(",", " ").split()]
    keys = {key_id: secret.encode() for key_id, _, secret in pairs}
    if any(not colon for _, colon, _ in pairs):  # the word itself may be the secret
        raise ConfigurationError(
            f"A key in {where} has no id: write it as id:secret, such as "
            "2026:$(openssl rand -hex 32)."
        )
    if not keys or not all(keys) or not all(keys.values()):
        raise ConfigurationError(
            f"There is no key in {where}. Write id:secret there, the current one "
            "first, such as 2026:$(openssl rand -hex 32)."
        )
    return keys, pairs[0][0]


def _bad(what: str) -> ConfigurationError:
    return ConfigurationError(f"{what}. Write for example {EXAMPLE!r}.")
