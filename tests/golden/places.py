# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Databases of each SQL store, to be filled, dumped and loaded by their own SQL."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import psycopg
from pymysql.constants import CLIENT

from keyonce.stores.mysql import MySQLStore
from keyonce.stores.postgres import PostgresStore
from keyonce.stores.schema import migrations_of
from keyonce.stores.sqlite import SQLiteStore
from keyonce.stores.url import open_schema


class Place:
    """An empty database that keyonce has never been in."""

    name: str
    url: str

    @property
    def migrations(self):
        return migrations_of(f"keyonce.stores.{self.name}")

    @property
    def schema(self):
        return open_schema(self.url)

    def make(self, version):
        """Bring it to *version* by the files alone."""
        self.run(
            self.schema.script([m for m in self.migrations if m.version <= version])
        )

    def apply(self, name, sql):
        """Change it as another version of keyonce would."""
        self.run(sql)
        values = f"VALUES ({int(name[:3])}, '{name}')"
        self.run(f"INSERT INTO keyonce_schema (version, name) {values}")

    def inserts(self, table, columns):
        """Write the rows of *table* as statements."""
        names = ", ".join(map(self.quoted, columns))
        order = ", ".join(str(n) for n in range(1, min(4, len(columns) + 1)))
        for row in self.rows(f"SELECT {names} FROM {table} ORDER BY {order}"):
            yield f"INSERT INTO {table} ({names}) VALUES ({', '.join(map(self.literal, row))});"

    def run(self, script):
        """Carry out *script* without keyonce."""
        raise NotImplementedError

    def rows(self, query):
        """Read without keyonce."""
        raise NotImplementedError

    def quoted(self, name):
        return f'"{name}"'

    def binary(self, value):
        """Write bytes as a literal."""
        raise NotImplementedError

    def literal(self, value):
        match value:
            case None:
                return "NULL"
            case bool() | int() | float():
                return repr(value)
            case str():
                return "'" + value.replace("'", "''") + "'"
        return self.binary(bytes(value))


class SQLitePlace(Place):
    name = "sqlite"

    def __init__(self, folder):
        self.path = folder / "golden.db"
        self.url = f"sqlite:///{self.path}"

    def run(self, script):
        with closing(sqlite3.connect(self.path)) as connection:
            connection.executescript(script)

    def rows(self, query):
        with closing(sqlite3.connect(self.path)) as connection:
            return connection.execute(query).fetchall()

    def tables(self):
        """Give the tables with their columns, but for the versions."""
        listed = self.rows(
            "SELECT name FROM sqlite_master WHERE type = 'table' "
            "AND name LIKE 'keyonce_%' AND name <> 'keyonce_schema' ORDER BY name"
        )
        return {
            table: [row[1] for row in self.rows(f"PRAGMA table_info({table})")]
            for (table,) in listed
        }

    def binary(self, value):
        return f"X'{value.hex()}'"

    def open(self, **options):
        return SQLiteStore(self.url, purge_every=None, **options)


class PostgresPlace(Place):
    name = "postgres"

    def __init__(self, server):
        self.url = server.url(server.new_database())

    def run(self, script):
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(script)

    def rows(self, query):
        with psycopg.connect(self.url, autocommit=True) as connection:
            return connection.execute(query).fetchall()

    def tables(self):
        """Leave out what the server makes: numbers of rows, parts of tables."""
        found: dict[str, list[str]] = {}
        for table, column in self.rows(
            "SELECT c.relname, a.attname FROM pg_class AS c "
            "JOIN pg_attribute AS a ON a.attrelid = c.oid "
            "WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition "
            "AND c.relname LIKE 'keyonce_%' AND c.relname <> 'keyonce_schema' "
            "AND a.attnum > 0 AND NOT a.attisdropped "
            "AND a.attidentity = '' AND a.attgenerated = '' ORDER BY 1, a.attnum"
        ):
            found.setdefault(table, []).append(column)
        return found

    def binary(self, value):
        return f"'\\x{value.hex()}'"

    def open(self, **options):
        return PostgresStore(self.url, purge_every=None, **options)


class MySQLPlace(Place):
    name = "mysql"

    def __init__(self, server, database="golden"):
        self._server = server
        self._database = database
        self.url = server.database(database)

    def run(self, script):
        many = {"client_flag": CLIENT.MULTI_STATEMENTS}
        with closing(self._server.connect(self._database, **many)) as connection:
            cursor = connection.cursor()
            cursor.execute(script)
            while cursor.nextset():
                pass

    def rows(self, query):
        return self._server.ask(query, self._database)

    def tables(self):
        found: dict[str, list[str]] = {}
        for table, column in self.rows(
            "SELECT table_name, column_name FROM information_schema.columns "
            "WHERE table_schema = DATABASE() AND table_name <> 'keyonce_schema' "
            "AND extra NOT LIKE '%GENERATED%' ORDER BY 1, ordinal_position"
        ):
            found.setdefault(table, []).append(column)
        return found

    def quoted(self, name):
        return f"`{name}`"

    def binary(self, value):
        return f"X'{value.hex()}'"

    def open(self, **options):
        return MySQLStore(self.url, purge_every=None, **options)
