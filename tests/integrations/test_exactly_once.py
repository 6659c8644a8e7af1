# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Rules of exactly-once: what is refused, frameworks, and commits that are torn."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import asynccontextmanager, closing, contextmanager
from contextvars import ContextVar
from datetime import timedelta
from typing import Any

import flask
import httpx2
import pytest
from fastapi import BackgroundTasks, FastAPI

from keyonce import (
    ConfigurationError,
    Guarantee,
    Policy,
    Rule,
    StillUnknown,
    current_async_work,
    current_work,
    shared,
)
from keyonce.integrations import asgi, wsgi
from keyonce.stores.sqlite import AsyncSQLiteStore, SQLiteStore
from keyonce.testing.faults import (
    AsyncFaultyStore,
    Fault,
    FaultPlan,
    FaultyStore,
    Mishap,
)
from keyonce.testing.integration_contract import SCOPE, Lab
from keyonce.testing.integration_scenarios.asgi import AsgiCaller
from keyonce.testing.integration_scenarios.committing_app import (
    CommittingApp,
    Tables,
    committing_asgi,
    committing_wsgi,
)
from keyonce.testing.integration_scenarios.wsgi import WsgiCaller

EXACT = Policy(guarantee=Guarantee.EXACTLY_ONCE)
HEADERS = {"Idempotency-Key": "order-1"}
EFFECT = "INSERT INTO orders (name) VALUES ('o-1')"


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "shop.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE orders (name TEXT)")
    return path


@pytest.fixture
def connect(path):
    return lambda: closing(sqlite3.connect(path, timeout=20))


def orders(path):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT count(*) FROM orders").fetchone()[0]


def guarded(kind, store, rule, **settings):
    """Put the gateway of *kind* around nothing."""
    made = {"asgi": asgi, "wsgi": wsgi}[kind].IdempotencyMiddleware
    return made(None, store=store, scope=SCOPE, rules=[rule], **settings)


@pytest.fixture(params=["asgi", "wsgi"])
def kind(request):
    return request.param


@pytest.fixture
def store(kind, path):
    on_loop = AsyncSQLiteStore(path)
    yield on_loop if kind == "asgi" else on_loop.blocking()
    on_loop.blocking().close()


@pytest.mark.parametrize(
    "url", ["memory://", "redis://127.0.0.1:1", "dynamodb://keys?region=eu-west-1"]
)
def test_a_store_that_cannot_join_is_refused(kind, url):
    with pytest.raises(ConfigurationError, match=r"'POST /a'.* cannot join"):
        guarded(kind, url, Rule("POST /a", EXACT))


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        ({"reconcile": lambda _work: StillUnknown()}, "reconcile"),
        ({"on_store_down": "proceed"}, "on_store_down"),
    ],
)
def test_what_makes_no_sense_with_it_is_refused(kind, store, terms, said):
    rule = Rule("POST /a", Policy(guarantee=Guarantee.EXACTLY_ONCE, **terms))

    with pytest.raises(ConfigurationError, match=said):
        guarded(kind, store, rule)


@pytest.mark.parametrize("given", ["connection", "rebuild"])
def test_its_words_are_refused_under_another_guarantee(kind, store, given):
    with pytest.raises(ConfigurationError, match="at-most-once"):
        guarded(kind, store, Rule("POST /a", Policy(), **{given: print}))


@pytest.mark.parametrize("given", ["connection", "rebuild"])
def test_what_is_no_function_is_refused(kind, store, given):
    words: dict[str, Any] = {given: "shop.db"}

    with pytest.raises(ConfigurationError, match=f"{given} is a function"):
        guarded(kind, store, Rule("POST /a", EXACT, **words))


def test_threads_refuse_a_rebuild_that_is_a_coroutine(path):
    async def build(reference):
        return reference

    with closing(SQLiteStore(path)) as store:
        with pytest.raises(ConfigurationError, match="runs in threads"):
            guarded("wsgi", store, Rule("POST /a", EXACT, rebuild=build))


def test_a_gateway_of_a_proxy_refuses_it(path):
    store = AsyncSQLiteStore(path)

    with pytest.raises(ConfigurationError, match="out of a proxy's reach"):
        guarded("asgi", store, Rule("POST /a", EXACT), behind_proxy=True)

    store.blocking().close()


class TestFastAPI:
    """Handlers on the loop and in threads, and what comes after the response."""

    async def ask(self, app, path, connect, *, times=2, **rule):
        store = AsyncSQLiteStore(path)
        app.add_middleware(
            asgi.IdempotencyMiddleware,
            store=store,
            scope=shared("everyone"),
            rules=[Rule("POST /**", EXACT, **rule)],
        )
        transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url="http://t") as http:
            answers = [
                await http.post("/orders", headers=HEADERS) for _ in range(times)
            ]
        await store.close()
        return [(answer.status_code, answer.json()) for answer in answers]

    @pytest.fixture
    def on_loop(self, connect):
        @asynccontextmanager
        async def connecting():
            with connect() as connection:
                yield connection

        return connecting

    async def test_a_plain_handler_commits_in_its_thread(self, path, connect):
        app = FastAPI()

        @app.post("/orders")
        def order():
            with connect() as connection, current_work().transaction(connection):
                connection.execute(EFFECT)
                current_work().complete({"id": 1}, status=201)

        assert [(201, {"id": 1})] * 2 == await self.ask(app, path, connect)
        assert 1 == orders(path)

    async def test_an_owner_commits_what_the_handler_has_joined(self, path, connect):
        app = FastAPI()

        @app.post("/orders")
        async def order():
            work = current_async_work()
            with connect() as connection:
                connection.execute("BEGIN IMMEDIATE")
                async with work.transaction(connection):
                    connection.execute(EFFECT)
                    await work.complete({"id": 1}, status=201)
                connection.commit()

        assert [(201, {"id": 1})] * 2 == await self.ask(app, path, connect)
        assert 1 == orders(path)

    async def test_an_owner_who_does_not_is_an_error(self, path, connect):
        app = FastAPI()

        @app.post("/orders")
        async def order():
            work = current_async_work()
            with connect() as connection:
                connection.execute("BEGIN IMMEDIATE")
                async with work.transaction(connection):
                    connection.execute(EFFECT)
                    await work.complete({"id": 1}, status=201)

        answers = await self.ask(app, path, connect)

        assert ["not-committed"] * 2 == [told["code"] for _, told in answers]
        assert 0 == orders(path)

    async def test_background_tasks_begin_after_the_commit(
        self, path, connect, on_loop
    ):
        app, seen = FastAPI(), []

        @app.post("/orders", status_code=201)
        async def order(tasks: BackgroundTasks):
            current_async_work().connection.execute(EFFECT)
            tasks.add_task(lambda: seen.append(orders(path)))
            return {"id": 1}

        answers = await self.ask(app, path, connect, connection=on_loop)

        assert [(201, {"id": 1})] * 2 == answers
        assert [1] == seen

    async def test_a_serialiser_that_fails_undoes_the_route(
        self, path, connect, on_loop
    ):
        app = FastAPI()

        @app.post("/orders")
        async def order() -> int:
            current_async_work().connection.execute(EFFECT)
            return "no number"  # type: ignore[return-value]

        answers = await self.ask(app, path, connect, connection=on_loop)

        assert ["handler-failed"] * 2 == [told["code"] for _, told in answers]
        assert 0 == orders(path)

    async def test_two_at_once_take_turns(self, path, connect, on_loop):
        app = FastAPI()

        @app.post("/orders", status_code=201)
        async def order():
            current_async_work().connection.execute(EFFECT)
            await asyncio.sleep(0)
            return {"id": 1}

        store = AsyncSQLiteStore(path)
        app.add_middleware(
            asgi.IdempotencyMiddleware,
            store=store,
            scope=shared("everyone"),
            rules=[Rule("POST /**", EXACT, connection=on_loop)],
        )
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://t") as http:
            asked = [
                http.post("/orders", headers={"Idempotency-Key": f"order-{number}"})
                for number in range(8)
            ]
            answers = await asyncio.gather(*asked)
        await store.close()

        assert {201} == {answer.status_code for answer in answers}
        assert 8 == orders(path)

    @pytest.mark.parametrize("status", [201, 402])
    async def test_a_connection_is_left_where_it_was_entered(
        self, path, connect, status, caplog
    ):
        app, mine = FastAPI(), ContextVar[Any]("mine")

        @asynccontextmanager
        async def connecting():
            with connect() as connection:
                token = mine.set(connection)
                try:
                    yield connection
                finally:
                    mine.reset(token)

        @app.post("/orders", status_code=status)
        async def order():
            mine.get().execute(EFFECT)
            return {"id": 1}

        answers = await self.ask(app, path, connect, connection=connecting)

        assert [(status, {"id": 1})] * 2 == answers
        assert (status == 201) == orders(path)
        assert [] == caplog.records

    async def test_whoever_commits_before_the_outcome_runs_once(self, path, connect):
        app = FastAPI()

        @app.post("/orders")
        async def order():
            work = current_async_work()
            with connect() as connection:
                async with work.transaction(connection):
                    connection.execute(EFFECT)
                    connection.commit()
                    await work.complete({"id": 1})

        answers = await self.ask(app, path, connect, times=3)

        assert ["outcome-unknown"] * 3 == [told["code"] for _, told in answers]
        assert [500, 409, 409] == [status for status, _ in answers]
        assert 1 == orders(path)

    async def test_a_rebuild_may_be_a_coroutine(self, path, connect):
        app = FastAPI()

        async def build(reference):
            return {"id": reference}

        @app.post("/orders")
        async def order():
            work = current_async_work()
            with connect() as connection:
                async with work.transaction(connection):
                    connection.execute(EFFECT)
                    await work.complete(reference="tr_1", status=201)

        answers = await self.ask(app, path, connect, rebuild=build)

        assert [(201, {"id": "tr_1"})] * 2 == answers


def test_flask_handlers_commit_and_fail_alike(path, connect, caplog):
    site = flask.Flask(__name__)
    done = []

    @site.post("/own")
    def own():
        with connect() as connection, current_work().transaction(connection):
            connection.execute(EFFECT)
            current_work().complete({"id": 1}, status=201)
        raise KeyError("late")  # which Flask answers with a 500 of its own

    @site.post("/route")
    def route():
        current_work().connection.execute(EFFECT)
        done.append(1)
        if len(done) == 1:
            raise KeyError("early")
        return {"id": 2}, 201

    @site.post("/forgot")
    def forgot():
        with connect() as connection, current_work().transaction(connection):
            connection.execute(EFFECT)

    with closing(SQLiteStore(path)) as store:
        wrapped = wsgi.IdempotencyMiddleware(
            site.wsgi_app,
            store=store,
            scope=shared("everyone"),
            rules=[
                Rule("POST /route", EXACT, connection=connect),
                Rule("POST /**", EXACT),
            ],
        )
        site.wsgi_app = wrapped  # type: ignore[method-assign]
        http = site.test_client()
        asked = ["/own", "/own", "/route", "/route", "/route", "/forgot"]
        answers = [http.post(at, headers={"Idempotency-Key": at[1:]}) for at in asked]
        wrapped.close()

    assert [201, 201, 500, 201, 201, 500] == [a.status_code for a in answers]
    assert [{"id": 1}] * 2 == [a.json for a in answers[:2]]
    assert [{"id": 2}] * 2 == [a.json for a in answers[3:5]]
    assert b"not-committed" in answers[5].data
    assert "The transaction ends without an outcome: call work.complete" in caplog.text
    assert 2 == orders(path)


class Torn(sqlite3.Connection):
    """A connection that breaks at its commit."""

    when = ""

    def execute(self, sql, *given):
        if sql == "COMMIT" and self.when:
            when, self.when = self.when, ""
            if when == "after":
                super().execute(sql)
            else:
                self.rollback()
            raise sqlite3.OperationalError("the line broke")
        return super().execute(sql, *given)


class Joining(FaultyStore):
    """A store that fails as planned, save in transactions of its callers."""

    def __init__(self, store, plan):
        super().__init__(store, plan)
        self.transaction, self.joined = store.transaction, store.joined


class AsyncJoining(AsyncFaultyStore):
    """The same for event loops."""

    def __init__(self, store, plan):
        super().__init__(store, plan)
        self.transaction, self.joined = store.transaction, store.joined


@contextmanager
def shop(kind, path, plan, tearing):
    """Put the gateway of *kind* up, with connections that tear as told."""

    def connecting():
        connection = sqlite3.connect(path, timeout=20, factory=Torn)
        connection.when = tearing.pop() if tearing else ""
        return closing(connection)

    @asynccontextmanager
    async def on_loop():
        with connecting() as connection:
            yield connection

    def rows(run):
        return orders(path)

    beside = SQLiteStore(path)
    connect = on_loop if kind == "asgi" else connecting
    known = CommittingApp(Tables(connect, rows, print), beside)
    settings: dict[str, Any] = {
        "scope": SCOPE,
        "rules": known.rules(),
        "observer": known,
        "store_timeout": timedelta(seconds=0.3),
    }
    if kind == "asgi":
        store = AsyncSQLiteStore(path)
        app = asgi.IdempotencyMiddleware(
            committing_asgi(known), store=AsyncJoining(store, plan), **settings
        )
        caller = AsgiCaller(app)
        yield Lab(caller)
        caller.close()
        store.blocking().close()
    else:
        sync = SQLiteStore(path)
        plain = wsgi.IdempotencyMiddleware(
            committing_wsgi(known), store=Joining(sync, plan), **settings
        )
        yield Lab(WsgiCaller(plain))
        plain.close()
        sync.close()
    beside.close()


FORMS = ["own/open/insert/say/shut", "route/insert/say/answer-201"]


@pytest.mark.parametrize("form", FORMS)
def test_a_commit_whose_answer_is_lost_is_looked_up(kind, path, form):
    with shop(kind, path, FaultPlan(), ["after"]) as lab:
        request = lab.request(f"/{form}")
        first, second = lab.send(request), lab.send(request)

    assert (201, False) == (first.status, first.replayed)
    assert first.lasting() == second.lasting()
    assert 1 == orders(path)


@pytest.mark.parametrize("form", FORMS)
def test_a_commit_that_never_was_frees_the_key(kind, path, form):
    with shop(kind, path, FaultPlan(), ["before"]) as lab:
        request = lab.request(f"/{form}")
        first, second = lab.send(request), lab.send(request)

    assert (500, "handler-failed") == (first.status, first.code)
    assert (201, False) == (second.status, second.replayed)
    assert 1 == orders(path)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("when", "replayed"), [("after", True), ("before", False)])
def test_a_store_that_is_silent_about_it_leaves_it_to_the_next_attempt(
    kind, path, form, when, replayed
):
    plan = FaultPlan()
    with shop(kind, path, plan, [when]) as lab:
        plan.faults += [
            Fault(Mishap.LOST_REQUEST, verb, 1, None) for verb in ("find", "release")
        ]
        request = lab.request(f"/{form}")
        first = lab.send(request)
        plan.heal()
        last = lab.settled(request)

    assert (500, "outcome-unknown") == (first.status, first.code)
    assert ("service", True) == (first.json()["resolved_by"], first.json()["retryable"])
    assert "unrecorded" == first.header("Idempotency-Status")
    assert (201, replayed) == (last.status, last.replayed)
    assert 1 == orders(path)
