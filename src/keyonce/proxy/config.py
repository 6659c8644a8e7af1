# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The sidecar's configuration: flags over environment over file over defaults."""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlsplit

from keyonce.core.errors import ConfigurationError
from keyonce.http.dialect import DIALECT, Dialect
from keyonce.http.durations import parse_duration
from keyonce.http.scope import shared
from keyonce.proxy.config_rules import read_rules
from keyonce.proxy.config_scope import scope_from_flag, scope_from_table
from keyonce.proxy.reading import Problems, Table, flag, text, texts, whole

if TYPE_CHECKING:
    from collections.abc import Mapping
    from ipaddress import IPv4Network, IPv6Network
    from pathlib import Path

    from keyonce.http.operation import Rule
    from keyonce.http.scope import ScopeReader

PREFIX: Final = "KEYONCE_"
OFF: Final = "off"
_MOST_PORTS: Final = 65_535


class Address(NamedTuple):
    """Where to listen."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Cors:
    """Browsers' scripts from *origins* may call, and see what this layer adds."""

    origins: tuple[str, ...]
    credentials: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything that ``keyonce serve`` is told. Spans are seconds.

    *admin* is None when there is no admin listener. *authorize* is asked before a
    replay. *trusted_proxies* are the callers whose ``X-Forwarded-*`` are believed.
    """

    upstream: str
    scope: ScopeReader
    rules: tuple[Rule, ...]
    store: str = "sqlite:///keyonce.db"
    listen: Address = Address("127.0.0.1", 8080)
    admin: Address | None = Address("127.0.0.1", 9090)
    workers: int = 1
    drain: float = 30.0
    store_timeout: float = 5.0
    upstream_timeout: float = 300.0
    authorize: str | None = None
    cors: Cors | None = None
    dialect: Dialect = DIALECT
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    source: str = ""


def load(
    path: Path | None,
    flags: Mapping[str, str],
    environ: Mapping[str, str] | None = None,
) -> Config:
    """Read the file at *path*, if any, under the environment and *flags*.

    *flags* are by the names of the settings (``store``, ``upstream_timeout``).

    Raises:
        ConfigurationError: with one line for everything that is wrong: where it
            stands, and the mend.
    """
    problems = Problems()
    file = Table(_parsed(path), f"{path}: " if path else "", problems)
    reader = _Layers(
        file=file,
        environ=os.environ if environ is None else environ,
        flags=flags,
        problems=problems,
    )
    given = _top(reader, file) | _tables(file, problems)
    rules = read_rules(file, problems)
    scope = _scope(reader, file, str(path or "keyonce serve"), problems)
    if "upstream" not in given:
        problems.add(_no_upstream(file, path))
    file.refuse_others()
    _refuse_unknown_flags(flags, problems)
    problems.raise_any()
    config = Config(rules=rules, scope=scope, source=str(path or ""), **given)
    _refuse_loop(config)
    return config


@dataclass(frozen=True, slots=True)
class _Layers:
    """The layers of settings, the strongest last."""

    file: Table
    environ: Mapping[str, str]
    flags: Mapping[str, str]
    problems: Problems

    def take(self, name: str, read: Any) -> Any:
        """Give the strongest value of *name*, or None."""
        variable = PREFIX + name.upper()
        if name in self.flags:
            place, value = f"--{name.replace('_', '-')}", self.flags[name]
        elif self.environ.get(variable):
            place, value = variable, self.environ[variable]
        else:
            return self.file.take(name, read, None)
        self.file.raw(name)  # known, and overruled
        return self._read(value, read, place)

    def _read(self, value: str, read: Any, place: str) -> Any:
        try:
            return read(value, name=place)
        except ConfigurationError as error:
            self.problems.add(str(error))
            return None


def _parsed(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is not TOML: {error}.") from error


def _top(reader: _Layers, file: Table) -> dict[str, Any]:
    given = {
        name: value
        for name, read in _SETTINGS.items()
        if (value := reader.take(name, read)) is not None
    }
    if given.get("admin") == OFF:
        given["admin"] = None
    given.setdefault("trusted_proxies", _LOOPBACK)
    try:
        given["dialect"] = Dialect(
            **{
                name: value
                for name in ("key_header", "docs_url", "replayed_alias")
                if (value := given.pop(name, None)) is not None
            }
        )
    except ConfigurationError as error:
        file.problem("key_header", f"or docs_url cannot be used: {error}")
    return given


def _tables(file: Table, problems: Problems) -> dict[str, Any]:
    given: dict[str, Any] = {}
    if replay := file.table("replay"):
        given["authorize"] = replay.take("authorize", _url, None)
        replay.refuse_others()
    if cors := file.table("cors"):
        origins = cors.take("origins", texts, ())
        credentials = cors.take("credentials", flag, default=False)
        cors.refuse_others()
        if credentials and "*" in origins:
            problems.add(
                f"{cors.place('origins')} is '*' with credentials = true: name the "
                "origins that may send them."
            )
        given["cors"] = Cors(origins, credentials)
    return given


def _scope(
    reader: _Layers, file: Table, missing_at: str, problems: Problems
) -> ScopeReader:
    # A flag or variable replaces the whole table.
    if "scope" in reader.flags or reader.environ.get(f"{PREFIX}SCOPE"):
        told: ScopeReader | None = reader.take("scope", scope_from_flag)
        return told or shared("never used: the problem is raised")
    try:
        return scope_from_table(file.table("scope"), missing_at=missing_at)
    except ConfigurationError as error:
        problems.add(str(error))
        return shared("never used: the problem is raised")


def _address(value: object, *, name: str) -> Address:
    written = text(value, name=name)
    host, colon, port = written.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not (colon and host and port.isdecimal() and int(port) <= _MOST_PORTS):
        message = f"{name} is {written!r}: write host and port, as in '127.0.0.1:8080'."
        raise ConfigurationError(message)
    return Address(host, int(port))


def _admin(value: object, *, name: str) -> Address | str:
    if value == OFF:
        return OFF
    try:
        return _address(value, name=name)
    except ConfigurationError as error:
        raise ConfigurationError(f"{error} Or 'off'.") from error


def _seconds(value: object, *, name: str) -> float:
    span: timedelta = parse_duration(value, name=name)
    return span.total_seconds()


def _url(value: object, *, name: str) -> str:
    url = text(value, name=name)
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        message = f"{name} is {url!r}: write a URL, as in 'http://127.0.0.1:8000'."
        raise ConfigurationError(message)
    return url


def _upstream(value: object, *, name: str) -> str:
    url = _url(value, name=name)
    parts = urlsplit(url)
    if parts.path.strip("/") or parts.query or parts.fragment or parts.username:
        message = (
            f"{name} is {url!r}: the upstream is scheme, host and port only; paths go "
            f"on as they come. Write '{parts.scheme}://{parts.netloc.split('@')[-1]}'."
        )
        raise ConfigurationError(message)
    return f"{parts.scheme}://{parts.netloc}"


def _networks(value: object, *, name: str) -> tuple[IPv4Network | IPv6Network, ...]:
    listed = value.split(",") if isinstance(value, str) else list(texts(value, name=name))
    try:
        return tuple(ip_network(one.strip()) for one in listed)
    except ValueError as error:
        message = f"{name}: {error}. Write networks, as in \"10.0.0.0/8\"."
        raise ConfigurationError(message) from error


_LOOPBACK: Final = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
_SETTINGS: Final[dict[str, Any]] = {
    "store": text,
    "upstream": _upstream,
    "listen": _address,
    "admin": _admin,
    "workers": whole,
    "drain": _seconds,
    "store_timeout": _seconds,
    "upstream_timeout": _seconds,
    "trusted_proxies": _networks,
    "key_header": text,
    "replayed_alias": flag,
    "docs_url": text,
}


def _no_upstream(file: Table, path: Path | None) -> str:
    place = file.place("upstream") if path else "--upstream"
    return f"{place} is missing: where is the service? As in 'http://127.0.0.1:8000'."


def _refuse_unknown_flags(flags: Mapping[str, str], problems: Problems) -> None:
    table = Table(dict(flags), "--", problems)
    for name in (*_SETTINGS, "scope"):
        table.raw(name)
    table.refuse_others()


def _refuse_loop(config: Config) -> None:
    parts = urlsplit(config.upstream)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    if config.listen == (parts.hostname, port):
        message = (
            f"upstream and listen are both {config.listen}: the guard would call "
            "itself. Move one of them."
        )
        raise ConfigurationError(message)
