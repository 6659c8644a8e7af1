# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What a Redis URL says.

redis://user:password@host:6379/0              rediss:// for TLS
unix:///run/redis.sock?db=0
redis+cluster://host-1:6379,host-2:6379        rediss+cluster://
redis+sentinel://host-1:26379,host-2:26379/mymaster/0    rediss+sentinel://
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import parse_qsl, unquote

from keyonce.core.errors import ConfigurationError
from keyonce.stores.durability import Durability, durability_of
from keyonce.stores.redis.keys import DEFAULT_PREFIX

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = Literal["one", "unix", "cluster", "sentinel"]

PORT: Final = 6379
SENTINEL_PORT: Final = 26379
SCHEMES: Final[Mapping[str, tuple[Kind, bool]]] = {
    "redis": ("one", False),
    "rediss": ("one", True),
    "unix": ("unix", False),
    "redis+cluster": ("cluster", False),
    "rediss+cluster": ("cluster", True),
    "redis+sentinel": ("sentinel", False),
    "rediss+sentinel": ("sentinel", True),
}
FILES: Final = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
SENTINEL_LOGIN: Final = ("sentinel_username", "sentinel_password")
OPTIONS: Final = ("prefix", "durability", "db", *FILES, *SENTINEL_LOGIN)


@dataclass(frozen=True, slots=True, repr=False)  # it may hold passwords
class Address:
    """Where a server is, how to log in, and what the store is to know."""

    kind: Kind
    hosts: tuple[tuple[str, int], ...] = ()
    path: str = ""
    db: int = 0
    username: str | None = None
    password: str | None = None
    tls: bool = False
    service: str = ""
    login: tuple[tuple[str, str], ...] = ()
    files: tuple[tuple[str, str], ...] = ()
    prefix: str = DEFAULT_PREFIX
    durability: Durability = "checked"


def address_of(
    url: str, *, prefix: str = DEFAULT_PREFIX, durability: Durability = "checked"
) -> Address:
    """Read *url*; what it leaves open is *prefix* and *durability*.

    Raises:
        ConfigurationError: it is none of the forms above.
    """
    scheme, _, rest = url.partition("://")
    if scheme not in SCHEMES:
        raise _bad("There is no such Redis URL", "redis://localhost:6379/0")
    kind, tls = SCHEMES[scheme]
    rest, _, query = rest.partition("?")
    options = _options(query)
    where, slash, path = rest.partition("/")
    login, _, hosts = where.rpartition("@")
    user, _, password = login.partition(":")
    place = _place(kind, hosts, slash + path, options)
    return Address(
        kind=kind,
        hosts=place.hosts,
        path=place.path,
        db=place.db,
        service=place.service,
        username=unquote(user) or None,
        password=unquote(password) or None,
        tls=tls,
        login=tuple(
            (name, options[name]) for name in SENTINEL_LOGIN if name in options
        ),
        files=tuple((name, options[name]) for name in FILES if name in options),
        prefix=options.get("prefix", prefix),
        durability=durability_of(options.get("durability", durability)),
    )


def _options(query: str) -> dict[str, str]:
    options = dict(parse_qsl(query, keep_blank_values=True))
    strange = sorted(set(options) - set(OPTIONS))
    if strange:
        known = ", ".join(OPTIONS)
        raise ConfigurationError(
            f"A Redis URL has no option {strange[0]!r}; there are {known}. For "
            "anything else make a client yourself and hand it to the store."
        )
    return options


def _place(kind: Kind, hosts: str, path: str, options: dict[str, str]) -> Address:
    """Read where the server is: the part that differs between the kinds."""
    match kind:
        case "unix":
            if hosts or len(path) < len("/x"):
                raise _bad("A socket has a path alone", "unix:///run/redis.sock")
            return Address(kind, path=unquote(path), db=_db(options.get("db", "")))
        case "one":
            found = _hosts(hosts or "localhost", PORT)
            if len(found) > 1:
                raise _bad("One server has one host", "redis+cluster://a:6379,b:6379")
            db = path.strip("/") or options.get("db", "")
            return Address(kind, hosts=found, db=_db(db))
        case "cluster":
            if path.strip("/") not in ("", "0") or _db(options.get("db", "")):
                raise _bad("A Cluster has database 0 only", "redis+cluster://a:6379")
            return Address(kind, hosts=_hosts(hosts, PORT))
        case "sentinel":
            service, _, db = path.strip("/").partition("/")
            if not service:
                raise _bad(
                    "The name of the service is missing",
                    "redis+sentinel://a:26379,b:26379/mymaster",
                )
            db = db or options.get("db", "")
            return Address(
                kind,
                hosts=_hosts(hosts, SENTINEL_PORT),
                service=unquote(service),
                db=_db(db),
            )


def _hosts(text: str, port: int) -> tuple[tuple[str, int], ...]:
    found = []
    for host in text.split(","):
        name, colon, number = host.rpartition(":")
        if not colon or number.endswith("]"):  # the colons of an IPv6 address
            name, number = host, str(port)
        if not name or not number.isdecimal():
            raise _bad(f"{host!r} is no host and port", "redis://localhost:6379/0")
        found.append((name.strip("[]"), int(number)))
    return tuple(found)


def _db(text: str) -> int:
    if not text:
        return 0
    if not text.isdecimal():
        raise _bad(f"{text!r} is no number of a database", "redis://localhost:6379/0")
    return int(text)


def _bad(what: str, example: str) -> ConfigurationError:
    return ConfigurationError(f"{what}. Write for example {example!r}.")
