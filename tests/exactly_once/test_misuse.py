# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What cannot be kept is refused before anything is committed; conflicts are run anew."""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager, suppress
from datetime import timedelta

import pytest

from keyonce.core.errors import (
    ConfigurationError,
    LeaseLost,
    NotCommitted,
    OutcomeUnknown,
    ResultNotEncodable,
    SafeToRetry,
    StepsChanged,
)
from keyonce.core.guarantee import Guarantee
from keyonce.core.model import Identity
from keyonce.core.policy import Policy
from keyonce.core.states import Status
from keyonce.engine.steps import StepRule
from keyonce.engine.sync import Guard
from keyonce.engine.transaction import Conflict
from keyonce.engine.work import current_work
from keyonce.stores.memory import MemoryStore
from keyonce.stores.sqlite import SQLiteStore

EXACT = Policy(guarantee=Guarantee.EXACTLY_ONCE)
EFFECT = "INSERT INTO orders (name) VALUES ('o-1')"
ORDER = Identity("functions", "order", "o-1")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "shop.db"


@pytest.fixture
def store(path):
    store = SQLiteStore(path, purge_every=None)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE orders (name TEXT)")
    yield store
    store.close()


@pytest.fixture
def guard(store):
    guard = Guard(store, store_timeout=timedelta(seconds=0.5))
    yield guard
    guard.close()


@pytest.fixture
def connect(path):
    return lambda: closing(sqlite3.connect(path, timeout=0.05))


def orders(path):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT count(*) FROM orders").fetchone()[0]


def ordered(guard, function, **settings):
    """Call *function* once, as the order o-1."""
    settings = {"policy": EXACT, "fingerprint": lambda: "same", **settings}
    return guard.once("order", key=lambda: "o-1", **settings)(function)()


def test_a_store_without_transactions_is_refused_when_the_function_is_guarded():
    guard = Guard(MemoryStore())

    with pytest.raises(ConfigurationError, match="'memory' cannot join"):
        guard.once("order", key=lambda: "o-1", policy=EXACT)


def test_a_connection_without_the_guarantee_is_refused(guard, connect):
    with pytest.raises(ConfigurationError, match="at-most-once"):
        guard.once("order", key=lambda: "o-1", connection=connect)


def test_another_database_is_refused_before_the_commit(guard, path, tmp_path):
    other = tmp_path / "other.db"

    def place(connection):
        connection.execute("CREATE TABLE orders (name TEXT)")
        connection.execute(EFFECT)

    with pytest.raises(ConfigurationError, match=r"other\.db"):
        ordered(guard, place, connection=lambda: closing(sqlite3.connect(other)))

    with closing(sqlite3.connect(other)) as connection:
        assert [] == connection.execute("SELECT * FROM sqlite_master").fetchall()
    assert Status.RELEASED is guard.find(ORDER).record.status


def test_no_outcome_is_an_error_before_the_commit(guard, connect, path):
    def place():
        with connect() as connection, current_work().transaction(connection):
            connection.execute(EFFECT)

    with pytest.raises(NotCommitted, match="without an outcome"):
        ordered(guard, place)

    assert 0 == orders(path)
    assert Status.RELEASED is guard.find(ORDER).record.status


def test_work_without_any_transaction_is_an_error(guard, path):
    with pytest.raises(NotCommitted, match="'order' ended"):
        ordered(guard, lambda: "done")

    assert Status.RELEASED is guard.find(ORDER).record.status


def test_a_step_inside_a_transaction_is_refused(guard, connect):
    def place(_connection):
        current_work().step("charge", lambda: 1)

    with pytest.raises(ConfigurationError, match="'charge' was taken inside"):
        ordered(guard, place, connection=connect)


def committed(connect, after):
    """Make work that commits, and then does *after*."""

    def place():
        work = current_work()
        with connect() as connection, work.transaction(connection):
            connection.execute(EFFECT)
            work.complete("placed")
        after(work)

    return place


def test_a_step_after_the_commit_is_refused_before_it_runs(guard, connect, path):
    sent = []
    place = committed(connect, lambda work: work.step("mail", lambda: sent.append(1)))

    with pytest.raises(ConfigurationError, match="'mail' was taken after the commit"):
        ordered(guard, place)

    assert "placed" == ordered(guard, place)
    assert [] == sent
    assert 1 == orders(path)


def test_a_reference_after_the_commit_is_refused(guard, connect):
    place = committed(connect, lambda work: work.reference("ch_1"))

    with pytest.raises(ConfigurationError, match=r"before work\.complete"):
        ordered(guard, place)


def charging(then):
    """Make a step that is not safe and has no known end, and do *then* after it."""
    charges = []

    def charge():
        charges.append(1)
        raise TimeoutError

    def place():
        with suppress(TimeoutError):
            current_work().step(StepRule("charge", safe=False), charge)
        then()

    return charges, place


@pytest.mark.parametrize("then", ["nothing", "a conflict"])
def test_a_step_of_unclear_end_is_not_taken_again(guard, connect, then):
    def busy():
        with connect() as connection, current_work().transaction(connection):
            raise Conflict

    charges, place = charging(busy if then == "a conflict" else lambda: None)
    raised = SafeToRetry if then == "a conflict" else NotCommitted

    with pytest.raises(raised):
        ordered(guard, place)
    for _ in range(2):
        with pytest.raises(OutcomeUnknown):
            ordered(guard, place)

    assert [1] == charges


def test_no_outcome_is_committed_over_a_step_of_unclear_end(guard, connect, path):
    charges, place = charging(committed(connect, lambda _: None))

    for _ in range(2):
        with pytest.raises(OutcomeUnknown):
            ordered(guard, place)

    assert [1] == charges
    assert 0 == orders(path)


def test_no_outcome_is_committed_without_the_steps_of_before(guard, connect, path):
    runs = []

    def place():
        runs.append(1)
        if len(runs) == 1:
            current_work().step("hold", lambda: 1)
            raise SafeToRetry
        committed(connect, lambda _: None)()

    with pytest.raises(SafeToRetry):
        ordered(guard, place)
    with pytest.raises(StepsChanged, match="hold"):
        ordered(guard, place)

    assert 0 == orders(path)


def test_a_transaction_inside_a_step_is_refused(guard, connect):
    def charge():
        with connect() as connection, current_work().transaction(connection):
            pass

    with pytest.raises(ConfigurationError, match="inside step 'charge'"):
        ordered(guard, lambda: current_work().step("charge", charge))


def test_a_second_transaction_is_refused(guard, connect, path):
    def place():
        for _ in range(2):
            with connect() as connection, current_work().transaction(connection):
                connection.execute(EFFECT)
                current_work().complete(1)

    with pytest.raises(ConfigurationError, match="a transaction already"):
        ordered(guard, place)

    assert 1 == ordered(guard, place)
    assert 1 == orders(path)


def test_an_outcome_outside_a_transaction_is_refused(guard):
    with pytest.raises(ConfigurationError, match="No transaction is open"):
        ordered(guard, lambda: current_work().complete(1))


def test_a_result_that_cannot_be_kept_is_rolled_back(guard, connect, path):
    def place(connection):
        connection.execute(EFFECT)
        return object()

    with pytest.raises(ResultNotEncodable):
        ordered(guard, place, connection=connect)

    assert 0 == orders(path)


def test_a_connection_in_a_transaction_is_not_taken_for_a_fresh_one(guard, path):
    @contextmanager
    def begun():
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("BEGIN")
            yield connection

    with pytest.raises(ConfigurationError, match="has a transaction open already"):
        ordered(guard, lambda _: 1, connection=begun)


def test_a_reference_is_part_of_the_transaction(guard, connect):
    def place(connection):
        current_work().reference("order 7")
        connection.execute(EFFECT)
        return 1

    ordered(guard, place, connection=connect)

    assert "order 7" == guard.find(ORDER).record.reference


def test_whoever_lost_the_key_commits_nothing(guard, store, connect, path):
    def place(connection):
        connection.execute(EFFECT)
        return 1

    def slow():
        lease = current_work()._lease
        store.release(ORDER, lease.owner, "test", None)
        with connect() as connection, current_work().transaction(connection):
            place(connection)
            current_work().complete(1)

    with pytest.raises(LeaseLost):
        ordered(guard, slow)

    assert 0 == orders(path)


def test_a_busy_file_is_tried_three_times_and_then_left(guard, connect, path):
    tries = []

    def counted():
        tries.append(1)
        return connect()

    with closing(sqlite3.connect(path, isolation_level=None)) as holder:

        def hold():
            holder.execute("BEGIN IMMEDIATE")
            return "o-1"

        def place(_connection):
            raise AssertionError

        slow = guard.once("order", key=lambda: "o-1", policy=EXACT, connection=counted)
        lease = guard.begin  # the key is claimed before the file is held

        def begun(*args, **kwargs):
            decision = lease(*args, **kwargs)
            hold()
            return decision

        guard.begin = begun
        with pytest.raises(SafeToRetry):
            try:
                slow(place)()
            finally:
                guard.begin = lease
                holder.execute("ROLLBACK")

    assert 3 == len(tries)


class Torn(sqlite3.Connection):
    """Loses the answer to a commit, before or after it is carried out."""

    when = "after"

    def execute(self, sql, *values):
        if sql == "COMMIT":
            if self.when == "after":
                super().execute(sql)
            raise sqlite3.OperationalError("disk I/O error")
        return super().execute(sql, *values)


@pytest.mark.parametrize(("when", "effects"), [("after", 1), ("before", 0)])
def test_a_commit_whose_answer_is_lost_is_read_back(guard, path, when, effects):
    def torn():
        connection = sqlite3.connect(path, factory=Torn)
        connection.when = when
        return closing(connection)

    def place(connection):
        connection.execute(EFFECT)
        return 1

    if effects:
        assert 1 == ordered(guard, place, connection=torn)
    else:
        with pytest.raises(sqlite3.OperationalError):
            ordered(guard, place, connection=torn)

    assert effects == orders(path)
    whole = lambda: closing(sqlite3.connect(path))  # noqa: E731
    assert 1 == ordered(guard, place, connection=whole)
    assert 1 == orders(path)
