# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A server that keeps less than keyonce asks for, and a user who accepts that."""

from __future__ import annotations

from typing import Final, Literal
from urllib.parse import parse_qsl

from keyonce.core.errors import ConfigurationError
from keyonce.core.model import Finding

Durability = Literal["checked", "declared"]

OR_DECLARE: Final = (
    "Or declare that what it keeps is enough: durability=declared in the store's URL."
)


def durability_of(word: str) -> Durability:
    """Read the word of a URL or an argument.

    Raises:
        ConfigurationError: it is neither of the two.
    """
    match word:
        case "checked" | "declared":
            return word
    raise ConfigurationError(
        f"durability is 'checked' or 'declared', not {word!r}. Declare it where the "
        "server's settings cannot be read, or are weaker and you accept that."
    )


def without_durability(url: str, durability: str) -> tuple[str, Durability]:
    """Take the option out of *url*; where it is not there, *durability* holds.

    Raises:
        ConfigurationError: it is neither 'checked' nor 'declared'.
    """
    where, _, query = url.partition("?")
    others = []
    for option in query.split("&"):
        if option.partition("=")[0] == "durability":
            durability = dict(parse_qsl(option, keep_blank_values=True))["durability"]
        elif option:
            others.append(option)
    rest = "&".join(others)
    return f"{where}?{rest}" if rest else where, durability_of(durability)


def weaker(subject: str, detail: str, mend: str, durability: Durability) -> Finding:
    """Find fault with a setting that keeps less: an error, unless it is declared."""
    if durability == "declared":
        return Finding("warning", subject, f"{detail} Declared as enough.", mend)
    return Finding("error", subject, detail, f"{mend} {OR_DECLARE}")
