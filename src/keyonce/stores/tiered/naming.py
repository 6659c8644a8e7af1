# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What the entries of a durable store are called in a cache that others share.

Two stores that are called alike would answer with each other's outcomes. So all of a
URL counts that may name a place, and of this machine whatever the URL leaves to it.
Where processes of one store come to different names, the cache serves them less.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
from hashlib import sha256
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from keyonce.stores.showing import without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# How a store is reached and how it works, not which one it is.
TUNING: Final = {
    *("durability", "migrate", "keyonce_partitions", "skew", "application_name"),
    *("connect_timeout", "keepalives", "keepalives_idle", "keepalives_interval"),
    *("keepalives_count", "tcp_user_timeout", "channel_binding", "gssencmode"),
}
_SECRET_OR_TLS: Final = ("password", "ssl", "passfile")
_SAME: Final = {"postgres": "postgresql", "mariadb": "mysql"}
_HOSTS: Final = ("host", "hostaddr", "unix_socket", "endpoint")
# What a driver takes from the environment where the URL is silent.
_ENVIRONMENT: Final = {
    "postgresql": (
        *("PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE", "PGUSER", "PGOPTIONS"),
        *("PGSERVICE", "PGSERVICEFILE"),
    ),
    "dynamodb": (
        *("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ENDPOINT_URL"),
        "AWS_ENDPOINT_URL_DYNAMODB",
    ),
}


def prefix_for(durable: str) -> str:
    """Name the entries of the durable store of that URL, without its secrets."""
    scheme = durable.partition(":")[0]
    scheme = _SAME.get(scheme, scheme)
    told = json.dumps([scheme, *_place(scheme, durable)])
    return f"keyonce-{sha256(told.encode()).hexdigest()[:24]}"


def own_prefix() -> str:
    """Name the entries of a cache that is nobody else's, like no other."""
    return f"keyonce-{secrets.token_hex(12)}"


def _place(scheme: str, durable: str) -> list[object]:
    front, _, query = durable.partition("?")
    if scheme == "memory":
        return [own_prefix()]  # of this process, and of this store in it
    if scheme == "sqlite":
        path = front.removeprefix("sqlite:///")
        return [socket.gethostname(), os.path.realpath(path)]
    options = dict(_options(query))
    parts = urlsplit(without_secrets(front))
    asked = {name: os.environ.get(name) for name in _ENVIRONMENT.get(scheme, ())}
    machine = socket.gethostname() if _is_local(scheme, parts.netloc, options) else None
    where = parts.netloc.replace(":***@", "@")
    return [where, parts.path, sorted(options.items()), asked, machine]


def _options(query: str) -> Iterable[tuple[str, str]]:
    for part in filter(None, query.split("&")):
        name, _, value = part.partition("=")
        if name not in TUNING and not any(word in name for word in _SECRET_OR_TLS):
            yield name, unquote(value)


def _is_local(scheme: str, netloc: str, options: Mapping[str, str]) -> bool:
    """Whether the same URL means another store on another machine."""
    given = [options[name] for name in _HOSTS if options.get(name)]
    if scheme == "dynamodb":
        hosts = [each.partition("://")[2] for each in given]
    else:
        hosts = given or [netloc.rpartition("@")[2]]
    names = [name for each in hosts for name in each.split(",")]
    return scheme == "unix" or any(map(_is_this_machine, names))


def _is_this_machine(host: str) -> bool:
    name = unquote(host)
    return (
        name.startswith(("/", "@", ":", "localhost", "127.", "[::1]", "::1"))
        or not name
    )
