# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The name of the way in which a fingerprint was made.

It is stored beside every fingerprint, so that a record is compared in its own
way, whatever the running program prefers:

    v1
    v1;key=2026-01;headers=content-language;exclude=/sent_at,/meta/trace

Everything that changes a digest is in it. A text that this program would not
write itself, such as one with a part it does not know, is a scheme it does not
know.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from keyonce.core.canonical_json import parse_pointer
from keyonce.core.errors import ConfigurationError
from keyonce.core.policy import FingerprintRecipe

if TYPE_CHECKING:
    from collections.abc import Iterable

VERSION: Final = "v1"

_KEY_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,32}")
_HEADER: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9a-z]+")
_SPECIAL: Final = re.compile(rb"[^!-$&-+\--:<-~]")
_ESCAPE: Final = re.compile(rb"%([0-9A-F]{2})")


@dataclass(frozen=True, slots=True)
class Scheme:
    """A recipe in its plainest form, and the id of the secret, if there is one.

    Header names are in lower case; names and pointers are sorted, each once.

    Raises:
        ConfigurationError: a key id, a header name or a pointer that is none.
    """

    headers: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    key_id: str | None = None
    text: str = field(init=False)

    def __post_init__(self) -> None:
        """Check and write the text."""
        object.__setattr__(self, "headers", _sorted(map(str.lower, self.headers)))
        object.__setattr__(self, "exclude", _sorted(self.exclude))
        _check(self)
        object.__setattr__(self, "text", _text(self))

    @property
    def recipe(self) -> FingerprintRecipe:
        """What of a request counts under this scheme."""
        return FingerprintRecipe(exclude=self.exclude, headers=self.headers)


def parse_scheme(text: str) -> Scheme | None:
    """Read the text of a scheme; None when this program does not know it."""
    version, *parts = text.split(";")
    given = {name: value for name, _, value in (p.partition("=") for p in parts)}
    headers, exclude = given.get("headers", ""), given.get("exclude", "")
    try:
        scheme = Scheme(
            headers=tuple(headers.split(",")) if headers else (),
            exclude=tuple(map(_plain, exclude.split(","))) if exclude else (),
            key_id=given.get("key"),
        )
    except (ConfigurationError, ValueError):
        return None
    return scheme if version == VERSION and scheme.text == text else None


def _sorted(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(words)))


def _check(scheme: Scheme) -> None:
    if scheme.key_id is not None and not _KEY_ID.fullmatch(scheme.key_id):
        raise ConfigurationError(
            f"{scheme.key_id!r} is no id of a fingerprint key: use 1 to 32 letters, "
            "digits, dots, dashes or underscores."
        )
    for name in scheme.headers:
        if not _HEADER.fullmatch(name):
            raise ConfigurationError(f"{name!r} is no name of a header.")
    for pointer in scheme.exclude:
        _check_pointer(pointer)


def _check_pointer(pointer: str) -> None:
    try:
        pointer.encode()
        known = bool(parse_pointer(pointer))
    except ValueError:
        known = False
    if not known:
        raise ConfigurationError(
            f"{pointer!r} is no JSON pointer to a field: it starts with '/', and "
            "a '~' in a name is written '~0', a '/' in a name '~1'."
        )


def _text(scheme: Scheme) -> str:
    text = VERSION
    if scheme.key_id is not None:
        text += f";key={scheme.key_id}"
    if scheme.headers:
        text += f";headers={','.join(scheme.headers)}"
    if scheme.exclude:
        text += f";exclude={','.join(map(_escaped, scheme.exclude))}"
    return text


def _escaped(pointer: str) -> str:
    return _SPECIAL.sub(lambda c: b"%%%02X" % c[0][0], pointer.encode()).decode()


def _plain(escaped: str) -> str:
    raw = escaped.encode()
    return _ESCAPE.sub(lambda e: bytes.fromhex(e[1].decode()), raw).decode()
