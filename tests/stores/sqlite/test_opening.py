# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Opening the file: what is set, what is refused, and how old files are met."""

from __future__ import annotations

import sqlite3
import stat
from datetime import timedelta

import pytest

from keyonce.core.errors import ConfigurationError, StoreUnavailable
from keyonce.core.states import Status
from keyonce.stores.schema import migrations_of
from keyonce.stores.sqlite import AsyncSQLiteStore, SQLiteStore
from keyonce.stores.sqlite.opening import migrate, version_of
from keyonce.testing.store_scenarios.cases import (
    FIRST,
    ORDER,
    claim_of,
    completed,
    record_in,
    settlement_of,
)
from tests.stores.programs import run, said, started, tell

PACKAGE = "keyonce.stores.sqlite"
SOON = timedelta(milliseconds=50)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "keyonce.db"


def raw(path):
    return sqlite3.connect(path, isolation_level=None)


def test_every_connection_has_the_settings_of_the_promise(path):
    store = SQLiteStore(path)
    connections = store._database.connections
    writer = connections.hold(store._database.deadline())
    reader = connections.borrow()

    settings = [
        [
            connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous", "wal_autocheckpoint")
        ]
        for connection in (writer, reader)
    ]

    assert [["wal", 2, 0]] * 2 == settings
    assert 1 == reader.execute("PRAGMA query_only").fetchone()[0]
    connections.let_go()
    connections.give_back(reader)
    store.close()


def test_a_file_that_does_not_become_wal_is_refused(path):
    # A file that only one connection may use stays in its own mode.
    other = raw(path)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("PRAGMA journal_mode = WAL")
    other.execute("CREATE TABLE t (a)")

    with pytest.raises(StoreUnavailable):
        SQLiteStore(path, store_timeout=SOON)
    other.close()


def test_a_mode_that_is_not_wal_is_seen(monkeypatch, path):
    class Stubborn(sqlite3.Connection):
        def execute(self, sql, *values):
            if sql == "PRAGMA journal_mode = WAL":
                sql = "PRAGMA journal_mode = DELETE"
            return super().execute(sql, *values)

    connect = sqlite3.connect
    monkeypatch.setattr(
        sqlite3, "connect", lambda *a, **k: connect(*a, **k, factory=Stubborn)
    )

    with pytest.raises(ConfigurationError, match=r"'delete'.*needs 'wal'"):
        SQLiteStore(path)


def test_a_new_file_is_for_its_user_only(path):
    store = SQLiteStore(path)
    store.claim(claim_of())

    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in files(path)}

    assert {f"keyonce.db{end}": 0o600 for end in ("", "-shm", "-wal")} == modes
    store.close()


def files(path):
    return path.parent.iterdir()


def test_nothing_but_the_file_is_left_behind(path):
    store = SQLiteStore(path)
    completed(store)
    store.close()

    assert [path] == list(files(path))


def test_the_mode_of_an_existing_file_is_left_alone(path):
    path.touch(mode=0o640)

    SQLiteStore(path).close()

    assert 0o640 == stat.S_IMODE(path.stat().st_mode)


def test_a_missing_directory_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match=r"no directory .*nowhere.*make it"):
        SQLiteStore(tmp_path / "nowhere" / "keyonce.db")


def test_a_file_that_is_no_database_is_named_so(path):
    path.write_bytes(b"this is a text of more than a hundred bytes. " * 9)

    with pytest.raises(StoreUnavailable, match="no SQLite database; name another"):
        SQLiteStore(path)


def test_what_may_not_be_written_says_what_to_do():
    told = run(
        """
        import tempfile
        with tempfile.TemporaryDirectory() as place:
            path = os.path.join(place, "keyonce.db")
            store = SQLiteStore(path)
            store.claim(claim_of())
            store.close()
            os.chmod(place, 0o555)
            os.chmod(path, 0o444)
            me = os.geteuid()
            if me == 0:
                os.seteuid(65534)  # root may write everything
            try:
                SQLiteStore(path).claim(claim_of())
                say("answered")
            except StoreUnavailable as refusal:
                say(refusal)
            os.seteuid(me)
            os.chmod(place, 0o755)
        """
    )

    assert "let this user" in told[0]
    assert "file and its directory" in told[0]


def test_a_network_file_system_is_refused(path, tmp_path):
    table = tmp_path / "mountinfo"
    table.write_text(
        "22 1 254:0 / / rw,relatime - ext4 /dev/root rw\n"
        f"40 22 0:52 / {tmp_path} rw,relatime shared:9 - nfs4 server:/x rw\n"
    )

    for kind in (SQLiteStore, AsyncSQLiteStore):
        with pytest.raises(ConfigurationError, match=r"network file system \(nfs4\)"):
            kind(path, mount_table=table)
    assert not path.exists()


def test_a_platform_without_a_mount_table_is_not_refused(path, tmp_path):
    store = SQLiteStore(path, mount_table=tmp_path / "none")

    findings = {each.subject: each for each in store.examine()}

    assert "warning" == findings["file system"].level
    assert findings["file system"].detail.startswith("unchecked")
    store.close()


def test_a_newer_schema_is_refused(path):
    SQLiteStore(path).close()
    with raw(path) as other:
        other.execute("INSERT INTO keyonce_schema VALUES (900, 'from the future')")
    other.close()

    with pytest.raises(ConfigurationError, match=r"version 900.*newer keyonce"):
        SQLiteStore(path)


def old_file(path):
    """A file as the first schema version left it, with a record in it."""
    connection = raw(path)
    connection.execute("PRAGMA journal_mode = WAL")
    first = migrations_of(PACKAGE)[:1]
    migrate(connection, first, 0.0, str(path))
    connection.execute(
        "INSERT INTO keyonce_records (scope, operation, key, status, guarantee, "
        "executions, crashes, owner, created_at, claimed_after, lease_for, "
        "lease_until) VALUES (?, ?, ?, 3, 3, 1, 0, ?, 1800000000000, 0, 30, 1800000030)",
        (*ORDER, FIRST),
    )
    version = version_of(connection)
    connection.close()
    return version


def test_an_old_schema_is_brought_up_to_date_with_its_records(path):
    assert 1 == old_file(path)

    store = SQLiteStore(path)

    assert Status.UNKNOWN is record_in(store).status
    assert Status.RELEASED is store.settle(settlement_of()).status
    assert 1 == len(store.audits())
    with raw(path) as other:
        assert migrations_of(PACKAGE)[-1].version == version_of(other)
    other.close()
    store.close()


@pytest.mark.parametrize("kind", [SQLiteStore, AsyncSQLiteStore])
def test_without_migrating_nothing_is_made_or_changed(path, kind):
    with pytest.raises(ConfigurationError, match=r"no SQLite file.*keyonce migrate"):
        kind(path, migrate=False)
    assert not path.exists()

    old_file(path)
    with pytest.raises(ConfigurationError, match=r"is version 1.*keyonce migrate"):
        kind(path, migrate=False)

    with raw(path) as other:
        assert 1 == version_of(other)
    other.close()


def test_without_migrating_what_is_up_to_date_is_used(path):
    SQLiteStore(path).close()

    store = SQLiteStore(path, migrate=False)

    completed(store)
    store.close()


def test_a_migration_that_fails_leaves_nothing(path):
    connection = raw(path)
    broken = migrations_of(PACKAGE)[0]._replace(
        sql="CREATE TABLE keyonce_records (a);\nCREATE TABLE keyonce_records (b);\n"
    )

    with pytest.raises(sqlite3.OperationalError):
        migrate(connection, (broken,), 0.0, str(path))

    assert [] == connection.execute("SELECT name FROM sqlite_master").fetchall()
    connection.close()
    SQLiteStore(path).close()


def test_processes_that_migrate_at_once_do_it_once(path):
    old_file(path)
    program = """
        hear()
        store = SQLiteStore(sys.argv[1])
        say(record_in(store).status.word, len(store.audits()))
        store.close()
    """
    with (
        started(program, path) as one,
        started(program, path) as two,
        started(program, path) as three,
    ):
        for process in (one, two, three):
            tell(process)

        assert ["unknown 0"] * 3 == [said(process) for process in (one, two, three)]


def test_a_database_of_somebody_else_is_shared(path):
    with raw(path) as theirs:
        theirs.execute("CREATE TABLE records (a)")
        theirs.execute("INSERT INTO records VALUES (1)")
        theirs.execute("PRAGMA user_version = 77")
    theirs.close()

    store = SQLiteStore(path)
    completed(store)
    store.close()

    with raw(path) as theirs:
        assert [(1,)] == theirs.execute("SELECT a FROM records").fetchall()
        assert (77,) == theirs.execute("PRAGMA user_version").fetchone()
    theirs.close()


def test_a_closed_store_does_not_come_back(path):
    store = SQLiteStore(path)
    store.claim(claim_of())
    store.close()

    for call in (lambda: store.find(ORDER), lambda: store.renew(ORDER, FIRST)):
        with pytest.raises(StoreUnavailable, match="closed"):
            call()
