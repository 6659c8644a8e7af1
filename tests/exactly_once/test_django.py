# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Django's connections: its blocks, its hooks, its settings, and what is refused."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import nullcontext

import django.db
import pytest
from django.core.handlers.base import BaseHandler
from django.db import connections, transaction
from django.http import HttpResponse
from django.test import RequestFactory
from django.utils.connection import ConnectionProxy

from keyonce.core.errors import (
    ConfigurationError,
    InProgress,
    NotCommitted,
    SafeToRetry,
)
from keyonce.core.model import Identity
from keyonce.core.states import Status
from keyonce.engine.aio import AsyncGuard
from keyonce.engine.aio_work import current_async_work
from keyonce.engine.work import current_work
from keyonce.stores.sqlite import AsyncSQLiteStore
from tests.exactly_once.django_project import connection_to, left
from tests.exactly_once.shops import EXACT, TABLE, ask, effect, rows

ORDER = Identity("functions", "order", "o-1")

KINDS = [
    "DjangoOnSqlite",
    pytest.param("DjangoOnPostgres", marks=pytest.mark.servers),
    pytest.param("DjangoOnMariaDB", marks=pytest.mark.servers),
]
everywhere = pytest.mark.parametrize("kind", KINDS)
on_sqlite = pytest.mark.parametrize("kind", KINDS[:1])


@pytest.fixture
def connection(shop, url):
    connection = connection_to(url)
    yield connection
    left(connection)


def write(connection, name="o-1"):
    with connection.cursor() as cursor:
        cursor.execute(effect(name))


def ordered(shop, function):
    """Call *function* once, as the order o-1."""
    return shop.guard.once("order", key=lambda: "o-1", policy=EXACT)(function)()


def status_of(shop):
    return shop.guard.find(ORDER).record.status


def place_in(connection):
    def place():
        with current_work().transaction(connection):
            write(connection)
            current_work().complete("placed")

    return place


@everywhere
def test_the_connection_of_a_project_is_taken_by_its_usual_name(shop, url):
    connection_to(url, "default")
    try:
        assert isinstance(django.db.connection, ConnectionProxy)

        assert "placed" == ordered(shop, place_in(django.db.connection))
        assert "placed" == ordered(shop, place_in(django.db.connection))
    finally:
        connections["default"].close()
        del connections["default"], connections.settings["default"]

    assert 1 == rows(url, "o-1")


@everywhere
def test_savepoints_inside_behave(shop, url, connection):
    def place():
        with current_work().transaction(connection):
            write(connection)
            try:
                with transaction.atomic(using=connection.alias):
                    write(connection, "undone")
                    raise LookupError
            except LookupError:
                pass
            with transaction.atomic(using=connection.alias):
                write(connection, "inside")
                current_work().complete("placed")

    assert "placed" == ordered(shop, place)

    assert [1, 0, 1] == [rows(url, name) for name in ("o-1", "undone", "inside")]


@everywhere
def test_a_block_of_ones_own_commits_both_at_its_end(shop, url, connection):
    def place():
        with transaction.atomic(using=connection.alias):
            place_in(connection)()
            assert connection.in_atomic_block
            assert 0 == rows(url, "o-1")

    assert "placed" == ordered(shop, place)
    assert 1 == rows(url, "o-1")


@everywhere
def test_what_waits_for_the_commit_is_called_after_it(shop, url, connection):
    told = []

    def place():
        with current_work().transaction(connection):
            write(connection)
            transaction.on_commit(
                lambda: told.append(rows(url, "o-1")), using=connection.alias
            )
            current_work().complete("placed")
            assert [] == told

    ordered(shop, place)
    ordered(shop, place)

    assert [1] == told


@everywhere
def test_what_waits_for_a_commit_that_does_not_come_is_not_called(shop, connection):
    told = []

    def place():
        with current_work().transaction(connection):
            transaction.on_commit(lambda: told.append(1), using=connection.alias)
            current_work().complete("placed")
            raise LookupError

    with pytest.raises(LookupError):
        ordered(shop, place)

    assert [] == told
    assert not connection.in_atomic_block


@everywhere
def test_what_raises_after_the_commit_is_heard_and_frees_nothing(shop, url, connection):
    def fail():
        raise LookupError("too late")

    def place():
        with current_work().transaction(connection):
            write(connection)
            transaction.on_commit(fail, using=connection.alias)
            current_work().complete("placed")

    with pytest.raises(LookupError, match="too late"):
        ordered(shop, place)

    assert "placed" == ordered(shop, place)
    assert 1 == rows(url, "o-1")


@everywhere
def test_a_block_that_django_rolls_back_in_silence_is_an_error(shop, url, connection):
    def place():
        with current_work().transaction(connection):
            write(connection)
            current_work().complete("placed")
            connection.set_rollback(True)

    with pytest.raises(NotCommitted, match="rolled the atomic block back"):
        ordered(shop, place)

    assert 0 == rows(url, "o-1")
    assert Status.RELEASED is status_of(shop)
    assert "placed" == ordered(shop, place_in(connection))


@everywhere
def test_a_connection_that_is_closed_inside_is_an_error(shop, url, connection):
    def place():
        with current_work().transaction(connection):
            write(connection)
            current_work().complete("placed")
            connection.close()

    with pytest.raises(NotCommitted, match="rolled the atomic block back"):
        ordered(shop, place)

    assert 0 == rows(url, "o-1")
    assert "placed" == ordered(shop, place_in(connection))


@everywhere
def test_an_outcome_after_an_error_of_the_database_is_refused(shop, url, connection):
    def place():
        with transaction.atomic(using=connection.alias):
            with current_work().transaction(connection):
                write(connection)
                try:
                    with transaction.atomic(using=connection.alias, savepoint=False):
                        raise LookupError
                except LookupError:
                    current_work().complete("placed")

    with pytest.raises(transaction.TransactionManagementError):
        ordered(shop, place)

    assert 0 == rows(url, "o-1")
    assert Status.RELEASED is status_of(shop)


@everywhere
def test_without_autocommit_the_commit_is_its_owners(shop, url, connection):
    def place():
        connection.set_autocommit(False)
        try:
            write(connection)
            with current_work().transaction(connection):
                current_work().complete("placed")
            assert 0 == rows(url, "o-1")
            connection.commit()
        finally:
            connection.set_autocommit(True)

    assert "placed" == ordered(shop, place)
    assert 1 == rows(url, "o-1")


def elsewhere(url, request, tmp_path):
    """Another database of the same kind."""
    if url.startswith("sqlite"):
        return f"sqlite:///{tmp_path}/other.db"
    if url.startswith("post"):
        server = request.getfixturevalue("postgres_server")
        return server.url(server.new_database())
    return request.getfixturevalue("mariadb_server").database("other")


@everywhere
def test_another_database_is_refused_before_the_commit(shop, url, request, tmp_path):
    other = elsewhere(url, request, tmp_path)
    ask(other, TABLE)
    connection = connection_to(other)

    with pytest.raises(ConfigurationError, match=r"same|would not commit together"):
        ordered(shop, place_in(connection))

    left(connection)
    assert 0 == rows(other, "o-1")
    assert Status.RELEASED is status_of(shop)


@pytest.mark.parametrize("kind", KINDS[1:])
def test_another_kind_of_database_is_refused(shop, tmp_path):
    connection = connection_to(f"sqlite:///{tmp_path}/other.db", "a file")
    try:
        with pytest.raises(
            ConfigurationError, match="Django's connection 'a file' leads to sqlite"
        ):
            ordered(shop, place_in(connection))
    finally:
        left(connection)
        del connections["a file"], connections.settings["a file"]


def when_free(call):
    """What *call* gives once no lease is in its way."""
    until = time.monotonic() + 60
    while True:
        try:
            return call()
        except InProgress:
            assert time.monotonic() < until
            time.sleep(0.05)


@on_sqlite
def test_a_view_in_a_transaction_of_its_request_is_refused(shop, url, connection):
    """Its owner commits when the view is over: after the guard has looked."""

    def view(_request):
        return HttpResponse(ordered(shop, place_in(connection)))

    connection.settings_dict["ATOMIC_REQUESTS"] = True
    handler, request = BaseHandler(), RequestFactory().get("/")
    inside = handler.make_view_atomic(view)
    outside = handler.make_view_atomic(
        transaction.non_atomic_requests(using=connection.alias)(view)
    )

    with pytest.raises(NotCommitted):
        inside(request)

    assert 0 == rows(url, "o-1")
    assert b"placed" == when_free(lambda: outside(request)).content
    assert 1 == rows(url, "o-1")


@everywhere
def test_connections_may_be_given_to_the_guard(shop, url, connection):
    once = shop.guard.once(
        "order",
        key=lambda: "o-1",
        policy=EXACT,
        connection=lambda: nullcontext(connection),
    )

    def place(given):
        write(given)
        return "placed"

    assert "placed" == once(place)() == once(place)()
    assert 1 == rows(url, "o-1")


@on_sqlite
@pytest.mark.parametrize("mode", ["IMMEDIATE", "DEFERRED"])
def test_a_mode_of_transactions_is_kept_to(shop, url, mode):
    options = {"OPTIONS": {"transaction_mode": mode}}
    connection = connection_to(url, f"{url} {mode}", **options)
    connection.ensure_connection()
    assert mode == connection.transaction_mode

    assert "placed" == ordered(shop, place_in(connection))

    left(connection)
    assert 1 == rows(url, "o-1")


@on_sqlite
def test_a_busy_file_frees_the_key(shop, url):
    impatient = connection_to(url, f"{url} impatient", OPTIONS={"timeout": 0.05})
    holder = connection_to(url)

    def place():
        with transaction.atomic(using=holder.alias):
            write(holder, "another")
            place_in(impatient)()

    with pytest.raises(SafeToRetry):
        ordered(shop, place)

    left(impatient)
    left(holder)
    assert not impatient.in_atomic_block
    assert "placed" == ordered(shop, place_in(impatient))
    left(impatient)
    assert (1, 0) == (rows(url, "o-1"), rows(url, "another"))


@on_sqlite
async def test_a_loop_is_no_place_for_djangos_connections(url, kind):
    store = AsyncSQLiteStore(url)
    guard = AsyncGuard(store)

    async def place():
        async with current_async_work().transaction(connection_to(url)):
            pass

    with pytest.raises(ConfigurationError, match=r"cannot join a django\.db"):
        await guard.once("order", key=lambda: "o-1", policy=EXACT)(place)()

    await guard.close()
    await store.close()


def test_nobody_imports_django_or_sqlalchemy_for_a_store():
    program = (
        "import sys\n"
        "import keyonce.stores.mysql, keyonce.stores.postgres, keyonce.stores.sqlite\n"
        "print({'django', 'sqlalchemy'} & sys.modules.keys())\n"
    )

    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert "set()\n" == told.stdout
