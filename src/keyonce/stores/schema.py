# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Schema versions as numbered SQL files, and which of them are still to run.

A file is called `001_pre_what_it_does.sql`: `pre` files only add, so that
programs of the version before go on working beside them; `post` files take
away what no running program needs any more.
"""

from __future__ import annotations

import re
from importlib.resources import files
from typing import Final, NamedTuple

from keyonce.core.errors import ConfigurationError

_FILE: Final = re.compile(r"^(\d{3})_(pre|post)_(\w+)\.sql$")


class Migration(NamedTuple):
    """One step from the schema *version* - 1 to *version*."""

    version: int
    name: str
    sql: str


def migrations_of(package: str) -> tuple[Migration, ...]:
    """Read the `migrations` of *package*, in order."""
    found = []
    for file in files(package).joinpath("migrations").iterdir():
        matched = _FILE.match(file.name)
        if matched:
            sql = file.read_text(encoding="utf-8")
            found.append(Migration(int(matched[1]), file.name, sql))
    return tuple(sorted(found))


def pending(
    version: int, migrations: tuple[Migration, ...], place: str
) -> tuple[Migration, ...]:
    """Say what is to run on a schema of *version* at *place*.

    Raises:
        ConfigurationError: a newer program has been here.
    """
    newest = migrations[-1].version
    if version > newest:
        raise ConfigurationError(
            f"The schema of {place} is version {version}, and this keyonce knows "
            f"versions up to {newest}: a newer keyonce has migrated it. Install that "
            "version again, or use another database."
        )
    return tuple(each for each in migrations if each.version > version)
