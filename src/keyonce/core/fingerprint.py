# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What makes two requests the same request: one digest, made under a scheme.

The digest is SHA-256, or HMAC-SHA-256 where a secret is configured, over

    scheme, method, raw path with query, media type without parameters,
    the headers that the recipe names, the kind of the body's canonical form,
    and that form

each with its length in front, the body last. JSON and forms have their
canonical form up to 256 KiB, multipart bodies at any size; anything else, and
whatever has no canonical form, counts by its bytes.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Protocol

from keyonce.core.canonical_form import canonical_form
from keyonce.core.canonical_json import Document, parse_pointer, read_json
from keyonce.core.canonical_multipart import digest_parts
from keyonce.core.errors import ConfigurationError
from keyonce.core.field_map import differing_fields, write_field_map
from keyonce.core.model import Fingerprint
from keyonce.core.netstring import netstring, pairs
from keyonce.core.policy import FingerprintRecipe
from keyonce.core.scheme import Scheme, parse_scheme

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from keyonce.core.canonical_json import Pointer

CANONICAL_UP_TO: Final = 256 * 1024
LEAST_SECRET: Final = 16

_KEPT_UP_TO: Final = 16 * 1024

_FORM: Final = b"application/x-www-form-urlencoded"
_NO_KEYS: Final[Mapping[str, bytes]] = MappingProxyType({})
_RECIPE: Final = FingerprintRecipe()

_RAW: Final = b"r"
_JSON: Final = b"j"
_FIELDS: Final = b"f"
_PARTS: Final = b"m"


@dataclass(slots=True)  # not frozen: one is made of every request
class FingerprintSource:
    """What a fingerprint is made of. Nobody changes it.

    *target* is the raw path with ``?`` and the query, *media_type* the whole
    Content-Type value or empty, *headers* all headers with lower-case names.
    *chunks* gives the body from its start, each time it is called; *size* is
    its length.
    """

    method: str
    target: bytes
    media_type: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    size: int
    chunks: Callable[[], Iterator[bytes]]
    _memo: tuple[tuple[Pointer, ...], Document | None] | None = field(
        default=None, init=False, repr=False, compare=False
    )

    def document(self, exclude: tuple[Pointer, ...]) -> Document | None:
        """Read the body as JSON, less *exclude*; None when it has no such form.

        The last reading of a small body is kept. One of a large body takes many
        times its size and would live as long as the request.
        """
        memo = self._memo
        if memo is not None and memo[0] == exclude:
            return memo[1]
        kind = kind_of(self.media_type)[1]
        if kind != _JSON or self.size > CANONICAL_UP_TO:
            return None
        document = read_json(b"".join(self.chunks()), exclude)
        if self.size <= _KEPT_UP_TO:
            self._memo = (exclude, document)
        return document


class Fingerprinter:
    """Makes fingerprints under one scheme, and compares under older ones.

    *keys* are secrets by their id and *current_key* is the id of the one in
    use; keep a retired secret as long as records made with it live. All methods
    may be called from several threads. They read the whole body.

    Raises:
        ConfigurationError: a recipe or a key that cannot work.
    """

    __slots__ = ("_exclude", "_headers", "_intro", "_keys", "_secret", "scheme")

    def __init__(
        self,
        recipe: FingerprintRecipe = _RECIPE,
        *,
        keys: Mapping[str, bytes] = _NO_KEYS,
        current_key: str | None = None,
    ) -> None:
        scheme = Scheme(recipe.headers, recipe.exclude, current_key)
        self.scheme: Final = scheme.text
        self._keys: Final = keys
        self._secret: Final = _secret(keys, current_key)
        self._headers: Final = tuple(name.encode() for name in scheme.headers)
        self._exclude: Final = tuple(map(parse_pointer, scheme.exclude))
        self._intro: Final = netstring(scheme.text.encode())

    def of(self, source: FingerprintSource) -> Fingerprint:
        """Make the fingerprint of a request."""
        media_type, kind = kind_of(source.media_type)
        head = self._head(source, media_type)
        form = None if kind == _RAW else self._canonical(source, kind)
        if form is not None:
            digest = self._digest(head + kind + form)
        elif source.size <= CANONICAL_UP_TO:
            digest = self._digest(b"".join((head, _RAW, *source.chunks())))
        else:
            digest = self._large(head + _RAW, source)
        return Fingerprint(self.scheme, digest)

    def under(self, scheme: str, source: FingerprintSource) -> Fingerprint | None:
        """Make the fingerprint of the same request under another scheme.

        None when this program does not know that scheme, or has not its key.
        """
        if scheme == self.scheme:
            return self.of(source)
        other = self._under(scheme)
        return None if other is None else other.of(source)

    def field_map(self, source: FingerprintSource, digest: bytes) -> bytes:
        """Make the field map beside the fingerprint *digest* of *source*.

        Empty unless the body is JSON with a canonical form.
        """
        document = source.document(self._exclude)
        if document is None:
            return b""
        return write_field_map(document.tree, self._field_key(digest))

    def differing(
        self, source: FingerprintSource, recorded: Fingerprint, fields: bytes
    ) -> tuple[str, ...] | None:
        """Point at the JSON fields in which *source* differs from a record.

        *recorded* and *fields* are the fingerprint and the field map of the
        record. JSON pointers (RFC 6901), at most 64, without values. Empty where
        the fields look alike: then it is the query, the media type or a header
        that differs. None where it cannot be told, as with other bodies.
        """
        if recorded.scheme != self.scheme:
            other = self._under(recorded.scheme)
            return None if other is None else other.differing(source, recorded, fields)
        document = source.document(self._exclude) if fields else None
        if document is None:
            return None
        key = self._field_key(recorded.digest)
        return differing_fields(document.tree, key, fields)

    def _under(self, text: str) -> Fingerprinter | None:
        scheme = parse_scheme(text)
        if scheme is None or not (scheme.key_id is None or scheme.key_id in self._keys):
            return None
        return Fingerprinter(scheme.recipe, keys=self._keys, current_key=scheme.key_id)

    def _head(self, source: FingerprintSource, media_type: bytes) -> bytes:
        method, target = source.method.encode(), source.target
        head = b"%b%d:%b%d:%b%d:%b" % (
            self._intro,
            len(method),
            method,
            len(target),
            target,
            len(media_type),
            media_type,
        )
        if self._headers:
            named = [pair for pair in source.headers if pair[0] in self._headers]
            named.sort(key=_name)
            head += pairs(named)
        return head

    def _canonical(self, source: FingerprintSource, kind: bytes) -> bytes | None:
        """Give the canonical form of a body of this *kind*, if it has one."""
        if kind == _PARTS:
            return digest_parts(source.media_type, source.chunks())
        if source.size > CANONICAL_UP_TO:
            return None
        if kind == _FIELDS:
            return canonical_form(b"".join(source.chunks()))
        document = source.document(self._exclude)
        return None if document is None else document.canonical()

    def _digest(self, data: bytes) -> bytes:
        if self._secret is None:
            return sha256(data).digest()
        return hmac.digest(self._secret, data, "sha256")

    def _large(self, head: bytes, source: FingerprintSource) -> bytes:
        """Digest *head* and the bytes of the body, a piece at a time."""
        digest: _Digest = sha256(head)
        if self._secret is not None:
            digest = hmac.new(self._secret, head, sha256)
        for chunk in source.chunks():
            digest.update(chunk)
        return digest.digest()

    def _field_key(self, digest: bytes) -> bytes:
        """Key the field map by the request, and by the secret if there is one.

        The digest is in the store. Where a secret keeps a reader of the store
        from guessing the body, it must keep them from guessing its fields too.
        """
        return digest if self._secret is None else self._digest(b"fields" + digest)


class _Digest(Protocol):
    def update(self, data: bytes, /) -> None: ...

    def digest(self) -> bytes: ...


def bare_type(content_type: bytes) -> bytes:
    """Give the media type without parameters, in lower case."""
    return content_type.partition(b";")[0].strip().lower()


# Services are sent few types over and over; the bound is for those that are not.
@lru_cache(maxsize=64)
def kind_of(content_type: bytes) -> tuple[bytes, bytes]:
    """Give the bare type, and the kind of canonical form that it may have."""
    media_type = bare_type(content_type)
    if media_type.startswith(b"multipart/"):
        return media_type, _PARTS
    if media_type == b"application/json" or media_type.endswith(b"+json"):
        return media_type, _JSON
    return media_type, _FIELDS if media_type == _FORM else _RAW


def _name(header: tuple[bytes, bytes]) -> bytes:
    return header[0]


def _secret(keys: Mapping[str, bytes], current_key: str | None) -> bytes | None:
    for key_id, secret in keys.items():
        if len(secret) < LEAST_SECRET:
            raise ConfigurationError(
                f"The fingerprint key {key_id!r} is shorter than {LEAST_SECRET} "
                "bytes: use 32 random ones."
            )
    if current_key is None:
        return None
    if current_key not in keys:
        raise ConfigurationError(
            f"There is no fingerprint key with the id {current_key!r}: add it to "
            "the keys, or name one of them as the current one."
        )
    return keys[current_key]
