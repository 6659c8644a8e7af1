# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A project of Django's, whose databases are named as they come."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from typing import Any
from urllib.parse import unquote, urlsplit

import django
import pymysql
from django.conf import settings
from django.db import connections

ENGINES = {"sqlite": "sqlite3", "postgresql": "postgresql", "mysql": "mysql"}


settings.configure(
    DATABASES={}, INSTALLED_APPS=[], SECRET_KEY="of nothing", USE_TZ=True
)
if find_spec("MySQLdb") is None:  # mysqlclient is taken where it is installed
    pymysql.install_as_MySQLdb()
    # Else its modules are imported once more, by that name; its errors are others.
    for _name in [name for name in sys.modules if name.startswith("pymysql.")]:
        sys.modules[f"MySQLdb.{_name.partition('.')[2]}"] = sys.modules[_name]
django.setup()
for _engine in ENGINES.values():
    import_module(f"django.db.backends.{_engine}.base")


def settings_for(url: str, **more: Any) -> dict[str, Any]:
    """Say in Django's words where *url* leads."""
    at = urlsplit(url)
    return {
        "ENGINE": f"django.db.backends.{ENGINES[at.scheme]}",
        "NAME": url[len("sqlite:///") :] if at.scheme == "sqlite" else at.path[1:],
        "HOST": at.hostname or "",
        "PORT": at.port or "",
        "USER": at.username or "",
        "PASSWORD": unquote(at.password or ""),
        **more,
    }


def connection_to(url: str, alias: str | None = None, **more: Any) -> Any:
    """Give this thread's connection to *url*; it is the same each time."""
    alias = alias or url
    if alias == "default" or alias not in connections.settings:
        whole = connections.configure_settings(
            {"default": {}, alias: settings_for(url, **more)}
        )
        connections.settings[alias] = whole[alias]
    return connections[alias]


def left(connection: Any) -> None:
    """Leave each block that is open on *connection*, undone, and close it."""
    while connection.in_atomic_block:
        connection.set_rollback(True)
        connection.atomic_blocks[-1].__exit__(None, None, None)
    connection.close()
