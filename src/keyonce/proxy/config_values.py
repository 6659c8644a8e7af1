# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The values in a configuration: addresses, URLs, networks, durations."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

from keyonce.core.errors import ConfigurationError
from keyonce.http.durations import parse_duration
from keyonce.proxy.reading import text, texts

if TYPE_CHECKING:
    from datetime import timedelta

Network = IPv4Network | IPv6Network

OFF: Final = "off"
LOOPBACK: Final[tuple[Network, ...]] = (
    ip_network("127.0.0.0/8"),
    ip_network("::1/128"),
)
_MOST_PORTS: Final = 65_535


class Address(NamedTuple):
    """Where to listen."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def read_address(value: object, *, name: str) -> Address:
    """Read host and port."""
    written = text(value, name=name)
    host, colon, port = written.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not (colon and host and port.isdecimal() and int(port) <= _MOST_PORTS):
        message = f"{name} is {written!r}: write host and port, as in '127.0.0.1:8080'."
        raise ConfigurationError(message)
    return Address(host, int(port))


def read_admin(value: object, *, name: str) -> Address | str:
    """Read host and port, or ``off``."""
    if value == OFF:
        return OFF
    try:
        return read_address(value, name=name)
    except ConfigurationError as error:
        raise ConfigurationError(f"{error} Or 'off'.") from error


def read_seconds(value: object, *, name: str) -> float:
    """Read a duration."""
    span: timedelta = parse_duration(value, name=name)
    return span.total_seconds()


def read_url(value: object, *, name: str) -> str:
    """Read the URL of an HTTP service."""
    url = text(value, name=name)
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        message = f"{name} is {url!r}: write a URL, as in 'http://127.0.0.1:8000'."
        raise ConfigurationError(message)
    return url


def read_upstream(value: object, *, name: str) -> str:
    """Read the URL of the upstream: scheme, host and port."""
    url = read_url(value, name=name)
    parts = urlsplit(url)
    if parts.path.strip("/") or parts.query or parts.fragment or parts.username:
        message = (
            f"{name} is {url!r}: the upstream is scheme, host and port only; paths go "
            f"on as they come. Write '{parts.scheme}://{parts.netloc.split('@')[-1]}'."
        )
        raise ConfigurationError(message)
    return f"{parts.scheme}://{parts.netloc}"


def read_networks(value: object, *, name: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """Read networks of addresses."""
    listed = (
        value.split(",") if isinstance(value, str) else list(texts(value, name=name))
    )
    try:
        return tuple(ip_network(one.strip()) for one in listed)
    except ValueError as error:
        message = f'{name}: {error}. Write networks, as in "10.0.0.0/8".'
        raise ConfigurationError(message) from error
