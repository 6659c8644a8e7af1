# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A request of unknown outcome, its hook, and what its caller hears, in each gateway."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, NamedTuple, Protocol
from wsgiref.util import setup_testing_defaults

import pytest

from keyonce.core.errors import ConfigurationError
from keyonce.core.events import Ended, Event, Outcome, Reconciled
from keyonce.core.model import Claim, Note, Query, StoredResult
from keyonce.core.policy import Policy
from keyonce.core.reconcile import (
    CompletedWith,
    NeverHappened,
    StillUnknown,
    UnknownWork,
)
from keyonce.core.rollout import Rollout, Stage
from keyonce.core.states import Status
from keyonce.engine.aio_reconciler import AsyncReconciler
from keyonce.engine.reconciler import Reconciler
from keyonce.http.operation import Rule
from keyonce.http.reconciled import json_answer
from keyonce.http.scope import by_header
from keyonce.http.status import status_path
from keyonce.integrations import asgi, wsgi
from keyonce.stores.memory import AsyncMemoryStore, MemoryStore

PAID = json_answer(201, {"charge": "ch_1"}, headers=((b"location", b"/charges/1"),))


class Heard(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def told(self) -> Any:
        return json.loads(self.body)


class Listening:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def notify(self, event: Event, /) -> None:
        self.events.append(event)


class Shop:
    """Answers in turn as it is told to: a status, or an exception."""

    def __init__(self, *answers: Any) -> None:
        self._answers = list(answers)
        self.ran = 0

    def work(self) -> tuple[int, bytes]:
        self.ran += 1
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer, b"run %d" % self.ran


class Side(Protocol):
    memory: MemoryStore

    def post(self) -> Heard: ...

    def get(self, path: str) -> Heard: ...

    def round(self) -> int: ...


class Threads:
    """The shop behind the WSGI gateway."""

    def __init__(self, shop: Shop, policy: Policy, heard: Listening) -> None:
        self.memory = MemoryStore()
        self._app = wsgi.IdempotencyMiddleware(
            _wsgi(shop),
            store=self.memory,
            scope=by_header("X-Api-Key"),
            rules=[Rule("POST /pay", policy)],
            observer=heard,
        )

    def post(self) -> Heard:
        return self._ask("POST", "/pay")

    def get(self, path: str) -> Heard:
        return self._ask("GET", path)

    def round(self) -> int:
        return Reconciler(self._app.guard).round()

    def _ask(self, method: str, path: str) -> Heard:
        environ: dict[str, Any] = {"REQUEST_METHOD": method, "PATH_INFO": path}
        setup_testing_defaults(environ)
        environ |= {"HTTP_IDEMPOTENCY_KEY": "k-12345678", "HTTP_X_API_KEY": "me"}
        head: list[Any] = []

        def start_response(status: str, headers: Any, _info: Any = None) -> Any:
            head[:] = [int(status[:3]), {n.lower(): v for n, v in headers}]
            return lambda _data: None

        pieces: Any = self._app(environ, start_response)
        body = b"".join(pieces)
        with suppress(ConnectionError):  # the app's own, raised on to the server
            getattr(pieces, "close", lambda: None)()
        return Heard(head[0], head[1], body)


class Loop:
    """The shop behind the ASGI gateway."""

    def __init__(self, shop: Shop, policy: Policy, heard: Listening) -> None:
        self.memory = MemoryStore()
        self._app = asgi.IdempotencyMiddleware(
            _asgi(shop),
            store=AsyncMemoryStore(self.memory),
            scope=by_header("X-Api-Key"),
            rules=[Rule("POST /pay", policy)],
            observer=heard,
        )

    def post(self) -> Heard:
        return asyncio.run(self._ask("POST", "/pay"))

    def get(self, path: str) -> Heard:
        return asyncio.run(self._ask("GET", path))

    def round(self) -> int:
        async def turned() -> int:
            return await AsyncReconciler(self._app.guard).round()

        return asyncio.run(turned())

    async def _ask(self, method: str, path: str) -> Heard:
        sent: list[Any] = []
        requests = [{"type": "http.request", "body": b"", "more_body": False}]

        async def receive() -> Any:
            return requests.pop() if requests else await asyncio.Event().wait()

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [(b"idempotency-key", b"k-12345678"), (b"x-api-key", b"me")],
        }
        with suppress(ConnectionError):  # the app's own, raised on to the server
            await self._app(scope, receive, send)
        headers = {n.decode(): v.decode() for n, v in sent[0]["headers"]}
        body = b"".join(message.get("body", b"") for message in sent[1:])
        return Heard(sent[0]["status"], headers, body)


def _wsgi(shop: Shop) -> Any:
    def app(_environ: Any, start_response: Any) -> list[bytes]:
        status, body = shop.work()
        start_response(f"{status} Told", [("Content-Type", "text/plain")])
        return [body]

    return app


def _asgi(shop: Shop) -> Callable[..., Awaitable[None]]:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        status, body = shop.work()
        headers = [(b"content-type", b"text/plain")]
        start = {"type": "http.response.start", "status": status, "headers": headers}
        await send(start)
        await send({"type": "http.response.body", "body": body, "more_body": False})

    return app


@pytest.fixture(params=[Threads, Loop], ids=["wsgi", "asgi"])
def side(request) -> Any:
    return request.param


@pytest.fixture
def heard() -> Listening:
    return Listening()


def hook_that(*answers: Any) -> Any:
    left = list(answers)

    def hook(_work: UnknownWork) -> Any:
        return left.pop(0) if len(left) > 1 else left[0]

    return hook


BROKEN = [503, ConnectionError("the bank is silent")]


@pytest.mark.parametrize("broken", BROKEN, ids=["503", "raises"])
def test_a_broken_end_is_unknown_and_the_first_caller_hears_who_finds_out(
    side, heard, broken
):
    here = side(Shop(broken), Policy(reconcile=hook_that(StillUnknown())), heard)

    first = here.post()

    assert (500, "outcome-unknown") == (first.status, first.told["code"])
    assert ("service", True) == (first.told["resolved_by"], first.told["retryable"])
    assert first.headers["retry-after"] in {"1", "2"}  # spread
    assert [Status.UNKNOWN] == [
        record.status for record in here.memory.records(Query())
    ]


@pytest.mark.parametrize("broken", BROKEN, ids=["503", "raises"])
def test_the_retry_gets_the_completed_answer_and_later_ones_the_same_bytes(
    side, heard, broken
):
    shop = Shop(broken)
    here = side(shop, Policy(reconcile=hook_that(CompletedWith(PAID))), heard)
    here.post()

    answers = [here.post() for _ in range(3)]

    assert [201] * 3 == [answer.status for answer in answers]
    assert [{"charge": "ch_1"}] * 3 == [answer.told for answer in answers]
    assert {"/charges/1"} == {answer.headers["location"] for answer in answers}
    assert {"true"} == {answer.headers["idempotency-replayed"] for answer in answers}
    assert 1 == len({answer.body for answer in answers})
    assert 1 == shop.ran
    assert ["resolve"] == [row.action for row in here.memory.audits()]
    told = [event.answer for event in heard.events if isinstance(event, Reconciled)]
    assert ["completed"] == told


def test_what_never_happened_runs_once_more(side, heard):
    shop = Shop(503, 201)
    here = side(shop, Policy(reconcile=hook_that(NeverHappened())), heard)
    here.post()

    second, third = here.post(), here.post()

    assert (201, b"run 2") == (second.status, second.body)
    assert (201, b"run 2") == (third.status, third.body)
    assert 2 == shop.ran
    assert ["release"] == [row.action for row in here.memory.audits()]


def test_a_retry_that_comes_too_early_hears_when_to_come_again(side, heard):
    shop = Shop(503)
    here = side(shop, Policy(reconcile=hook_that(StillUnknown())), heard)
    here.post()

    retry = here.post()

    assert (409, "outcome-unknown") == (retry.status, retry.told["code"])
    assert ("service", True) == (retry.told["resolved_by"], retry.told["retryable"])
    assert 1 <= int(retry.headers["retry-after"]) <= 6  # spread
    assert 1 == shop.ran


def test_without_a_hook_the_problem_names_the_operator(side, heard):
    here = side(Shop(503), Policy(), heard)
    here.post()
    (record,) = here.memory.records(Query())
    again = side(Shop(), Policy(), heard)
    claim = _unknown_like(record, again.memory)

    retry = again.post()

    assert claim
    assert (409, "operator") == (retry.status, retry.told["resolved_by"])
    assert retry.told["retryable"] is False
    assert "retry-after" not in retry.headers


def _unknown_like(record: Any, memory: MemoryStore) -> bool:
    """Make *record*'s key unknown in *memory*."""
    command = Claim(
        record.identity,
        b"owner",
        record.fingerprint,
        record.guarantee,
        30.0,
        3,
    )
    memory.claim(command)
    memory.note(Note(record.identity, b"owner", reference="ch_1"))
    return memory.abandon(record.identity, b"owner", "crashed")


def test_the_background_knows_the_rules_of_its_gateway(side, heard):
    here = side(Shop(503), Policy(reconcile=hook_that(CompletedWith(PAID))), heard)
    here.post()

    asked = here.round()

    assert 1 == asked
    assert 201 == here.post().status


@pytest.mark.parametrize("show", [True, False])
def test_a_caller_sees_the_reference_where_the_policy_shows_it(side, heard, show):
    first = side(Shop(503), Policy(), heard)
    first.post()
    (record,) = first.memory.records(Query())
    here = side(Shop(), Policy(show_reference=show), heard)
    _unknown_like(record, here.memory)

    problem = here.post().told
    status = here.get(status_path(record.identity)).told

    expected = "ch_1" if show else None
    assert expected == problem.get("reference")
    assert expected == status.get("reference")
    assert "unknown" == status["status"]


def test_the_event_of_an_end_names_the_reference(side, heard):
    first = side(Shop(503), Policy(), heard)
    first.post()
    (record,) = first.memory.records(Query())
    here = side(Shop(), Policy(), heard)
    _unknown_like(record, here.memory)
    here.post()

    ended = [event for event in heard.events if isinstance(event, Ended)]

    assert (Outcome.UNKNOWN, "ch_1") == (ended[-1].outcome, ended[-1].reference)


def test_nobody_is_asked_about_what_is_only_observed(side, heard):
    asked: list[UnknownWork] = []

    def hook(work: UnknownWork) -> StillUnknown:
        asked.append(work)
        return StillUnknown()

    observing = Policy(mode=Rollout(Stage.OBSERVE), reconcile=hook)
    here = side(Shop(503, 503), observing, heard)

    here.post()
    here.post()
    here.round()

    assert [] == asked


def test_an_answer_that_is_no_stored_result_leaves_the_key_unknown(side, heard):
    here = side(Shop(503), Policy(reconcile=hook_that(CompletedWith({"a": 1}))), heard)
    here.post()

    assert 409 == here.post().status


def test_a_stored_result_by_hand_is_whole(side, heard):
    by_hand = StoredResult(200, ((b"content-length", b"999"),), b"paid")
    here = side(Shop(503), Policy(reconcile=hook_that(CompletedWith(by_hand))), heard)
    here.post()

    answer = here.post()

    assert (200, b"paid", "4") == (
        answer.status,
        answer.body,
        answer.headers["content-length"],
    )


def test_threads_refuse_a_coroutine_function_as_a_hook():
    async def hook(_work: UnknownWork) -> StillUnknown:
        return StillUnknown()

    with pytest.raises(ConfigurationError, match="'POST /pay': reconcile"):
        Threads(Shop(), Policy(reconcile=hook), Listening())
