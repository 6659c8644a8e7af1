# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Claim and complete inside a transaction of the application's own."""

from __future__ import annotations

import threading
import time
from contextlib import closing, suppress

import pymysql
import pytest
from sqlalchemy import create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from keyonce.core.errors import ConfigurationError
from keyonce.core.guarantee import Guarantee
from keyonce.core.model import Note, StoredResult
from keyonce.core.states import Status
from keyonce.stores.mysql import AsyncMySQLStore, MySQLStore
from keyonce.testing.store_scenarios.cases import (
    ANSWER,
    FIRST,
    ORDER,
    SECOND,
    claim_of,
    completed,
    completion_of,
    named,
    record_in,
)
from tests.servers.mariadb import MariaDB
from tests.stores.mysql.callers import DRIVERS, KINDS, SYNC, caller_of, code_in
from tests.stores.programs import said, started

LEVELS = ("READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE")
AFRESH = 0.2  # asked more often than each 0.1 s, the server repeats what it said
RAISED = (*DRIVERS, DBAPIError)


@pytest.fixture
def shop(server, used_url):
    """A table of the application, in the store's own database."""
    MySQLStore(used_url).close()
    server.ask(
        "CREATE TABLE IF NOT EXISTS shop (id INT PRIMARY KEY, v INT) ENGINE = InnoDB",
        "used",
    )
    server.ask("DELETE FROM shop", "used")

    def sold():
        return sorted(id_ for (id_,) in server.ask("SELECT id FROM shop", "used"))

    return sold


@pytest.fixture
def store(used_url):
    store = MySQLStore(used_url, purge_every=None)
    yield store
    store.close()


@pytest.fixture
def callers(server, shop, store):
    """Makes applications and ends them."""
    made = []

    def make(kind, **options):
        made.append(caller_of(server, kind, **options))
        return made[-1]

    yield make
    for each in made:
        with suppress(*RAISED):
            each.roll_back()
        each.close()


def set_level(caller, level, *, snapshots=False):
    caller.ask(f"SET SESSION TRANSACTION ISOLATION LEVEL {level}")
    caller.ask(
        f"SET SESSION innodb_snapshot_isolation = {'ON' if snapshots else 'OFF'}"
    )
    caller.commit()


@pytest.mark.parametrize("snapshots", [False, True], ids=["", "snapshot-isolation"])
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("kind", KINDS)
def test_renewals_during_the_transaction_do_not_make_complete_fail(
    callers, store, shop, kind, level, snapshots
):
    store.claim(claim_of())
    caller = callers(kind)
    set_level(caller, level, snapshots=snapshots)
    caller.ask("INSERT INTO shop VALUES (1, 0)")
    caller.ask("SELECT * FROM keyonce_records")

    before = [store.renew(ORDER, FIRST) for _ in range(2)]
    caller.ask("SELECT * FROM shop")
    done = caller.complete(completion_of())
    after = [store.renew(ORDER, FIRST) for _ in range(2)]
    duplicate = store.claim(claim_of(owner=SECOND)).record
    caller.commit()

    ends = [each.lease_until for each in (*before, *after)]
    assert sorted(ends) == ends
    assert (Status.COMPLETED, FIRST, ANSWER) == (done.status, done.owner, done.result)
    assert (Status.IN_PROGRESS, FIRST) == (duplicate.status, duplicate.owner)
    assert ends[-1] == duplicate.lease_until
    assert done == record_in(store)
    assert [1] == shop()


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("kind", KINDS)
def test_what_was_noted_before_the_transaction_is_no_hindrance(
    callers, store, shop, kind, level
):
    store.claim(claim_of())
    store.note(Note(ORDER, FIRST, b"halfway", "ch_1"))
    caller = callers(kind)
    set_level(caller, level)

    caller.ask("INSERT INTO shop VALUES (1, 0)")
    done = caller.complete(completion_of())
    caller.commit()

    assert (Status.COMPLETED, b"", "ch_1") == (done.status, done.steps, done.reference)
    assert done == record_in(store)
    assert store.note(Note(ORDER, FIRST, b"late")) is False


@pytest.mark.parametrize("kind", KINDS)
def test_whoever_claims_in_a_transaction_finds_what_was_noted(callers, store, kind):
    store.claim(claim_of())
    store.note(Note(ORDER, FIRST, b"halfway", "ch_1"))
    store.release(ORDER, FIRST, "safe", None)
    caller = callers(kind)

    claimed = caller.claim(claim_of(owner=SECOND)).record
    caller.commit()

    assert (SECOND, b"halfway", "ch_1") == (
        claimed.owner,
        claimed.steps,
        claimed.reference,
    )
    assert claimed == record_in(store)


@pytest.mark.parametrize("kind", KINDS)
def test_a_rollback_undoes_effect_and_outcome_together(callers, store, shop, kind):
    store.claim(claim_of())
    caller = callers(kind)
    caller.ask("INSERT INTO shop VALUES (1, 0)")
    caller.complete(completion_of())

    caller.roll_back()

    assert Status.IN_PROGRESS is record_in(store).status
    assert [] == shop()
    assert store.renew(ORDER, FIRST) is not None


@pytest.mark.parametrize("kind", KINDS)
def test_a_rollback_undoes_a_claim(callers, store, shop, kind):
    caller = callers(kind)
    claimed = caller.claim(claim_of())
    caller.ask("INSERT INTO shop VALUES (1, 0)")
    caller.complete(completion_of())
    unseen = store.find(ORDER)

    caller.roll_back()

    assert (FIRST, 1) == (claimed.record.owner, claimed.record.executions)
    assert unseen is store.find(ORDER) is None
    assert [] == shop()


@pytest.mark.parametrize("snapshots", [False, True], ids=["", "snapshot-isolation"])
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("kind", KINDS)
def test_claim_effect_and_outcome_commit_together(
    callers, store, shop, kind, level, snapshots
):
    caller = callers(kind)
    set_level(caller, level, snapshots=snapshots)

    claimed = caller.claim(claim_of())
    caller.ask("INSERT INTO shop VALUES (1, 0)")
    done = caller.complete(completion_of())
    caller.commit()
    replay = caller.claim(claim_of(owner=SECOND)).record
    caller.roll_back()

    assert FIRST == claimed.record.owner
    assert Status.COMPLETED is done.status
    assert done == replay == record_in(store)
    assert [1] == shop()


@pytest.mark.parametrize("kind", KINDS)
def test_a_duplicate_waits_for_so_long_and_keeps_its_transaction(callers, shop, kind):
    owner, duplicate = callers("pymysql"), callers(kind)
    owner.claim(claim_of())
    duplicate.ask("INSERT INTO shop VALUES (2, 0)")
    patience = duplicate.ask("SELECT @@SESSION.innodb_lock_wait_timeout")
    began = time.monotonic()

    refused = duplicate.claim(claim_of(owner=SECOND), lock_timeout=1)

    assert refused is None
    assert 0.5 < time.monotonic() - began < 20
    assert patience == duplicate.ask("SELECT @@SESSION.innodb_lock_wait_timeout")
    duplicate.ask("INSERT INTO shop VALUES (3, 0)")
    duplicate.commit()
    assert [2, 3] == shop()


@pytest.mark.parametrize("kind", KINDS)
def test_a_duplicate_that_waits_gets_the_outcome(callers, kind):
    owner, duplicate = callers("pymysql"), callers(kind)
    owner.claim(claim_of())
    owner.complete(completion_of())
    ending = threading.Timer(0.3, owner.commit)
    ending.start()

    replay = duplicate.claim(claim_of(owner=SECOND), lock_timeout=30).record

    ending.join()
    assert (Status.COMPLETED, FIRST, ANSWER) == (
        replay.status,
        replay.owner,
        replay.result,
    )


@pytest.mark.parametrize("kind", ["session", "asyncmy"])
def test_a_duplicate_of_what_is_rolled_back_gets_the_key(callers, kind):
    owner, duplicate = callers("pymysql"), callers(kind)
    owner.claim(claim_of())
    ending = threading.Timer(0.3, owner.roll_back)
    ending.start()

    claimed = duplicate.claim(claim_of(owner=SECOND), lock_timeout=30).record

    ending.join()
    assert (SECOND, 1) == (claimed.owner, claimed.executions)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("kind", ["pymysql", "async connection"])
def test_what_was_released_or_expired_is_claimed_inside(callers, store, kind, level):
    store.claim(claim_of(named("released")))
    store.release(named("released"), FIRST, "safe", None)
    completed(store, named("expired"), retention_for=-1.0)
    caller = callers(kind)
    set_level(caller, level)

    again = caller.claim(claim_of(named("released"), SECOND)).record
    anew = caller.claim(claim_of(named("expired"), SECOND)).record
    caller.commit()

    assert (SECOND, 2) == (again.owner, again.executions)
    assert (SECOND, 1) == (anew.owner, anew.executions)
    assert again == record_in(store, named("released"))


LONG_AGO = (
    "UPDATE keyonce_records SET lease_until = lease_until - 3600000000, "
    "claimed_at = claimed_at - 3600000000"
)


@pytest.mark.parametrize(
    ("guarantee", "status"),
    [
        (Guarantee.AT_LEAST_ONCE, Status.IN_PROGRESS),
        (Guarantee.AT_MOST_ONCE, Status.UNKNOWN),
    ],
)
@pytest.mark.parametrize("level", LEVELS)
def test_a_lease_that_ended_is_taken_over_inside(
    server, callers, store, level, guarantee, status
):
    store.claim(claim_of(guarantee=guarantee))
    server.ask(LONG_AGO, "used")
    seen = record_in(store).lease_until
    caller = callers("session")
    set_level(caller, level)

    command = claim_of(owner=SECOND, guarantee=guarantee, witnessed=seen)
    ended = caller.claim(command).record
    caller.commit()

    assert status is ended.status
    assert ended == record_in(store)
    assert (status is Status.UNKNOWN) is (store.renew(ORDER, FIRST) is not None)


@pytest.mark.parametrize("level", LEVELS)
def test_a_lease_that_was_renewed_meanwhile_is_not_taken_over_inside(
    server, callers, store, level
):
    store.claim(claim_of(guarantee=Guarantee.AT_LEAST_ONCE))
    server.ask(LONG_AGO, "used")
    seen = record_in(store).lease_until
    caller = callers("pymysql")
    set_level(caller, level)
    caller.ask("SELECT * FROM shop")  # opens a snapshot, in which nothing is renewed
    renewed = store.renew(ORDER, FIRST)

    met = caller.claim(
        claim_of(owner=SECOND, guarantee=Guarantee.AT_LEAST_ONCE, witnessed=seen)
    ).record
    caller.commit()

    assert FIRST == met.owner == record_in(store).owner
    assert renewed == record_in(store)


@pytest.mark.parametrize("kind", KINDS)
def test_who_lost_the_key_is_told_and_writes_nothing(callers, store, kind):
    store.claim(claim_of())
    store.release(ORDER, FIRST, "safe", None)
    store.claim(claim_of(owner=SECOND))
    caller = callers(kind)

    lost = caller.complete(completion_of())
    gone = caller.complete(completion_of(named("gone")))
    caller.commit()

    assert (Status.IN_PROGRESS, SECOND) == (lost.status, lost.owner)
    assert gone is None
    assert SECOND == record_in(store).owner


@pytest.mark.parametrize("kind", ["connection", "asyncmy"])
def test_a_body_over_the_packet_counts_as_done_inside(callers, store, kind):
    size = store.traits.largest_result + 1024 * 1024
    result = StoredResult(200, body=bytes(size), size=size)
    store.claim(claim_of())
    caller = callers(kind)

    done = caller.complete(completion_of(result=result))
    caller.commit()

    assert StoredResult(200, kept=False, size=size) == done.result
    assert done == record_in(store)


PROGRAMS = {
    "pymysql": """
        import pymysql
        from keyonce.stores.mysql import MySQLStore
        store = MySQLStore(sys.argv[1])
        connection = pymysql.connect(host="127.0.0.1", port=int(sys.argv[2]),
                                     user="root", database="used", ssl_disabled=True)
        connection.cursor().execute("INSERT INTO shop VALUES (1, 0)")
        say(store.joined(connection).complete(completion_of()).status.word)
        hear()
    """,
    "session": """
        from sqlalchemy import create_engine, text
        from sqlalchemy.orm import Session
        from keyonce.stores.mysql import MySQLStore
        store = MySQLStore(sys.argv[1])
        url = sys.argv[1].replace("mysql:", "mysql+pymysql:")
        with Session(create_engine(url)) as session:
            session.execute(text("INSERT INTO shop VALUES (1, 0)"))
            say(store.joined(session).complete(completion_of()).status.word)
            hear()
    """,
    "async session": """
        import asyncio
        from sqlalchemy import text
        from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
        from keyonce.stores.mysql import AsyncMySQLStore
        store = AsyncMySQLStore(sys.argv[1])
        url = sys.argv[1].replace("mysql:", "mysql+asyncmy:")
        async def main():
            async with AsyncSession(create_async_engine(url)) as session:
                await session.execute(text("INSERT INTO shop VALUES (1, 0)"))
                done = await store.joined(session).complete(completion_of())
                say(done.status.word)
                hear()
        asyncio.run(main())
    """,
}


@pytest.mark.parametrize("kind", PROGRAMS)
def test_a_process_killed_before_its_commit_leaves_neither(
    server, shop, store, used_url, kind
):
    store.claim(claim_of())
    with started(PROGRAMS[kind], used_url, server.port) as process:
        assert "completed" == said(process)
        process.kill()
        process.wait(timeout=30)

    deadline = time.monotonic() + 30
    while server.ask("SELECT 1 FROM information_schema.innodb_trx"):
        assert time.monotonic() < deadline
        time.sleep(AFRESH)
    assert [] == shop()
    assert (Status.IN_PROGRESS, FIRST) == (
        record_in(store).status,
        record_in(store).owner,
    )


@pytest.mark.parametrize("verb", ["complete", "claim"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_deadlock_is_the_callers_to_see(server, callers, store, shop, kind, verb):
    """1213: the whole transaction is gone (F-39)."""
    store.claim(claim_of())
    server.ask("INSERT INTO shop VALUES (1, 0)", "used")
    caller = callers(kind)
    caller.ask("UPDATE shop SET v = 1 WHERE id = 1")
    other = server.locking("used", "SELECT 1 FROM keyonce_records FOR UPDATE")
    with closing(other), other.cursor() as cursor:
        rows = ", ".join(f"({n}, 0)" for n in range(100, 400))
        cursor.execute(f"INSERT INTO shop VALUES {rows}")  # whose writes are more wins
        waiting = threading.Thread(
            target=cursor.execute, args=("UPDATE shop SET v = 2 WHERE id = 1",)
        )
        waiting.start()
        until_somebody_waits(server)

        with pytest.raises(RAISED) as raised:
            if verb == "complete":
                caller.complete(completion_of())
            else:
                caller.claim(claim_of(owner=SECOND), lock_timeout=30)
        waiting.join()
        other.commit()
    caller.roll_back()

    assert 1213 == code_in(raised.value)
    assert [(50,)] == caller.ask("SELECT @@SESSION.innodb_lock_wait_timeout")
    assert ((2,),) == server.ask("SELECT v FROM shop WHERE id = 1", "used")
    assert Status.IN_PROGRESS is record_in(store).status


def until_somebody_waits(server):
    deadline = time.monotonic() + 30
    while not server.ask("SELECT 1 FROM information_schema.innodb_lock_waits"):
        assert time.monotonic() < deadline
        time.sleep(AFRESH)


@pytest.mark.parametrize("kind", KINDS)
def test_a_record_that_changed_since_the_snapshot_is_the_callers_to_see(
    callers, store, shop, kind
):
    """1020: the key was lost, and the whole transaction is gone."""
    store.claim(claim_of())
    caller = callers(kind)
    set_level(caller, "REPEATABLE READ", snapshots=True)
    caller.ask("INSERT INTO shop VALUES (1, 0)")
    caller.ask("SELECT * FROM shop")
    store.release(ORDER, FIRST, "safe", None)
    store.claim(claim_of(owner=SECOND))

    with pytest.raises(RAISED) as raised:
        caller.complete(completion_of())
    caller.commit()

    assert 1020 == code_in(raised.value)
    assert SECOND == record_in(store).owner
    assert [] == shop()


@pytest.mark.parametrize("kind", KINDS)
def test_a_lock_held_for_too_long_is_the_callers_to_see(
    server, callers, store, shop, kind
):
    """1205: the statement alone is undone (F-40), and may be tried again."""
    store.claim(claim_of())
    caller = callers(kind)
    caller.ask("SET SESSION innodb_lock_wait_timeout = 1")
    caller.ask("INSERT INTO shop VALUES (1, 0)")
    other = server.locking("used", "SELECT 1 FROM keyonce_records FOR UPDATE")

    with pytest.raises(RAISED) as raised:
        caller.complete(completion_of())
    other.rollback()
    other.close()
    done = caller.complete(completion_of())
    caller.commit()

    assert 1205 == code_in(raised.value)
    assert done == record_in(store)
    assert [1] == shop()


@pytest.fixture(scope="module")
def rash(tmp_path_factory):
    """A server where a lock wait ends the whole transaction."""
    server = MariaDB(tmp_path_factory.mktemp("rash"), "--innodb-rollback-on-timeout=ON")
    server.start()
    yield server
    server.stop()


@pytest.mark.parametrize("kind", KINDS)
def test_where_a_lock_wait_ends_the_transaction_the_caller_sees_it(rash, kind):
    rash.database("used")
    owner, caller = caller_of(rash, "pymysql"), caller_of(rash, kind)
    rash.ask("CREATE TABLE shop (id INT PRIMARY KEY) ENGINE = InnoDB", "used")
    owner.claim(claim_of())
    caller.ask("INSERT INTO shop VALUES (1)")

    with pytest.raises(RAISED) as raised:
        caller.claim(claim_of(owner=SECOND), lock_timeout=1)
    caller.commit()

    assert 1205 == code_in(raised.value)
    assert () == rash.ask("SELECT * FROM shop", "used")
    owner.roll_back()
    owner.close()
    caller.close()


def test_a_transaction_begun_by_name_is_joined(server, store, shop):
    store.claim(claim_of())
    with closing(server.connect("used", autocommit=True)) as connection:
        connection.begin()
        connection.cursor().execute("INSERT INTO shop VALUES (1, 0)")
        store.joined(connection).complete(completion_of())
        connection.rollback()

        assert Status.IN_PROGRESS is record_in(store).status
        with pytest.raises(ConfigurationError, match="No transaction is open"):
            store.joined(connection).complete(completion_of())
        with pytest.raises(ConfigurationError, match="No transaction is open"):
            store.joined(connection).claim(claim_of(named("x")), lock_timeout=1)

    assert store.find(named("x")) is None
    assert Status.IN_PROGRESS is record_in(store).status


@pytest.mark.parametrize("kind", KINDS)
def test_a_connection_that_commits_by_itself_is_refused(callers, store, kind):
    store.claim(claim_of())
    caller = callers(kind)
    caller.ask("SET SESSION autocommit = 1")

    with pytest.raises(ConfigurationError, match="No transaction is open"):
        caller.complete(completion_of())

    assert Status.IN_PROGRESS is record_in(store).status


@pytest.mark.parametrize("kind", KINDS)
def test_another_database_is_refused(server, callers, store, kind):
    other = MySQLStore(server.database("other"))
    other.claim(claim_of())
    caller = callers(kind, database="other")
    caller.ask("SELECT 1")

    with pytest.raises(ConfigurationError, match=r"'other'.*the store's is 'used'"):
        caller.complete(completion_of())
    with pytest.raises(ConfigurationError, match="would not commit together"):
        caller.claim(claim_of(named("x")), lock_timeout=1)

    assert Status.IN_PROGRESS is record_in(other).status
    assert other.find(named("x")) is None
    other.close()


def test_another_server_is_refused(server, own_server, store):
    MySQLStore(own_server.database("used")).close()
    with closing(own_server.connect("used", autocommit=False)) as connection:
        with pytest.raises(ConfigurationError, match=str(own_server.port)):
            store.joined(connection).claim(claim_of(), lock_timeout=1)


def test_a_mode_in_which_quoting_is_not_safe_is_refused(server, store, shop):
    with closing(
        server.connect("used", autocommit=False, sql_mode="NO_BACKSLASH_ESCAPES")
    ) as connection:
        with pytest.raises(ConfigurationError, match="Take that mode away"):
            store.joined(connection).claim(claim_of(), lock_timeout=1)
    with closing(server.connect("used", charset="gbk")) as connection:
        with pytest.raises(ConfigurationError, match="charset='utf8mb4'"):
            store.joined(connection)


def test_what_is_no_connection_of_its_kind_is_refused(server, used_url, store):
    plain = create_engine(used_url.replace("mysql:", "mysql+pymysql:"))
    looping = create_async_engine(used_url.replace("mysql:", "mysql+asyncmy:"))
    other = create_engine("sqlite://")
    async_store = AsyncMySQLStore(used_url)
    with closing(server.connect()) as pymysqls:
        for given, mend in [
            (object(), "a connection of PyMySQL"),
            (plain, "Connection or a Session"),
            (looping, "AsyncMySQLStore joins the async ones"),
            (AsyncSession(looping), "AsyncMySQLStore joins the async ones"),
            (Session(other), r"mysql\+pymysql"),
        ]:
            with pytest.raises(ConfigurationError, match=mend):
                store.joined(given)
        for given, mend in [
            (pymysqls, "a connection of asyncmy"),
            (looping, "AsyncConnection or an AsyncSession"),
            (Session(plain), "MySQLStore joins the sync ones"),
        ]:
            with pytest.raises(ConfigurationError, match=mend):
                async_store.joined(given)
    async_store.blocking().close()


def test_the_session_of_this_thread_is_joined(used_url, store, shop):
    engine = create_engine(used_url.replace("mysql:", "mysql+pymysql:"))
    session = scoped_session(sessionmaker(engine))
    store.claim(claim_of())

    done = store.joined(session).complete(completion_of())
    before = record_in(store).status
    session.commit()
    session.remove()
    engine.dispose()

    assert Status.IN_PROGRESS is before
    assert done == record_in(store)


def test_a_cursor_of_the_callers_taste_does_not_matter(server, store, shop):
    connection = server.connect(
        "used", autocommit=False, cursorclass=pymysql.cursors.SSDictCursor
    )
    store.claim(claim_of())

    with closing(connection):
        done = store.joined(connection).complete(completion_of())
        connection.commit()

    assert done == record_in(store)


def test_exactly_once_is_offered(store):
    assert Guarantee.EXACTLY_ONCE in store.traits.guarantees
    assert set(SYNC) < set(KINDS)
