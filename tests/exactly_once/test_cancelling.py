# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A task is cancelled at each of its awaits in turn: all of its work, or nothing."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from functools import partial

import pytest

from keyonce.core.model import Identity
from keyonce.core.states import Status
from tests.exactly_once.shops import (
    FORMS,
    KINDS,
    ON_MARIADB,
    ON_POSTGRES,
    AsyncShop,
    ask,
    orders,
)

MOST = 400
WITHIN = 60.0
WHENEVER = {(0, False), (1, False), (1, True)}  # before, in and after the commit
SERVED = [
    pytest.param(name, marks=pytest.mark.servers)
    for name, kind in KINDS.items()
    if kind in (*ON_POSTGRES, *ON_MARIADB) and issubclass(kind, AsyncShop)
]


class CancelledAt:
    """Awaits *work*, and cancels the task at its *nth* await that has to wait."""

    def __init__(self, work, nth):
        self._work, self._nth = work, nth
        self.met = 0

    def __await__(self):
        inner = self._work.__await__()
        step = partial(inner.send, None)
        while True:
            try:
                waits_for = step()
            except StopIteration as end:
                return end.value
            self.met += 1
            task = asyncio.current_task()
            if self.met == self._nth and task is not None:
                task.cancel()
            try:
                step = partial(inner.send, (yield waits_for))
            except BaseException as error:  # noqa: BLE001 - the work's to hear
                step = partial(inner.throw, error)


def kept(shop):
    """Let *shop* use one connection for all, until that is closed by its driver."""
    fresh, opened = shop.connect, {}

    @asynccontextmanager
    async def connect():
        if "block" not in opened:
            opened["block"] = fresh()
            opened["connection"] = await opened["block"].__aenter__()
        yield opened["connection"]

    async def drop():
        if "block" in opened:
            await opened.pop("block").__aexit__(None, None, None)
            opened.pop("connection", None)

    shop.connect = connect
    return opened, drop


def in_transaction(url):
    """Count the sessions of others that are in a transaction and do nothing."""
    if url.startswith("postgresql"):
        sql = (
            "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in%'"
            " AND pid <> pg_backend_pid() AND datname = current_database()"
        )
    else:
        sql = (
            "SELECT count(*) FROM information_schema.innodb_trx"
            " WHERE trx_mysql_thread_id <> connection_id() AND trx_rows_modified > 0"
        )
    return ask(url, sql)[0][0]


def gone_from(url, told):
    """See that nobody is in a transaction; a cut connection is undone by the way."""
    until = time.monotonic() + WITHIN
    while in_transaction(url):
        assert time.monotonic() < until, told
        time.sleep(0.15)


def status_of(shop, key):
    found = shop.runner.run(shop.guard.find(Identity("functions", "order", key)))
    return None if found is None else found.record.status


def settled(shop, key):
    """Wait for the end of a claim that was cancelled: it is let go by the way."""
    until = time.monotonic() + WITHIN
    while (status := status_of(shop, key)) is Status.IN_PROGRESS:
        assert time.monotonic() < until, "the key is stuck"
        time.sleep(0.05)
        shop.runner.run(asyncio.sleep(0))
    return status


@pytest.mark.parametrize(
    ("kind", "form"),
    [
        *(pytest.param(*each.values, FORMS[1], marks=each.marks) for each in SERVED),
        pytest.param("Asyncpg", FORMS[0], marks=pytest.mark.servers),
    ],
)
def test_all_of_it_or_nothing(shop, url, form):
    opened, drop = kept(shop)
    ended: set[tuple[int, bool]] = set()
    nth = 0
    for number in range(MOST):
        nth += 1
        key = f"o-{number}"
        points: list[str] = []
        work = CancelledAt(shop.placed(key, form, points.append), nth)

        async def whole(work=work):
            return await work

        try:
            answer = shop.runner.run(whole())
        except asyncio.CancelledError:
            answer = None
        status = settled(shop, key)
        effects = orders(url, key)
        told = (nth, points, status, effects)
        if "connection" in opened:
            gone_from(url, told)
        if answer is not None:
            assert ({"order": key}, 1) == (answer, effects), told
        assert effects == (status is Status.COMPLETED), told
        assert status in (None, Status.RELEASED, Status.COMPLETED), told
        ended.add((effects, "committed" in points))
        shop.runner.run(drop())
        assert {"order": key} == shop.runner.run(again(shop, key, form)), told
        assert 1 == orders(url, key), told
        if work.met < nth:  # all of it was done; how often it waits is never the same
            nth = 0
            if ended >= WHENEVER:
                break
    else:
        raise AssertionError(f"only {ended} after {MOST} orders")


async def again(shop, key, form):
    return await shop.placed(key, form)
