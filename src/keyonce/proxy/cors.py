# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""CORS in front of the upstream: for scripts of other origins, also on refusals. Pure.

What the upstream says of CORS stands and is widened by the headers of this layer.
For the origins that the operator names, it is said here where the upstream does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from keyonce.http.cors import allowed_headers, exposed_headers, with_cors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keyonce.http.dialect import Dialect
    from keyonce.http.messages import Headers

ANY: Final = "*"
_PREFLIGHT_LASTS: Final = b"600"


class CorsRules:
    """Which *origins* may call, and with *credentials* or not."""

    def __init__(
        self, origins: tuple[str, ...], *, credentials: bool, dialect: Dialect
    ) -> None:
        """Take the origins as a browser sends them."""
        self._origins = frozenset(origin.encode() for origin in origins)
        self._credentials = credentials
        self._dialect = dialect

    def preflight(self, scope: Mapping[str, Any]) -> Headers | None:
        """Answer the preflight of a named origin; None for any other request."""
        if scope.get("method") != "OPTIONS":
            return None
        headers = scope["headers"]
        method = _value(headers, b"access-control-request-method")
        origin = self._named(headers)
        if method is None or origin is None:
            return None
        asked = _value(headers, b"access-control-request-headers")
        allowed = b", ".join(
            filter(None, (asked, *(n.encode() for n in allowed_headers(self._dialect))))
        )
        return (
            *self._allowed(origin),
            (b"access-control-allow-methods", method),
            (b"access-control-allow-headers", allowed),
            (b"access-control-max-age", _PREFLIGHT_LASTS),
        )

    def answer(self, scope: Mapping[str, Any], headers: Headers) -> Headers:
        """Give the headers of an answer with what CORS needs."""
        origin = self._named(scope["headers"])
        told = any(n.lower() == b"access-control-allow-origin" for n, _ in headers)
        if origin is not None and not told:
            exposed = ", ".join(exposed_headers(self._dialect)).encode()
            expose = (b"access-control-expose-headers", exposed)
            return (*headers, *self._allowed(origin), expose)
        return with_cors(headers, dialect=self._dialect)

    def _named(self, headers: Headers) -> bytes | None:
        origin = _value(headers, b"origin")
        named = origin in self._origins or ANY.encode() in self._origins
        return origin if named else None

    def _allowed(self, origin: bytes) -> Headers:
        allowed: Headers = (
            (b"access-control-allow-origin", origin),
            (b"vary", b"Origin"),
        )
        if self._credentials:
            allowed += ((b"access-control-allow-credentials", b"true"),)
        return allowed


def _value(headers: Headers, name: bytes) -> bytes | None:
    values = [value for header, value in headers if header == name]
    return values[0] if len(values) == 1 else None
