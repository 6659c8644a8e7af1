# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Whose key it is: how the scope of a request is told.

A scope is a stable principal: an API key, a tenant, a user. Its text depends on
how it is told and by whom, never on rules, so changing rules forgets no key:

| told by | text |
|---|---|
| a header, hashed | 22 characters of base64url: name and value, SHA-256 |
| a header, as it is | ``x-tenant:value`` |
| a function | ``@value`` |
| one scope for all callers | ``(name)`` |

No two kinds can meet: a caller who sends ``(name)`` in a header is not in the
shared scope. What is longer than 255 or no printable ASCII becomes ``#`` and its
SHA-256. Telling the scope in another way, or by another header, is another
principal: live keys are then new requests.
"""

from __future__ import annotations

import hashlib
from binascii import b2a_base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from keyonce.core.errors import ConfigurationError
from keyonce.http.dialect import KEY_HEADER, check_header_name
from keyonce.http.messages import RequestHead

LONGEST: Final = 255
SCOPES_KEPT: Final = 1024
_DOMAIN: Final = b"keyonce scope 1\0"
_ROTATING: Final = frozenset({"authorization", "proxy-authorization", "cookie"})


@dataclass(frozen=True, slots=True)
class MissingScope:
    """The scope cannot be told; *detail* is for the caller."""

    detail: str


ScopeReader = Callable[[RequestHead], str | MissingScope]


@dataclass(frozen=True, slots=True)
class HeaderScope:
    """Reads the scope from a header. Made by ``by_header``."""

    name: str
    hashed: bool
    commas_ok: bool
    _name: bytes = field(init=False, repr=False, compare=False)
    _seed: Any = field(init=False, repr=False, compare=False)
    _known: Callable[[bytes], str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Prepare what is the same for every request."""
        name = self.name.lower().encode()
        object.__setattr__(self, "_name", name)
        object.__setattr__(self, "_seed", hashlib.sha256(_DOMAIN + name + b"\0"))
        # Callers come back: those of late need no new digest.
        object.__setattr__(self, "_known", lru_cache(SCOPES_KEPT)(self._digest))

    def __call__(self, head: RequestHead) -> str | MissingScope:
        """Give the scope of *head*."""
        values = head.values(self._name)
        if len(values) != 1:
            return MissingScope(self._absent() if not values else self._twice())
        value = values[0].strip(b" \t")
        if not value:
            return MissingScope(f"The header {self.name} is empty.")
        # A WSGI server joins two lines into one with a comma between.
        if b"," in value and not self.commas_ok:
            return MissingScope(self._twice())
        if self.hashed:
            return self._digest(value) if len(value) > LONGEST else self._known(value)
        return _fitted(f"{self._name.decode()}:{value.decode('latin-1')}")

    def _digest(self, value: bytes) -> str:
        digest = self._seed.copy()
        digest.update(value)
        return _letters(digest.digest())

    def _absent(self) -> str:
        return f"The header {self.name} says whose key it is, and is not there."

    def _twice(self) -> str:
        return f"The header {self.name} says whose key it is: send it once, one value."

    def __str__(self) -> str:
        return f"the header {self.name}{' (hashed)' if self.hashed else ''}"


def by_header(
    name: str,
    *,
    hashed: bool = True,
    rotating_ok: bool = False,
    commas_ok: bool = False,
) -> HeaderScope:
    """Tell the scope by the header *name*.

    *hashed* keeps the value itself out of the store: use it for secrets. Absent,
    empty, or there twice: the scope is missing. A comma in the value counts as
    twice, since WSGI servers join lines so, unless *commas_ok*. *rotating_ok* says
    aloud that the value changes only when the caller does.

    Raises:
        ConfigurationError: no header name; a header whose value rotates; the
            key's own header.
    """
    check_header_name(name, setting="scope")
    if name.lower() == KEY_HEADER.lower():
        raise ConfigurationError(
            f"The scope says whose key it is: not {name!r} itself."
        )
    if name.lower() in _ROTATING and not rotating_ok:
        message = (
            f"{name} is no stable principal: bearer tokens and sessions are refreshed, "
            "and a retry with the fresh one would count as a new request and run "
            "twice. Tell the scope by an API key, or by a user or tenant id that your "
            "gateway sets. If the value never changes for a caller, say "
            "rotating_ok=True."
        )
        raise ConfigurationError(message)
    return HeaderScope(name, hashed, commas_ok)


@dataclass(frozen=True, slots=True)
class SharedScope:
    """One scope for every caller. Made by ``shared``."""

    name: str

    def __call__(self, _head: RequestHead) -> str | MissingScope:
        """Give the one scope."""
        return _fitted(f"({self.name})")

    def __str__(self) -> str:
        return f"one scope, {self.name!r}, shared by all callers"


def shared(name: str) -> SharedScope:
    """Put all callers into one scope, asked for by *name*.

    Whoever knows or guesses a key then gets the answer that another caller got. Right
    for a service with one caller; for anonymous ones only if answers hold no secrets.
    """
    if not name:
        message = "A shared scope has a name, such as shared('anonymous')."
        raise ConfigurationError(message)
    return SharedScope(name)


@dataclass(frozen=True, slots=True)
class FunctionScope:
    """Asks the author's own function. Made by ``by_function``."""

    function: Callable[[Mapping[str, Any]], str | None]

    def __call__(self, head: RequestHead) -> str | MissingScope:
        """Give what the function says of *head*'s context."""
        told = self.function(head.context)
        if told is None or told == "":
            return MissingScope("It cannot be told whose key this is: who are you?")
        if not isinstance(told, str):
            message = (
                "The scope function gives a str, or None where there is no principal, "
                f"not {type(told).__name__}. Write str(user.id), for example."
            )
            raise ConfigurationError(message)
        return _fitted(f"@{told}")

    def __str__(self) -> str:
        return "the principal that the service knows you as"


def by_function(function: Callable[[Mapping[str, Any]], str | None]) -> FunctionScope:
    """Tell the scope by *function*, from the ASGI scope or the WSGI environ.

    None and the empty string mean that there is no principal: a request with a key
    is then refused. Return a user or tenant id, not a token.
    """
    return FunctionScope(function)


def _fitted(scope: str) -> str:
    if len(scope) <= LONGEST and scope.isascii() and scope.isprintable():
        return scope
    text = _DOMAIN + scope.encode("utf-8", "surrogatepass")
    return f"#{_letters(hashlib.sha256(text).digest())}"


_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")


def _letters(digest: bytes) -> str:
    return b2a_base64(digest[:16]).translate(_URL_SAFE, b"=\n").decode("ascii")
