# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What browsers of other origins must be allowed to send and to see."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from keyonce.http.dialect import DIALECT

if TYPE_CHECKING:
    from keyonce.http.dialect import Dialect
    from keyonce.http.messages import Headers

EXPOSED: Final = (
    "Idempotency-Replayed",
    "Idempotency-Expires",
    "Idempotency-Status",
    "Retry-After",
    "Location",
    "ETag",
)
EXPOSED_ALIAS: Final = "Idempotent-Replayed"

_ORIGIN: Final = b"access-control-allow-origin"
_CREDENTIALS: Final = b"access-control-allow-credentials"
_METHODS: Final = b"access-control-allow-methods"
_ALLOW: Final = b"access-control-allow-headers"
_EXPOSE: Final = b"access-control-expose-headers"


def allowed_headers(dialect: Dialect = DIALECT) -> tuple[str, ...]:
    """Give the request headers that a CORS set-up must allow."""
    return (dialect.key_header,)


def exposed_headers(dialect: Dialect = DIALECT) -> tuple[str, ...]:
    """Give the response headers that a CORS set-up must expose."""
    return (*EXPOSED, EXPOSED_ALIAS) if dialect.replayed_alias else EXPOSED


def with_cors(headers: Headers, *, dialect: Dialect = DIALECT) -> Headers:
    """Widen the Access-Control-* of *headers* by what this layer needs.

    The answer to a preflight is widened where it allows headers at all, any other
    answer where it allows an origin. Nothing is allowed that was not.
    """
    names = {name.lower() for name, _ in headers}
    if _ORIGIN not in names:
        return headers
    if _ALLOW in names:
        return _widened(headers, _ALLOW, allowed_headers(dialect))
    if _METHODS in names:
        return headers
    if _EXPOSE not in names:
        return (*headers, (_EXPOSE, ", ".join(exposed_headers(dialect)).encode()))
    return _widened(headers, _EXPOSE, exposed_headers(dialect))


def _widened(headers: Headers, name: bytes, wanted: tuple[str, ...]) -> Headers:
    listed = [
        word.strip().lower()
        for header, value in headers
        if header.lower() == name
        for word in value.split(b",")
    ]
    if b"*" in listed and not _with_credentials(headers):
        return headers
    missing = [word for word in wanted if word.lower().encode() not in listed]
    if not missing:
        return headers
    return (*headers, (name, ", ".join(missing).encode()))


def _with_credentials(headers: Headers) -> bool:
    # With credentials '*' is a header of that name, not a wildcard.
    return any(
        name.lower() == _CREDENTIALS and value.strip() == b"true"
        for name, value in headers
    )
