# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Which store a command looks at, and how it is opened."""

from __future__ import annotations

import os
import tomllib
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from keyonce.core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from keyonce.core.protocols import Store

VARIABLE: Final = "KEYONCE_STORE"
CONFIG: Final = Path("keyonce.toml")
DEFAULT: Final = "sqlite:///keyonce.db"

config_option: Final = click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    help=f"Configuration file  [default: ./{CONFIG}, if it is there]",
)
store_option: Final = click.option(
    "--store",
    metavar="URL",
    help=f"Store  [default: {VARIABLE}, else the file's, else {DEFAULT}]",
)


def takes_store(command: Callable[..., None]) -> Callable[..., None]:
    """Give *command* an open store as its first argument, chosen by options."""
    return _taking(command, existing_store)


def looks_at_store(command: Callable[..., None]) -> Callable[..., None]:
    """Give *command* a store to look at, if need be without the keys that seal it."""
    return _taking(command, looked_at)


def _taking(
    command: Callable[..., None],
    opening: Callable[[str], AbstractContextManager[Store]],
) -> Callable[..., None]:
    @store_option
    @config_option
    @wraps(command)
    def opened(*, store: str | None, config: Path | None, **options: Any) -> None:
        with opening(store_url(store, config)) as found:
            command(found, **options)

    return opened


def config_path(config: Path | None) -> Path | None:
    """Give the configuration file to read, if there is one.

    Raises:
        ConfigurationError: the file that was named is not there.
    """
    if config is None:
        return CONFIG if CONFIG.is_file() else None
    if not config.is_file():
        raise ConfigurationError(f"There is no file {config}. Look at --config.")
    return config


def store_url(store: str | None, config: Path | None) -> str:
    """Choose the store as ``serve`` does: option, environment, file, default."""
    chosen = store or os.environ.get(VARIABLE)
    if chosen:
        return chosen
    path = config_path(config)
    return (path and _store_in(path)) or DEFAULT


def _store_in(path: Path) -> str | None:
    try:
        settings: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise ConfigurationError(f"{path} is no TOML file: {exc}") from exc
    store = settings.get("store")
    if store is not None and not isinstance(store, str):
        raise ConfigurationError(
            f"{path}: store is a URL in quotes, such as {DEFAULT!r}, not {store!r}."
        )
    return store


@contextmanager
def existing_store(url: str) -> Iterator[Store]:
    """Open the store at *url* for as long as the block lasts.

    Raises:
        ConfigurationError: there is nothing to look at, or it is of an older version;
            nothing is created or changed.
    """
    _refuse_missing(url)
    from keyonce.stores.url import open_store  # noqa: PLC0415 - drivers load late

    store = open_store(url, migrate=False)
    try:
        yield store
    finally:
        store.close()


@contextmanager
def looked_at(url: str) -> Iterator[Store]:
    """Open the store at *url* only to look at it.

    Where the environment names no key for a sealed store, its outcomes stay shut. A
    server that nobody would work with is looked at all the same, with a warning.

    Raises:
        ConfigurationError: as `existing_store` does.
    """
    from keyonce.stores.sealed.environment import names_keys  # noqa: PLC0415 - late
    from keyonce.stores.url import beneath  # noqa: PLC0415 - as above

    with existing_store(url if names_keys(os.environ) else beneath(url)) as store:
        only_look = getattr(store, "only_look", None)
        if only_look is not None:
            only_look(_warn)
        yield store


def _warn(message: str) -> None:
    click.echo(f"Warning: {message}", err=True)


def refuse_memory(url: str) -> None:
    """Refuse a store that lives in another process.

    Raises:
        ConfigurationError: and which store to name.
    """
    if url.partition(":")[0].lower() == "memory":
        raise ConfigurationError(
            "A memory store lives inside its own process and cannot be seen from "
            f"here. Look at a store that lasts, such as --store {DEFAULT}."
        )


def _refuse_missing(url: str) -> None:
    from keyonce.stores.url import beneath  # noqa: PLC0415 - as below

    url = beneath(url)
    if url.partition(":")[0].lower() == "tiered":
        from keyonce.stores.tiered.address import address_of  # noqa: PLC0415 - late

        _refuse_missing(address_of(url).durable)
        return
    refuse_memory(url)
    if url.partition(":")[0].lower() != "sqlite":
        return
    from keyonce.stores.sqlite.database import path_of  # noqa: PLC0415 - as below

    path = path_of(url.partition("?")[0])
    if not path.exists():
        raise ConfigurationError(
            f"There is no SQLite store at {path}. Name the one you mean "
            f"with --store or {VARIABLE}; 'keyonce serve' makes a new one."
        )
