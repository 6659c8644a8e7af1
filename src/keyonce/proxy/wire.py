# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Which headers go on to the other side, and which a proxy sets itself. Pure."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from keyonce.http.messages import Headers
    from keyonce.proxy.config_values import Network

# RFC 9110 §7.6.1, and what older peers treat alike.
HOP_BY_HOP: Final = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
# The server has answered it already: see RFC 9110 §10.1.1.
_ANSWERED_HERE: Final = frozenset({b"expect"})
_FORWARDED: Final = frozenset(
    {b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto"}
)
_FOR_WEBSOCKET: Final = frozenset(
    {
        b"sec-websocket-accept",
        b"sec-websocket-extensions",
        b"sec-websocket-key",
        b"sec-websocket-protocol",
        b"sec-websocket-version",
    }
)


def end_to_end(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Drop what belongs to one connection, also what ``Connection`` names.

    Names become lower-case; order and duplicates stay. ``Content-Length`` and
    ``Host`` are end-to-end whatever ``Connection`` says: dropping them would let a
    caller change how its request is read.
    """
    lowered = [(name.lower(), value) for name, value in headers]
    dropped = HOP_BY_HOP | _named(lowered)
    return tuple(pair for pair in lowered if pair[0] not in dropped)


def _named(headers: Iterable[tuple[bytes, bytes]]) -> frozenset[bytes]:
    options = b",".join(value for name, value in headers if name == b"connection")
    if not options:
        return frozenset()
    named = {option.strip().lower() for option in options.split(b",")}
    return frozenset(named - {b"content-length", b"host", b"close"})


def outgoing(
    headers: Iterable[tuple[bytes, bytes]],
    *,
    client: str | None,
    scheme: str,
    trusted: tuple[Network, ...],
) -> Headers:
    """Give the request headers for the upstream, with ``Forwarded`` and its kin.

    A caller whose address is not *trusted* cannot say for whom it forwards: its
    own words about that are dropped. A trusted proxy's are kept and added to.
    """
    kept = [pair for pair in end_to_end(headers) if pair[0] not in _ANSWERED_HERE]
    believed = client is not None and trusts(client, trusted)
    said = (
        {name: value for name, value in kept if name in _FORWARDED} if believed else {}
    )
    earlier = _joined(kept, b"x-forwarded-for") if believed else b""
    chain = _joined(kept, b"forwarded") if believed else b""
    host = next((value for name, value in kept if name == b"host"), b"")
    rest = [pair for pair in kept if pair[0] not in _FORWARDED]
    address = (client or "unknown").encode()
    rest += [
        (b"x-forwarded-for", _append(earlier, address)),
        (b"x-forwarded-proto", said.get(b"x-forwarded-proto", scheme.encode())),
        (b"forwarded", _append(chain, _element(address, host, scheme))),
    ]
    if x_host := said.get(b"x-forwarded-host", host):
        rest.append((b"x-forwarded-host", x_host))
    return tuple(rest)


def for_websocket(headers: Headers) -> Headers:
    """Drop what either end of a WebSocket handshake makes for itself."""
    return tuple(pair for pair in headers if pair[0] not in _FOR_WEBSOCKET)


@lru_cache(maxsize=1024)
def trusts(client: str, trusted: tuple[Network, ...]) -> bool:
    """Whether *client* is an address in one of the *trusted* networks."""
    try:
        address = ip_address(client)
    except ValueError:
        return False
    return any(address in network for network in trusted)


def _joined(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> bytes:
    return b", ".join(value for header, value in headers if header == name)


def _append(earlier: bytes, last: bytes) -> bytes:
    return b"%b, %b" % (earlier, last) if earlier else last


def _element(address: bytes, host: bytes, scheme: str) -> bytes:
    # RFC 7239 §4 and §6: an IPv6 address stands in brackets, and in quotes.
    node = b'"[%b]"' % address if b":" in address else address
    named = b';host="%b"' % host if host else b""
    return b"for=%b;proto=%b%b" % (node, scheme.encode(), named)
