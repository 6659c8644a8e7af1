# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The keys that seal and open outcomes, and how they are written down."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from keyonce.core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

KEY_BYTES: Final = 32

_KEY_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,32}").fullmatch
_BETWEEN: Final = re.compile(r"[,\s]+")
_FORM: Final = (
    "Write 'id:key', the key as 32 random bytes in base64; 'keyonce seal-key' makes one"
)


@dataclass(frozen=True, slots=True)
class KeyRing:
    """Keys of 32 random bytes by their id; *current* seals, all of them open.

    An id is stored beside every outcome: never use one for a second key.

    Raises:
        ConfigurationError: an id or a key that is none, or no current one.
    """

    keys: Mapping[str, bytes] = field(repr=False)
    current: str

    def __post_init__(self) -> None:
        """Check every key."""
        object.__setattr__(self, "keys", dict(self.keys))
        for key_id, key in self.keys.items():
            if not _KEY_ID(key_id):
                raise ConfigurationError(
                    f"{key_id!r} is no id of a seal key: use 1 to 32 letters, digits, "
                    "dots, dashes or underscores."
                )
            if len(key) != KEY_BYTES:
                raise ConfigurationError(
                    f"The seal key {key_id!r} has {len(key)} bytes: it needs "
                    f"{KEY_BYTES} random ones. 'keyonce seal-key' makes a key."
                )
        if self.current not in self.keys:
            raise ConfigurationError(
                f"There is no seal key with the id {self.current!r}: add it to the "
                "ring, or name one of its keys as the current one."
            )

    @classmethod
    def read(cls, text: str, *, where: str = "the key ring") -> KeyRing:
        """Read a ring from *text*; its first key seals.

        Each is ``id:base64``; between them stands a comma or the end of a line.
        What stands behind a ``#`` is a remark.

        Raises:
            ConfigurationError: it is none; says what in *where*, without a key.
        """
        keys: dict[str, bytes] = {}
        for place, word in enumerate(_words(text), 1):
            key_id, key = _key_of(word, f"{where}: key {place}")
            if key_id in keys:
                raise ConfigurationError(
                    f"{where}: there are two keys with the id {key_id!r}. An id names "
                    "one key for ever: give the newer one an id of its own."
                )
            keys[key_id] = key
        if not keys:
            raise ConfigurationError(f"{where}: there is no key. {_FORM}.")
        return cls(keys, current=next(iter(keys)))


def written(key_id: str, key: bytes) -> str:
    """Write one key as ``KeyRing.read`` reads it.

    Raises:
        ConfigurationError: an id or a key that is none.
    """
    KeyRing({key_id: key}, current=key_id)
    return f"{key_id}:{b64encode(key).decode('ascii')}"


def _words(text: str) -> Iterator[str]:
    lines = [line.partition("#")[0] for line in text.splitlines()]
    return filter(None, _BETWEEN.split("\n".join(lines)))


def _key_of(word: str, where: str) -> tuple[str, bytes]:
    key_id, colon, encoded = word.partition(":")
    if not colon:  # the word itself may be the key: not a letter of it is told
        raise ConfigurationError(f"{where} has no id. {_FORM}.")
    if not _KEY_ID(key_id):
        raise ConfigurationError(
            f"{where} has no proper id: 1 to 32 letters, digits, dots, dashes or "
            f"underscores before the colon. {_FORM}."
        )
    try:
        key = b64decode(encoded, validate=True)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise ConfigurationError(
            f"{where}, {key_id!r}, is not 32 bytes in base64. {_FORM}."
        )
    return key_id, key
