# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The names of keys in Redis: one for a record, one for its audit.

    record = prefix ":r:{" identity "}"       audit = prefix ":a:{" identity "}"
    the channel of news = prefix ":n"
    identity = scope operation key, each with its length in front

The braces make both fall into one slot of a Cluster. Every identity has a name
of its own, and every name gives its identity back.
"""

from __future__ import annotations

import re
from hashlib import sha1
from typing import Final, NamedTuple

from keyonce.core.errors import ConfigurationError
from keyonce.core.model import Identity
from keyonce.core.netstring import netstring

DEFAULT_PREFIX: Final = "keyonce"

# Neither a brace, which would choose the slot, nor a sign of a SCAN pattern.
_PREFIX: Final = re.compile(r"[A-Za-z0-9_.:/-]{1,64}")
_SPECIAL: Final = re.compile(rb"([*?\[\]\\^])")
_PARTS: Final = 3


class Names(NamedTuple):
    """The names of one store's keys."""

    records: bytes
    audits: bytes
    news: bytes

    def record(self, identity: Identity) -> bytes:
        """Name the record of *identity*."""
        return b"%b{%b}" % (self.records, _written(identity))

    def audit(self, identity: Identity) -> bytes:
        """Name the audit of *identity*."""
        return b"%b{%b}" % (self.audits, _written(identity))

    def news_name(self, identity: Identity) -> bytes:
        """Name *identity* as the scripts do where they publish: by a digest."""
        name = self.record(identity)
        return sha1(name, usedforsecurity=False).hexdigest().encode()

    def records_like(self, scope: str | None) -> bytes:
        """Give the pattern of all records, or of those of *scope*."""
        if scope is None:
            return self.records + b"{*"
        return b"%b{%b*" % (self.records, _literally(netstring(scope.encode())))

    def audits_like(self) -> bytes:
        """Give the pattern of all audits."""
        return self.audits + b"{*"


def names_under(prefix: str) -> Names:
    """Give the names under *prefix*.

    Raises:
        ConfigurationError: a prefix that no key can begin with.
    """
    if not _PREFIX.fullmatch(prefix):
        raise ConfigurationError(
            f"A prefix of {prefix!r} cannot be: take 1 to 64 of letters, digits, "
            "'_', '.', ':', '/' and '-'."
        )
    return Names(*(f"{prefix}:{kind}".encode() for kind in ("r:", "a:", "n")))


def identity_of(name: bytes) -> Identity | None:
    """Read the identity in the name of a record or audit; None: it is not ours."""
    _, brace, rest = name.partition(b":{")
    if not brace or not rest.endswith(b"}"):
        return None
    parts: list[str] = []
    at, end = 0, len(rest) - 1
    try:
        while at < end and len(parts) < _PARTS:
            colon = rest.index(b":", at)
            start = colon + 1
            at = start + int(rest[at:colon])
            parts.append(rest[start:at].decode())
    except ValueError:
        return None
    return Identity(*parts) if at == end and len(parts) == _PARTS else None


def _written(identity: Identity) -> bytes:
    return b"".join([netstring(part.encode()) for part in identity])


def _literally(text: bytes) -> bytes:
    return _SPECIAL.sub(rb"\\\1", text)
