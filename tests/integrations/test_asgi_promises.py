# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What the ASGI gateway owes in the corners: losers, gone stores, broken hooks."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import Any, NamedTuple

import pytest

from keyonce.core.errors import RecordUnreadable, StoreUnavailable
from keyonce.core.model import Query, Settlement
from keyonce.core.policy import OnStoreDown, Policy
from keyonce.core.rollout import Rollout, Stage
from keyonce.http.operation import Rule
from keyonce.http.scope import by_header
from keyonce.integrations.asgi import IdempotencyMiddleware
from keyonce.integrations.spool import SpillSpace, Spool
from keyonce.stores.memory import AsyncMemoryStore
from keyonce.stores.sealed import AsyncSealed
from keyonce.stores.sqlite import AsyncSQLiteStore
from tests.stores.sealed.cases import RING

LARGE = 400 * 1024
SHORT = timedelta(seconds=0.3)


class Heard(NamedTuple):
    status: int
    headers: dict[bytes, bytes]
    body: bytes


async def ask(app: Any, body: bytes = b"{}", key: bytes = b"k-12345678") -> Heard:
    sent: list[Any] = []
    requests = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive():
        if requests:
            return requests.pop()
        return await asyncio.Event().wait()

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/pay",
        "raw_path": b"/pay",
        "query_string": b"",
        "headers": [(b"idempotency-key", key), (b"x-api-key", b"me")],
    }
    await app(scope, receive, send)
    head = sent[0]
    body = b"".join(message.get("body", b"") for message in sent[1:])
    return Heard(head["status"], dict(head["headers"]), body)


def answering(status=200, headers=(), body=b"ok", pieces=1, ran=None):
    async def app(_scope, receive, send):
        await receive()
        if ran is not None:
            ran.append(status)
        start = {"type": "http.response.start", "status": status, "headers": headers}
        await send(start)
        for left in reversed(range(pieces)):
            await send(
                {"type": "http.response.body", "body": body, "more_body": left > 0}
            )

    return app


def guarded(app, store=None, policy=None, **settings):
    return IdempotencyMiddleware(
        app,
        store=store or AsyncMemoryStore(),
        scope=by_header("X-Api-Key"),
        rules=[Rule("POST /**", policy or Policy())],
        **settings,
    )


class Waiting(AsyncMemoryStore):
    """A store whose verbs may wait, so that each is called by its name."""

    glance = None  # type: ignore[assignment]

    @property
    def traits(self):
        return replace(super().traits, immediate=False)


class Mute(Waiting):
    """A store that takes claims and then no end of them."""

    async def complete(self, command):
        raise StoreUnavailable("gone")

    async def release(self, identity, owner, reason, retention_for):
        raise StoreUnavailable("gone")

    async def abandon(self, identity, owner, reason):
        raise StoreUnavailable("gone")


async def test_a_late_owner_never_answers_with_another_requests_outcome(monkeypatch):
    store, gate, first = AsyncMemoryStore(), asyncio.Event(), [True]

    async def app(_scope, receive, send):
        body = (await receive())["body"]
        if first:
            first.clear()
            await gate.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"paid " + body})

    policy = Policy(lease=SHORT)
    paused, other = guarded(app, store, policy), guarded(app, store, policy)
    monkeypatch.setattr(paused.guard._heartbeat, "watch", lambda *_: None)
    late = asyncio.create_task(ask(paused, b'{"sum": 1}'))
    await asyncio.sleep(0.6)
    assert (await ask(other, b'{"sum": 1}')).status == 409
    [record] = await store.records(Query())
    await store.settle(Settlement(record.identity, "nothing happened", "ann"))
    winner = await ask(other, b'{"sum": 999}')

    gate.set()
    told = await late

    assert b'paid {"sum": 999}' == winner.body
    assert 500 == told.status
    assert b"outcome-unknown" in told.body
    await paused.close()
    await other.close()


class Torn(Waiting):
    """A store in which the record is torn while the work runs."""

    ends = 0

    async def complete(self, command):
        self.ends += 1
        raise RecordUnreadable("torn")

    async def find(self, identity):
        raise RecordUnreadable("torn")


async def test_an_end_that_meets_a_torn_record_is_told_to_be_unclear():
    store = Torn()
    ran: list[int] = []
    app = guarded(answering(ran=ran), store)

    told = await ask(app)
    await app.close()

    assert 500 == told.status
    assert b"outcome-unknown" in told.body
    assert ([200], 1) == (ran, store.ends)


async def test_a_late_owner_that_cannot_open_the_outcome_is_told_that_it_is_unclear():
    store = AsyncMemoryStore()
    other = guarded(answering(), AsyncSealed(store, RING))

    async def app(scope, receive, send):
        [record] = await store.records(Query())
        identity, owner = record.identity, record.owner
        await store.abandon(identity, owner, "lease-ended")
        await store.settle(Settlement(identity, "nothing happened", "ann"))
        assert 200 == (await ask(other)).status
        await answering()(scope, receive, send)

    paused = guarded(app, store)

    told = await ask(paused)

    assert 500 == told.status
    assert b"outcome-unknown" in told.body
    await paused.close()
    await other.close()


async def test_a_torn_record_is_honoured_outside_the_enforced_share(tmp_path):
    ran: list[int] = []
    store = AsyncSQLiteStore(tmp_path / "keys.db")
    await ask(guarded(answering(ran=ran), store))
    with sqlite3.connect(tmp_path / "keys.db") as file:
        file.execute("UPDATE keyonce_results SET result = x'00'")
    file.close()
    partly = Policy(mode=Rollout(Stage.ENFORCE, 0.0001))

    told = await ask(guarded(answering(ran=ran), store, partly))

    assert 500 == told.status
    assert [200] == ran
    await store.close()


async def test_a_store_that_is_gone_lets_nothing_run_outside_the_enforced_share():
    ran: list[int] = []

    class Gone(Mute):
        async def find(self, identity):
            raise StoreUnavailable("gone")

        async def claim(self, command):
            raise StoreUnavailable("gone")

    partly = Policy(mode=Rollout(Stage.ENFORCE, 0.0001))
    timeout = timedelta(seconds=0.1)

    told = await ask(guarded(answering(ran=ran), Gone(), partly, store_timeout=timeout))

    assert 503 == told.status
    assert [] == ran


class Hook(Exception):
    pass


async def test_a_hook_that_raises_leaves_no_lease_behind():
    async def app(_scope, _receive, _send):
        raise ValueError

    def reading(_error):
        raise Hook

    middleware = guarded(app, policy=Policy(lease=SHORT), read_failure=reading)

    with pytest.raises(Hook):
        await ask(middleware)

    told = await ask(middleware)
    assert (409, True) == (told.status, b"outcome-unknown" in told.body)


async def test_an_observer_that_raises_disturbs_nothing():
    class Broken:
        def notify(self, event, /):
            raise Hook

    told = await ask(guarded(answering(), observer=Broken()))

    assert (200, b"ok") == (told.status, told.body)


async def test_a_copy_that_cannot_be_read_is_an_outcome_without_its_body(monkeypatch):
    def unreadable(_self):
        raise OSError

    middleware = guarded(answering(body=b"x" * LARGE))
    monkeypatch.setattr(Spool, "read", unreadable)

    first = await ask(middleware)
    again = await ask(middleware)

    assert (200, LARGE) == (first.status, len(first.body))
    assert (409, True) == (again.status, b"response-not-kept" in again.body)


@pytest.mark.parametrize(
    ("app", "settings", "status"),
    [
        (answering(200), {}, 200),
        (answering(429), {}, 429),
        (answering(200, [(b"keyonce-outcome", b"unknown")]), {}, 500),
        (answering(502), {"behind_proxy": True}, 502),
        (answering(504), {"behind_proxy": True}, 504),
    ],
)
async def test_an_end_that_could_not_be_written_is_marked(app, settings, status):
    timeout = timedelta(seconds=0.05)
    middleware = guarded(app, Mute(), store_timeout=timeout, **settings)

    told = await ask(middleware)

    assert status == told.status
    assert b"unrecorded" == told.headers[b"idempotency-status"]
    await middleware.close()


async def test_an_app_that_fails_unprotected_is_marked():
    class Gone(Waiting):
        async def claim(self, command):
            raise StoreUnavailable("gone")

    async def app(_scope, _receive, _send):
        raise Hook

    heard = []

    async def keeping(scope, receive, send):
        async def kept(message):
            heard.append(message)
            await send(message)

        await middleware(scope, receive, kept)

    policy = Policy(on_store_down=OnStoreDown.PROCEED)
    middleware = guarded(app, Gone(), policy, store_timeout=timedelta(seconds=0.05))

    with pytest.raises(Hook):
        await ask(keeping)

    assert 500 == heard[0]["status"]
    assert (b"idempotency-status", b"unprotected") in tuple(heard[0]["headers"])


@pytest.mark.parametrize(("status", "promised"), [(200, True), (429, False)])
async def test_a_streamed_answer_names_its_expiry_only_if_it_is_kept(status, promised):
    app = answering(status, body=b"x" * (LARGE // 2), pieces=4)

    told = await ask(guarded(app))

    assert promised == (b"idempotency-expires" in told.headers)


async def test_a_large_replay_needs_no_room_aside():
    store = AsyncMemoryStore()
    await ask(guarded(answering(body=b"y" * LARGE), store))
    full = SpillSpace(most_bytes=1000)

    told = await ask(guarded(answering(), store, space=full))

    assert (200, LARGE) == (told.status, len(told.body))


async def test_a_store_opened_by_its_url_is_waited_for_as_long_as_the_store_timeout(
    tmp_path,
):
    path = tmp_path / "keys.db"
    app = guarded(answering(), f"sqlite:///{path}", store_timeout=SHORT)
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        began = time.monotonic()

        told = await ask(app)

    assert 503 == told.status
    assert time.monotonic() - began < 3  # by itself it waits for 5
    await app.close()


@pytest.mark.parametrize(("spread", "seconds"), [(0.0, b"1"), (0.99, b"2")])
async def test_each_caller_is_told_its_own_time_to_come_back(spread, seconds):
    store, gate = AsyncMemoryStore(), asyncio.Event()

    async def app(_scope, _receive, _send):
        await gate.wait()

    busy = guarded(app, store)
    busy.gateway.spread = lambda: spread
    first = asyncio.create_task(ask(busy))
    while not await store.records(Query()):
        await asyncio.sleep(0)

    refused = await ask(busy)

    assert (409, seconds) == (refused.status, refused.headers[b"retry-after"])
    gate.set()
    await first
    await busy.close()
