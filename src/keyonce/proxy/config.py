# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The sidecar's configuration: flags over environment over file over defaults."""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from keyonce.core.errors import ConfigurationError
from keyonce.http.dialect import DIALECT, Dialect
from keyonce.http.scope import shared
from keyonce.proxy.config_rules import read_rules
from keyonce.proxy.config_scope import headers_of, scope_from_flag, scope_from_table
from keyonce.proxy.config_values import (
    LOOPBACK,
    OFF,
    Address,
    Network,
    read_address,
    read_admin,
    read_networks,
    read_seconds,
    read_upstream,
    read_url,
)
from keyonce.proxy.reading import (
    Problems,
    Table,
    flag,
    one_of,
    placed,
    text,
    texts,
    whole,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from keyonce.http.operation import Rule
    from keyonce.http.scope import ScopeReader

PREFIX: Final = "KEYONCE_"
# What else of ours stands in an environment: what sealed stores read, and the tests'
# own switch.
_NO_SETTINGS: Final = frozenset(
    {
        "KEYONCE_REQUIRE_SERVICES",
        "KEYONCE_SEAL_ACCEPT_PLAIN_UNTIL",
        "KEYONCE_SEAL_KEYS",
        "KEYONCE_SEAL_KEYS_FILE",
    }
)
# Kubernetes tells every container so of a service that is called keyonce.
_OF_A_CLUSTER: Final = re.compile(
    r"KEYONCE_(?:\w+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT(?:_[0-9]+_\w+)?)"
).fullmatch


@dataclass(frozen=True, slots=True)
class Told:
    """What the operator said: the file as it was read, and what overrules it."""

    path: Path | None
    values: dict[str, Any]
    flags: dict[str, str]
    environ: dict[str, str]


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
    *told* is what all this was made from.
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
    trusted_proxies: tuple[Network, ...] = ()
    log_level: str = "warning"
    log_format: str = "text"
    log_keys: str = "key"
    told: Told | None = None

    @property
    def source(self) -> Path | None:
        """The file that this came from, if it came from one."""
        return self.told.path if self.told else None

    @property
    def identity_headers(self) -> frozenset[bytes]:
        """The headers that say whose request it is, and which: lower-case."""
        return frozenset({self.dialect.key_name, *headers_of(self.scope)})

    def read_again(self) -> Config:
        """Read the same file, under the same flags, as it is now.

        Raises:
            ConfigurationError: it can no longer be used.
        """
        told = self._told()
        return load(told.path, told.flags, told.environ)

    def with_rules_of(self, other: Config) -> Config:
        """Give this configuration with the rules of *other*."""
        rules = other._told().values.get("rule", [])
        told = self._told()
        return made(replace(told, values={**told.values, "rule": rules}))

    def __reduce__(self) -> tuple[Callable[[Told], Config], tuple[Told]]:
        """Go to a worker process as what was read, to be made into this again."""
        return made, (self._told(),)

    def _told(self) -> Told:
        if self.told is None:
            message = "Only a configuration that load() made can be made again."
            raise ConfigurationError(message)
        return self.told


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
    mine = os.environ if environ is None else environ
    ours = {name: value for name, value in mine.items() if name.startswith(PREFIX)}
    return made(Told(path, _parsed(path), dict(flags), ours))


def made(told: Told) -> Config:
    """Make the configuration of what was *told*.

    Raises:
        ConfigurationError: as ``load`` does.
    """
    problems = Problems()
    file = Table(told.values, f"{told.path}: " if told.path else "", problems)
    reader = _Layers(
        file=file, environ=told.environ, flags=told.flags, problems=problems
    )
    given = _top(reader, file) | _tables(file, problems)
    rules = read_rules(file, problems)
    scope = _scope(reader, file, str(told.path or "keyonce serve"), problems)
    if not reader.told("upstream"):
        problems.add(_no_upstream(file, told.path))
    file.refuse_others()
    _refuse_unknown_flags(told.flags, problems)
    _refuse_unknown_variables(told.environ, problems)
    problems.raise_any()
    config = Config(rules=rules, scope=scope, told=told, **given)
    _refuse_loop(config)
    return config


@dataclass(frozen=True, slots=True)
class _Layers:
    """The layers of settings, the strongest last."""

    file: Table
    environ: Mapping[str, str]
    flags: Mapping[str, str]
    problems: Problems

    def told(self, name: str) -> bool:
        """Whether any layer has *name*."""
        variable = bool(self.environ.get(PREFIX + name.upper()))
        return variable or name in self.flags or name in self.file

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
            self.problems.add(placed(str(error), place))
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
    given.setdefault("trusted_proxies", LOOPBACK)
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
        given["authorize"] = replay.take("authorize", read_url, None)
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


_SETTINGS: Final[dict[str, Any]] = {
    "store": text,
    "upstream": read_upstream,
    "listen": read_address,
    "admin": read_admin,
    "workers": whole,
    "drain": read_seconds,
    "store_timeout": read_seconds,
    "upstream_timeout": read_seconds,
    "trusted_proxies": read_networks,
    "key_header": text,
    "replayed_alias": flag,
    "docs_url": text,
    "log_level": one_of("debug", "info", "warning", "error"),
    "log_format": one_of("text", "json"),
    "log_keys": one_of("key", "digest"),
}


def _no_upstream(file: Table, path: Path | None) -> str:
    place = file.place("upstream") if path else "--upstream"
    return f"{place} is missing: where is the service? As in 'http://127.0.0.1:8000'."


def _refuse_unknown_flags(flags: Mapping[str, str], problems: Problems) -> None:
    table = Table(dict(flags), "--", problems)
    for name in (*_SETTINGS, "scope"):
        table.raw(name)
    table.refuse_others()


def _refuse_unknown_variables(environ: Mapping[str, str], problems: Problems) -> None:
    ours = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in environ.items()
        if name not in _NO_SETTINGS and not _OF_A_CLUSTER(name)
    }
    known = (*_SETTINGS, "scope")
    for name in sorted(ours.keys() - set(known)):
        near = get_close_matches(name, known, n=1)
        meant = (PREFIX + (near[0] if near else "upstream")).upper()
        hint = f"Did you mean {meant}?" if near else f"They are named as {meant} is."
        problems.add(f"{PREFIX}{name.upper()} is no setting. {hint}")


def _refuse_loop(config: Config) -> None:
    parts = urlsplit(config.upstream)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    if config.listen == (parts.hostname, port):
        message = (
            f"upstream and listen are both {config.listen}: the guard would call "
            "itself. Move one of them."
        )
        raise ConfigurationError(message)
