# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""How a key is written where people and terminals read it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final, Literal

from keyonce.core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

KeyStyle = Literal["key", "digest"]

_PLAIN_STOPS: Final = frozenset(' "=,')


def escape(text: str) -> str:
    """Write *text* without control bytes, unseen marks or line ends.

    Printable text comes back as it is, so that a search for the key finds it;
    anything else becomes a backslash escape, and a backslash two, so that no
    two texts look alike.
    """
    if text.isprintable() and "\\" not in text:
        return text
    return "".join(map(_escaped, text))


def _escaped(character: str) -> str:
    if character.isprintable() and character != "\\":
        return character
    return character.encode("unicode_escape").decode("ascii")


def quoted(text: str) -> str:
    """Escape *text* for a line of ``name=value`` pairs, in quotes where needed."""
    safe = escape(text)
    if safe and _PLAIN_STOPS.isdisjoint(safe):
        return safe
    return '"' + safe.replace('"', '\\"') + '"'


def digest(text: str) -> str:
    """Give a short name for *text* that does not reveal it at a glance.

    It is no secret: whoever can guess the text can confirm the guess.
    """
    return (
        "sha256:" + hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:16]
    )


def key_style(style: str) -> Callable[[str], str]:
    """Give the function that writes a key in *style*.

    Raises:
        ConfigurationError: *style* is neither ``key`` nor ``digest``.
    """
    match style:
        case "key":
            return escape
        case "digest":
            return digest
        case _:
            raise ConfigurationError(
                f"Keys are written as 'key' or as 'digest', not as {style!r}."
            )
