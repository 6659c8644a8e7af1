# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""How a service spells what this layer adds to HTTP."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from keyonce.core.errors import ConfigurationError

KEY_HEADER: Final = "Idempotency-Key"
REPLAYED: Final = b"idempotency-replayed"
REPLAYED_ALIAS: Final = b"idempotent-replayed"
EXPIRES: Final = b"idempotency-expires"
STATUS: Final = b"idempotency-status"
STEERING_PREFIX: Final = b"keyonce-"
MARKS: Final = frozenset({REPLAYED, REPLAYED_ALIAS, EXPIRES, STATUS})

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch
_URL: Final = re.compile(r"[!#-;=?-~]+").fullmatch
_PREFIX: Final = re.compile(r"(/[0-9A-Za-z._~-]+)+").fullmatch
_TAKEN: Final = frozenset({"authorization", "cookie", "content-length", "host"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """The names that one service uses.

    *key_header* is where the caller puts the key. *replayed_alias* marks replays
    with ``Idempotent-Replayed`` as well, which clients of some payment services
    look for. *docs_url* is linked from every problem. *prefix* is the path under
    which the service's own resources live, such as the status of a key.

    Raises:
        ConfigurationError: a name that cannot stand in HTTP.
    """

    key_header: str = KEY_HEADER
    replayed_alias: bool = False
    docs_url: str | None = None
    prefix: str = "/_keyonce"
    key_name: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse names that cannot stand in HTTP."""
        check_header_name(self.key_header, setting="key_header")
        if self.key_header.lower() in _TAKEN:
            message = (
                f"key_header cannot be {self.key_header!r}, which means something "
                f"else. Use {KEY_HEADER!r}."
            )
            raise ConfigurationError(message)
        if self.docs_url is not None and not _URL(self.docs_url):
            message = f"docs_url is a URL in ASCII, not {self.docs_url!r}."
            raise ConfigurationError(message)
        if not _PREFIX(self.prefix):
            message = (
                f"prefix is a path such as '/_keyonce', without an end slash, "
                f"not {self.prefix!r}."
            )
            raise ConfigurationError(message)
        object.__setattr__(self, "key_name", self.key_header.lower().encode())


def check_header_name(name: str, *, setting: str) -> None:
    """Refuse what is no header name, naming the *setting* that it came from."""
    if not _TOKEN(name):
        message = f"{setting} names a header, such as {KEY_HEADER!r}, not {name!r}."
        raise ConfigurationError(message)


DIALECT: Final = Dialect()
