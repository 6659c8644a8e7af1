# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Schema versions as numbered SQL files, and what of them is still to run.

A file is called `001_pre_what_it_does.sql`. `pre` files only add: whoever opens the
store first runs them, and programs of the version before go on working beside them.
So a column that they add has a default or may be NULL. `post` files take away what
no running program needs any more: only an operator runs them, any time later, and
so a `pre` file must do whether or not the `post` files before it have been run.

Each statement also does where its effect is there already: another tool may have made
the tables from what `keyonce.stores.sqlalchemy` says of them. SQLite has no words for
that when it adds a column: there the column is looked for.

Each version that was applied is noted with its file's name: by that an older program
tells what it may work beside.
"""

from __future__ import annotations

import re
from importlib.resources import files
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from keyonce.core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Sequence

_FILE: Final = re.compile(r"^(\d{3})_(pre|post)_(\w+)\.sql$")
_ADDS: Final = re.compile(r"^\d{3}_pre_")
_COLUMN: Final = re.compile(r"\s*ALTER TABLE (\w+)\s+ADD COLUMN (?!IF\b)(\w+)")


class Applied(NamedTuple):
    """One version as the database notes it."""

    version: int
    name: str


class Migration(NamedTuple):
    """One step of a schema; *sql* is what an administrator would type for it."""

    version: int
    name: str
    sql: str

    @property
    def adds(self) -> bool:
        """Whether the programs of the version before work on beside it."""
        return bool(_ADDS.match(self.name))


class Outlook(NamedTuple):
    """How the schema at *place* stands to this program.

    *version* is the newest that was applied, 0 where there is none. *to_run* is what
    this program needs; *waiting* takes away, and waits for an operator. *note* is a
    sentence about a store that has no schema.
    """

    place: str
    version: int
    to_run: tuple[Migration, ...] = ()
    waiting: tuple[Migration, ...] = ()
    note: str = ""

    def chosen(self, *, contract: bool) -> tuple[Migration, ...]:
        """Give what is to be run, in order; with *contract* also what waits."""
        both = (*self.to_run, *(self.waiting if contract else ()))
        return tuple(sorted(both))


class Schema(Protocol):
    """The schema of one store, as an operator sees and changes it."""

    def look(self) -> Outlook:
        """Say how it stands, changing nothing.

        Raises:
            ConfigurationError: it cannot be used by this program; what to change.
            StoreUnavailable: the store did not answer.
        """

    def migrate(self, *, contract: bool = False) -> tuple[Migration, ...]:
        """Run what this program needs, with *contract* also what waits; give it.

        Safe where several processes do it at once.
        """

    def script(self, migrations: Sequence[Migration]) -> str:
        """Write *migrations* as an administrator would carry them out."""


def migrations_of(package: str) -> tuple[Migration, ...]:
    """Read the `migrations` of *package*, in order."""
    found = []
    for file in files(package).joinpath("migrations").iterdir():
        matched = _FILE.match(file.name)
        if matched:
            sql = file.read_text(encoding="utf-8")
            found.append(Migration(int(matched[1]), file.name, sql))
    return tuple(sorted(found))


def outlook(
    applied: Iterable[Applied | tuple[int, str]],
    migrations: tuple[Migration, ...],
    place: str,
) -> Outlook:
    """Say what is to run at *place*, where *applied* was applied.

    Raises:
        ConfigurationError: a newer program has taken away what this one may need.
    """
    done = dict(applied)
    for version in sorted(done.keys() - {each.version for each in migrations}):
        if not _ADDS.match(done[version]):
            raise ConfigurationError(
                f"The schema of {place} is version {version} ({done[version]}), and "
                f"this keyonce knows versions up to {migrations[-1].version}: a newer "
                "keyonce has taken away what this one may need. Install that version "
                "again, or use another database."
            )
    open_ = [each for each in migrations if each.version not in done]
    return Outlook(
        place,
        max(done, default=0),
        tuple(each for each in open_ if each.adds),
        tuple(each for each in open_ if not each.adds),
    )


def require_ready(found: Outlook) -> None:
    """Refuse a schema that lacks what this program needs, without changing it.

    Raises:
        ConfigurationError: and which command brings it up to date.
    """
    if found.to_run:
        stands = f"is version {found.version}" if found.version else "is not there"
        raise ConfigurationError(
            f"The schema of {found.place} {stands}, and this keyonce needs version "
            f"{found.to_run[-1].version}: run 'keyonce migrate' as a user who may "
            "change tables. Where Alembic makes the tables, its migration ends with "
            "finish_tables(op.get_bind())."
        )


def with_options(url: str, known: Container[str]) -> str:
    """Give *url* with those of its options only that are *known* to the server.

    The others speak to a store at work, and are none of its schema's business.
    """
    head, _, query = url.partition("?")
    kept = [each for each in query.split("&") if each.partition("=")[0] in known]
    return "?".join([head, *(["&".join(kept)] if kept else [])])


def without_comments(sql: str) -> str:
    """Give *sql* without its whole lines of comment."""
    lines = [line for line in sql.splitlines() if not line.lstrip().startswith("--")]
    return "\n".join(lines).strip()


def added_column(statement: str) -> tuple[str, str] | None:
    """Give the table and the column that *statement* adds, if it does nothing else."""
    found = _COLUMN.match(without_comments(statement))
    return (found[1], found[2]) if found else None


def noted(migration: Migration) -> str:
    """Write the statement that notes *migration* as applied."""
    return (
        f"INSERT INTO keyonce_schema (version, name) "  # noqa: S608 - names of files
        f"VALUES ({migration.version}, '{migration.name}');"
    )


def script_of(
    migrations: Iterable[Migration], table: str, *, begin: str = "", end: str = ""
) -> str:
    """Write *migrations* as one script; *table* makes the table of versions."""
    parts = [begin, f"{table.strip().rstrip(';')};"]
    for migration in migrations:
        parts += [f"-- {migration.name}", without_comments(migration.sql)]
        parts.append(noted(migration))
    return "\n\n".join(part for part in [*parts, end] if part) + "\n"
