# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The seal around a cache entry: who wrote it, for which name, and all of it.

    entry = form:1 length:1 key-id content tag

The tag is an HMAC-SHA-256 over the name and all before it, or without keys (in the
memory of a process) a CRC-32. It binds an entry to the name that it was put under,
so that none serves under another, be it of another prefix.
"""

from __future__ import annotations

import hmac
from types import MappingProxyType
from typing import TYPE_CHECKING, Final
from zlib import crc32

from keyonce.core.errors import ConfigurationError
from keyonce.core.netstring import netstring
from keyonce.stores.tiered.entries import Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

FORM: Final = 1
LEAST_SECRET: Final = 32
NO_KEYS: Final[Mapping[str, bytes]] = MappingProxyType({})

_LONGEST_ID: Final = 255
_TAG: Final = 32
_CRC: Final = 4
_USE: Final = b"keyonce cache entry"  # a key of several uses makes no tag of another


class Seals:
    """Seals entries with the current key, and opens those of every known key.

    Raises:
        ConfigurationError: a key that is too short, or a current one not there.
    """

    __slots__ = ("_current", "_keys")

    def __init__(
        self, keys: Mapping[str, bytes] = NO_KEYS, current_key: str | None = None
    ) -> None:
        """Know *keys* by their id; without a current one entries have a checksum."""
        _check(keys, current_key)
        self._keys: Final = {name.encode(): secret for name, secret in keys.items()}
        self._current: Final = None if current_key is None else current_key.encode()

    @property
    def keyed(self) -> bool:
        """Whether nobody without a key can make an entry."""
        return self._current is not None

    def sealed(self, name: bytes, content: bytes) -> bytes:
        """Make the entry of *content* under *name*."""
        key_id = self._current or b""
        whole = b"%c%c%b%b" % (FORM, len(key_id), key_id, content)
        return whole + self._tag(name, key_id, whole)

    def opened(self, name: bytes, entry: bytes) -> bytes:
        """Give the content of *entry*, found under *name*.

        Raises:
            Refused: it was not sealed here, not for that name, or is torn.
        """
        if entry[:1] != b"%c" % FORM:
            raise Refused("form")
        start = 2 + int.from_bytes(entry[1:2])
        key_id = entry[2:start]
        end = len(entry) - (_TAG if self.keyed else _CRC)
        if end < start or self.keyed is not (key_id in self._keys):
            raise Refused("key")
        if not hmac.compare_digest(entry[end:], self._tag(name, key_id, entry[:end])):
            raise Refused("seal")
        return entry[start:end]

    def _tag(self, name: bytes, key_id: bytes, whole: bytes) -> bytes:
        data = b"".join((_USE, netstring(name), whole))
        if self._current is None:
            return crc32(data).to_bytes(_CRC)
        return hmac.digest(self._keys[key_id], data, "sha256")


def _check(keys: Mapping[str, bytes], current_key: str | None) -> None:
    for key_id, secret in keys.items():
        if not 1 <= len(key_id.encode()) <= _LONGEST_ID:
            raise ConfigurationError("The id of a cache key has 1 to 255 bytes.")
        if len(secret) < LEAST_SECRET:
            raise ConfigurationError(
                f"The cache key {key_id!r} is shorter than {LEAST_SECRET} bytes: use "
                "that many random ones, such as 'openssl rand -hex 32' writes."
            )
    if current_key is None and keys:
        raise ConfigurationError("Say which of the cache keys is the current_key.")
    if current_key is not None and current_key not in keys:
        raise ConfigurationError(
            f"There is no cache key with the id {current_key!r}: add it to the keys, "
            "or name one of them as the current one."
        )
