# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Which headers of an answer are stored, and which are replayed.

Everything end-to-end, as it was, in order and with duplicates, except what the
lists here name, each with its reason.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from keyonce.core.errors import ConfigurationError
from keyonce.http.dialect import MARKS, STEERING_PREFIX

if TYPE_CHECKING:
    from keyonce.core.policy import Policy
    from keyonce.http.messages import Headers

_HOP: Final = "belongs to one connection"
_FRESH: Final = "made afresh for each answer"
_OURS: Final = "set by this layer"
_SESSION: Final = "session or credential state of another moment"
_STALE: Final = "stale by the time of a retry"
_REQUEST: Final = "belongs to one request"
_CORS: Final = "computed for each request's origin"

# A name that ends in '*' means all that begin so.
NEVER: Final = (
    ("Connection and what it names", _HOP),
    ("Keep-Alive", _HOP),
    ("TE", _HOP),
    ("Trailer", _HOP),
    ("Transfer-Encoding", _HOP),
    ("Upgrade", _HOP),
    ("Proxy-*", _HOP),
    ("Content-Length", _FRESH),
    ("Date", _FRESH),
    ("Keyonce-*", _OURS),
    *((name.decode().title(), _OURS) for name in sorted(MARKS)),
)
BY_DEFAULT: Final = (
    ("Age", _FRESH),
    ("Server", _FRESH),
    ("Via", _FRESH),
    ("Set-Cookie", _SESSION),
    ("WWW-Authenticate", _SESSION),
    ("Authentication-Info", _SESSION),
    ("Clear-Site-Data", _SESSION),
    ("RateLimit*", _STALE),
    ("X-RateLimit*", _STALE),
    ("X-Rate-Limit*", _STALE),
    ("Retry-After", _STALE),
    ("traceparent", _REQUEST),
    ("tracestate", _REQUEST),
    ("X-Request-ID", _REQUEST),
    ("X-Correlation-ID", _REQUEST),
    ("Access-Control-*", _CORS),
)
_CORS_PREFIX: Final = b"access-control-"
_ALLOWED_ORIGIN: Final = b"access-control-allow-origin"
_NAME: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch
_LEGAL: Final = bytes({*range(0x20, 0x100), 0x09} - {0x7F})


@dataclass(frozen=True, slots=True)
class Sieve:
    """Header names, lower-case, and beginnings of such."""

    names: frozenset[bytes]
    prefixes: tuple[bytes, ...]

    def has(self, name: bytes) -> bool:
        """Whether *name* (lower-case) is one of these."""
        return name in self.names or name.startswith(self.prefixes)


def _sieve(names: tuple[str, ...]) -> Sieve:
    lower = [name.strip().lower().encode() for name in names]
    return Sieve(
        frozenset(name for name in lower if not name.endswith(b"*")),
        tuple(name[:-1] for name in lower if name.endswith(b"*")),
    )


_NEVER: Final = _sieve(("Connection", *(name for name, _ in NEVER[1:])))
_BY_DEFAULT: Final = _sieve(tuple(name for name, _ in BY_DEFAULT))


@lru_cache(maxsize=256)
def _chosen(names: tuple[str, ...]) -> Sieve:
    return _sieve(names)


def check_headers(policy: Policy) -> None:
    """Refuse a policy that would keep what can never be kept.

    Raises:
        ConfigurationError: naming the header and why.
    """
    for name in (*policy.keep_headers, *policy.drop_headers):
        if not _NAME(name.encode()) or name == "*":
            message = (
                "keep_headers and drop_headers name headers, or how they begin as in "
                f"'X-Trace-*', not {name!r}."
            )
            raise ConfigurationError(message)
    for name in policy.keep_headers:
        low = name.lower().encode()
        if _NEVER.has(low) or (low.endswith(b"*") and _meets_never(low[:-1])):
            message = (
                f"keep_headers names {name!r}, which is never kept: it belongs to one "
                "connection or is made afresh for each answer. Leave it out."
            )
            raise ConfigurationError(message)


def _meets_never(prefix: bytes) -> bool:
    return any(name.startswith(prefix) for name in (*_NEVER.names, *_NEVER.prefixes))


def kept_headers(
    headers: Headers, policy: Policy, *, keep_cors: bool = False
) -> Headers:
    """Give those of *headers* that are stored, as they are.

    The policy's own *drop_headers* win over its *keep_headers*, and those over the
    default. *keep_cors* keeps Access-Control-* for replays to the same origin, where
    nobody else can compute it.
    """
    kept_kinds = _WITH_CORS if keep_cors else _WITHOUT_CORS
    kinds, plain = [], []
    for header in headers:
        kind = _kind(header[0])
        kinds.append(kind)
        if kind in kept_kinds:
            plain.append(header)
    if not (policy.keep_headers or policy.drop_headers or _CONNECTION in kinds):
        return tuple(plain)
    keep, drop = _chosen(policy.keep_headers), _chosen(policy.drop_headers)
    named = _named_by_connection(headers)
    kept = []
    for header, kind in zip(headers, kinds, strict=True):
        name = header[0].lower()
        if kind in _NEVER_KINDS or name in named or drop.has(name):
            continue
        if kind in kept_kinds or keep.has(name):
            kept.append(header)
    return tuple(kept)


class _Kind(Enum):
    """What the lists above say of a header."""

    PLAIN = "kept"
    DROPPED = "kept only where a policy says so"
    CORS = "kept only where a policy or the sidecar says so"
    NEVER = "never kept"
    CONNECTION = "never kept, nor what it names"


_WITHOUT_CORS: Final = (_Kind.PLAIN,)
_WITH_CORS: Final = (_Kind.PLAIN, _Kind.CORS)
_NEVER_KINDS: Final = (_Kind.NEVER, _Kind.CONNECTION)
_CONNECTION: Final = _Kind.CONNECTION
_PLAIN: Final = _Kind.PLAIN


# Services send few names over and over; the bound is for those that do not.
@lru_cache(maxsize=1024)
def _kind(raw_name: bytes) -> _Kind:
    name = raw_name.lower()
    if name == b"connection":
        return _Kind.CONNECTION
    if _NEVER.has(name) or not _NAME(name):
        return _Kind.NEVER
    if name.startswith(_CORS_PREFIX):
        return _Kind.CORS
    return _Kind.DROPPED if _BY_DEFAULT.has(name) else _Kind.PLAIN


def _named_by_connection(headers: Headers) -> frozenset[bytes]:
    return frozenset(
        token.strip().lower()
        for name, value in headers
        if name.lower() == b"connection"
        for token in value.split(b",")
    )


def replayed_headers(headers: Headers, origin: bytes | None) -> Headers:
    """Give those of the stored *headers* that a caller from *origin* gets.

    Access-Control-* only where the stored answer allowed this origin. What could
    never have been stored is left out: the row may be forged.
    """
    plain = [
        header
        for header in headers
        if _kind(header[0]) is _PLAIN and not header[1].translate(None, _LEGAL)
    ]
    if len(plain) == len(headers):
        return headers
    kinds = [_kind(name) for name, _ in headers]
    same = _Kind.CORS in kinds and _allows(headers, origin)
    return tuple(
        header
        for header, kind in zip(headers, kinds, strict=True)
        if kind not in _NEVER_KINDS
        and (same or kind is not _Kind.CORS)
        and not header[1].translate(None, _LEGAL)
    )


def _allows(headers: Headers, origin: bytes | None) -> bool:
    if origin is None:
        return False
    allowed = [value for name, value in headers if name.lower() == _ALLOWED_ORIGIN]
    return len(allowed) == 1 and allowed[0] in {b"*", origin}


def without_steering(headers: Headers) -> Headers:
    """Give *headers* without ``Keyonce-*``: for answers to unguarded requests.

    An upstream may mark its own replays; those marks are not ours to take off there.
    """
    for name, _ in headers:
        if name.lower().startswith(STEERING_PREFIX):
            return tuple(
                header
                for header in headers
                if not header[0].lower().startswith(STEERING_PREFIX)
            )
    return headers


def without_own(headers: Headers) -> Headers:
    """Give *headers* without those that only this layer may send.

    Steering headers are for us, and the marks of a replay are ours to set.
    """
    for name, _ in headers:
        if _own(name):
            return tuple(header for header in headers if not _own(header[0]))
    return headers


@lru_cache(maxsize=1024)
def _own(raw_name: bytes) -> bool:
    name = raw_name.lower()
    return name.startswith(STEERING_PREFIX) or name in MARKS
