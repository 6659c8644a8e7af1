# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""`python -m tests.golden.make`: write the golden rows of this version.

What is there already stays: once a version is released, its rows never change. With
`--all` everything is written anew, which is right only before the first release.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from contextlib import closing, contextmanager
from importlib.resources import files
from pathlib import Path

from keyonce.stores.schema import without_comments
from keyonce.testing.clock import FakeClock
from tests.golden import cases
from tests.golden.others import DYNAMODB_FORM, REDIS_FORM, DynamoDBPlace, RedisPlace
from tests.golden.places import MySQLPlace, PostgresPlace, SQLitePlace
from tests.servers.mariadb import MariaDB
from tests.servers.moto import Moto
from tests.servers.postgres import PostgresServer, installed
from tests.servers.redis import RedisServer, redis_program

HERE = Path(__file__).parent
QUICK = {"fsync": "off", "synchronous_commit": "off"}
HEADER = (
    "-- SPDX-FileCopyrightText: 2026 The keyonce authors\n"
    "-- SPDX-License-Identifier: Apache-2.0\n"
    "-- Written by scripts/golden. Never changed once this version is released.\n"
)


def main():
    parser = argparse.ArgumentParser(prog="scripts/golden", description=__doc__)
    parser.add_argument(
        "stores", nargs="*", choices=[[], *MAKERS], help="[default: all]"
    )
    parser.add_argument("--all", action="store_true", help="also what is there already")
    given = parser.parse_args()
    for name in given.stores or MAKERS:
        with tempfile.TemporaryDirectory() as folder:
            MAKERS[name](Path(folder), again=given.all)


def sqlite(folder, *, again):
    def new(number):
        place = folder / str(number)
        place.mkdir()
        return SQLitePlace(place)

    write_versions(new, "sqlite", again=again)


def postgres(_folder, *, again):
    programs = installed()
    oldest = programs[min(programs, key=int)]
    with closing(PostgresServer(oldest, **QUICK).start()) as server:
        write_versions(lambda _number: PostgresPlace(server), "postgres", again=again)


def mysql(folder, *, again):
    server = MariaDB(folder)
    server.start()
    try:
        write_versions(
            lambda number: MySQLPlace(server, f"v{number}"), "mysql", again=again
        )
    finally:
        server.stop()


def write_versions(new, store, *, again):
    """Fill a database of the newest version, and write it as each version has it.

    Of an older version that lacks its rows, what that version has no column for is
    left out.
    """
    filled, clock = new(0), FakeClock(now=cases.STARTED)
    opened = filled.open(clock=clock)
    cases.write(opened, clock)
    told = cases.told(opened, clock)
    opened.close()
    folder = HERE / store
    folder.mkdir(exist_ok=True)
    for migration in filled.migrations:
        script = folder / f"{migration.version:03}.sql"
        if script.exists() and not again:
            continue
        old = new(migration.version)
        old.make(migration.version)
        script.write_text(HEADER + dump(filled, old), encoding="utf-8")
        dump_json(script.with_suffix(".json"), _seen_by(told, old))
        sys.stdout.write(f"{script}\n")
    source = files(f"keyonce.stores.{store}").joinpath("queries.sql")
    queries = folder / "queries.sql"
    if again or not queries.exists():
        queries.write_text(source.read_text(encoding="utf-8"), encoding="utf-8")


def _seen_by(told, old):
    """Leave out what *old* has no table or column for."""
    tables = old.tables()
    records, audits = told["records"], told["audits"]
    if "keyonce_audits" not in tables:
        audits = []
    if "steps" not in tables["keyonce_records"]:
        records = [each | {"steps": ""} for each in records]
    return told | {"records": records, "audits": audits}


def dump(filled, old):
    """Write what *filled* holds as a database of the version of *old*."""
    version = max(v for (v,) in old.rows("SELECT version FROM keyonce_schema"))
    migrations = [each for each in old.migrations if each.version <= version]
    script = old.schema.script(migrations)
    parts = [without_comments(script)]
    there = filled.tables()
    for table, columns in old.tables().items():
        shared = [name for name in columns if name in there.get(table, ())]
        parts += filled.inserts(table, shared)
    return "\n".join(parts) + "\n"


def redis(folder, *, again):
    server = RedisServer(redis_program(), folder).start()
    try:
        write_one(RedisPlace(server.url), f"{REDIS_FORM:03}", again=again)
    finally:
        server.stop()


def dynamodb(_folder, *, again):
    with moto() as server:
        write_one(DynamoDBPlace(server), f"{DYNAMODB_FORM:03}", again=again)


@contextmanager
def moto():
    server = Moto().start()
    try:
        yield server
    finally:
        server.stop()


def write_one(place, form, *, again):
    """Write what a store without a schema holds."""
    path = HERE / place.name / f"{form}.json"
    if path.exists() and not again:
        return
    path.parent.mkdir(exist_ok=True)
    clock = FakeClock(now=cases.STARTED)
    store = place.open(clock=clock)
    cases.write(store, clock)
    told = cases.told(store, clock)
    dump_json(path, told | {"stored": place.dump()})
    store.close()
    sys.stdout.write(f"{path}\n")


def dump_json(path, value):
    """Write *value*, one record a line."""
    parts = []
    for name, each in value.items():
        lines = [json.dumps(each, sort_keys=True)]
        if isinstance(each, list):
            lines = [json.dumps(item, sort_keys=True) for item in each]
            lines = ["[", ",\n".join(lines), "]"] if lines else ["[]"]
        parts.append(f"{json.dumps(name)}: " + "\n".join(lines))
    path.write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")


MAKERS = {
    "sqlite": sqlite,
    "postgres": postgres,
    "mysql": mysql,
    "redis": redis,
    "dynamodb": dynamodb,
}

if __name__ == "__main__":
    main()
