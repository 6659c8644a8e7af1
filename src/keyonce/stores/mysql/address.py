# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Where a MySQL or MariaDB server is, as its URL says it."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from keyonce.core.errors import ConfigurationError
from keyonce.stores.durability import Durability, durability_of

SCHEMES: Final = ("mysql", "mariadb")
PORT: Final = 3306
EXAMPLE: Final = "'mysql://user:password@host:3306/database'"
OPTIONS: Final = ("durability", "ssl", "ssl_ca", "unix_socket")


@dataclass(frozen=True, slots=True)
class Address:
    """A database on a server, and whom to be there.

    *place* names it for people, without the password.
    """

    host: str
    port: int
    database: str
    user: str | None = None
    password: str = field(default="", repr=False)
    unix_socket: str | None = None
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    durability: Durability = "checked"

    @property
    def place(self) -> str:
        """The database and where it is, for messages."""
        where = self.unix_socket or f"{self.host}:{self.port}"
        return f"{self.database!r} at {where}"

    def arguments(self) -> dict[str, Any]:
        """Give what both drivers want to know."""
        return {
            "host": self.host,
            "port": self.port,
            "database": self.database,
            "user": self.user,
            "password": self.password.encode(),
            "unix_socket": self.unix_socket,
            "charset": "utf8mb4",
            "binary_prefix": True,
            "ssl": self.tls,
        }


def address_of(url: str, durability: Durability = "checked") -> Address:
    """Read a ``mysql://`` or ``mariadb://`` URL; what it leaves open is *durability*.

    Raises:
        ConfigurationError: it names no database, or says what is not understood.
    """
    if "#" in url:
        raise _no_url("a '#' in a password is written '%23'")
    try:
        parts = urlsplit(url)
        port = parts.port
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
    except ValueError:
        raise _no_url("its host or port is none") from None
    database = unquote(parts.path.removeprefix("/"))
    if parts.scheme not in SCHEMES:
        raise _no_url("it begins with neither 'mysql://' nor 'mariadb://'")
    if not database or "/" in database:
        raise _no_url("it names no database")
    _check(options)
    return Address(
        host=parts.hostname or "127.0.0.1",
        port=port or PORT,
        database=database,
        user=None if parts.username is None else unquote(parts.username),
        password=unquote(parts.password or ""),
        unix_socket=options.get("unix_socket"),
        tls=tls_of(options),
        durability=durability_of(options.get("durability", durability)),
    )


def tls_of(options: dict[str, str]) -> ssl.SSLContext | None:
    """Make what verifies the server, where *options* ask for TLS.

    Raises:
        ConfigurationError: the certificates cannot be read.
    """
    ssl_ca = options.get("ssl_ca")
    if ssl_ca is None and options.get("ssl") != "true":
        return None
    try:
        context = ssl.create_default_context(cafile=ssl_ca)
    except OSError as exc:
        raise ConfigurationError(
            f"The certificates in ssl_ca={ssl_ca!r} cannot be read: {exc}. "
            "Name a PEM file."
        ) from exc
    if ssl_ca is not None:  # what the server makes for itself is not that strict
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def _check(options: dict[str, str]) -> None:
    unknown = sorted(options.keys() - set(OPTIONS))
    if unknown:
        known = ", ".join(OPTIONS)
        raise _no_url(f"it has the option {unknown[0]!r}; there are {known}")
    if options.get("ssl", "true") not in ("true", "false"):
        raise _no_url("ssl is neither 'true' nor 'false'")
    if options.get("ssl") == "false" and "ssl_ca" in options:
        raise _no_url("ssl=false and ssl_ca contradict each other")


def _no_url(fault: str) -> ConfigurationError:
    # Not the URL itself: it may hold a password.
    return ConfigurationError(
        f"The MySQL URL cannot be used: {fault}. Write it like {EXAMPLE}."
    )
