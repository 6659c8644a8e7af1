# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Which store a command looks at, and how it is opened."""

from __future__ import annotations

import os
import re
import tomllib
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import click

from keyonce.core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from keyonce.core.protocols import Store

VARIABLE: Final = "KEYONCE_STORE"
CONFIG: Final = Path("keyonce.toml")
DEFAULT: Final = "sqlite:///keyonce.db"
_SECRET_OPTION: Final = re.compile(r"([?&]\w*password=)[^&]*")

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

    @store_option
    @config_option
    @wraps(command)
    def opened(*, store: str | None, config: Path | None, **options: Any) -> None:
        with existing_store(store_url(store, config)) as found:
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
        ConfigurationError: there is nothing to look at; nothing is created.
    """
    _refuse_missing(url)
    from keyonce.stores.url import open_store  # noqa: PLC0415 - drivers load late

    store = open_store(url)
    try:
        yield store
    finally:
        store.close()


def _refuse_missing(url: str) -> None:
    scheme = url.partition(":")[0].lower()
    if scheme == "memory":
        raise ConfigurationError(
            "A memory store lives inside its own process and cannot be seen from "
            f"here. Look at a store that lasts, such as --store {DEFAULT}."
        )
    if scheme != "sqlite":
        return
    from keyonce.stores.sqlite.database import path_of  # noqa: PLC0415 - as below

    path = path_of(url)
    if not path.exists():
        raise ConfigurationError(
            f"There is no SQLite store at {path}. Name the one you mean "
            f"with --store or {VARIABLE}; 'keyonce serve' makes a new one."
        )


def without_secrets(url: str) -> str:
    """Write *url* without the passwords in it."""
    url = _SECRET_OPTION.sub(r"\1***", url)
    parts = urlsplit(url)
    if parts.password is None:
        return url
    where = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{parts.username or ''}:***@{where}").geturl()
