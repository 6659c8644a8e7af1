# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""An empty database of each kind, and how SQLAlchemy and Alembic come to it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import MetaData, create_engine, text

from keyonce.stores.sqlalchemy import add_tables
from tests.servers import postgres
from tests.servers.mariadb import MariaDB
from tests.servers.postgres import PostgresServer

DRIVERS = {
    "sqlite": "sqlite",
    "postgresql": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
}

# Of an application whose metadata names what has no name.
CONVENTION = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "pk": "pk_%(table_name)s",
}

# As `alembic init` writes it, and the two lines that are the application's.
ENV = """
from alembic import context
from sqlalchemy import MetaData, NullPool, create_engine
from keyonce.stores.sqlalchemy import add_tables, include_object

metadata = MetaData()
add_tables(metadata, dialect=context.config.get_main_option("kind"))

place = context.config.get_main_option("place")
with create_engine(place, poolclass=NullPool).connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        include_object=include_object,
    )
    with context.begin_transaction():
        context.run_migrations()
"""
SCRIPT = """
${imports or ""}
from alembic import op
import sqlalchemy as sa

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}

def upgrade():
    ${upgrades or "pass"}

def downgrade():
    ${downgrades or "pass"}
"""


@dataclass(frozen=True)
class Place:
    """One database: for the store by *url*, for SQLAlchemy by *dialect*."""

    dialect: str
    url: str

    @property
    def alchemy(self):
        rest = self.url.partition(":")[2]
        return f"{DRIVERS[self.dialect]}:{rest}"

    @contextmanager
    def connected(self):
        engine = create_engine(self.alchemy)
        with engine.begin() as connection:
            yield connection
        engine.dispose()

    def ask(self, sql):
        with self.connected() as connection:
            return [tuple(row) for row in connection.execute(text(sql))]

    def metadata(self, **settings):
        metadata = MetaData(**settings)
        add_tables(metadata, dialect=self.dialect)  # type: ignore[arg-type]
        return metadata

    def create_all(self):
        with self.connected() as connection:
            self.metadata().create_all(connection)

    def differences(self, metadata, **options):
        """What Alembic would write into a migration."""
        options = {"compare_type": True, "compare_server_default": True, **options}
        with self.connected() as connection:
            context = MigrationContext.configure(connection, opts=options)
            return compare_metadata(context, metadata)


class Project:
    """A project's folder for Alembic, in which commands are given."""

    def __init__(self, folder: Path, place: Place) -> None:
        (folder / "versions").mkdir(parents=True)
        (folder / "env.py").write_text(ENV)
        (folder / "script.py.mako").write_text(SCRIPT)
        self._config = Config()
        self._config.set_main_option("script_location", str(folder))
        self._config.set_main_option("kind", place.dialect)
        self._config.set_main_option("place", place.alchemy.replace("%", "%%"))

    def generate(self) -> Path:
        """Carry out `alembic revision --autogenerate`; give the file."""
        made: Any = command.revision(self._config, autogenerate=True)
        return Path(made.path)

    def upgrade(self) -> None:
        command.upgrade(self._config, "head")

    def check(self) -> None:
        """Fail if there is anything to generate."""
        command.check(self._config)


@pytest.fixture(scope="session")
def postgres_server():
    server = PostgresServer(postgres.newest()).start()
    yield server
    server.close()


@pytest.fixture(scope="session")
def mariadb_server(tmp_path_factory):
    server = MariaDB(tmp_path_factory.mktemp("mariadb"))
    server.start()
    yield server
    server.stop()


_NUMBERS = count(1)


KINDS = [
    "sqlite",
    *(
        pytest.param(name, marks=pytest.mark.servers)
        for name in ("postgresql", "mysql", "mariadb")
    ),
]


def place_of(request, dialect, folder):
    """Make an empty database of one kind."""
    if dialect == "sqlite":
        return Place(dialect, f"sqlite:///{folder}/{next(_NUMBERS)}.db")
    if dialect == "postgresql":
        server = request.getfixturevalue("postgres_server")
        return Place(dialect, server.url(server.new_database()))
    server = request.getfixturevalue("mariadb_server")
    return Place(dialect, server.database(f"place{next(_NUMBERS)}"))


@pytest.fixture(params=KINDS)
def new_place(request, tmp_path):
    """Makes an empty database of one kind."""
    return lambda: place_of(request, request.param, tmp_path)


@pytest.fixture
def place(new_place):
    return new_place()


@pytest.fixture
def project(place, tmp_path):
    return Project(tmp_path / "alembic", place)
