# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""An app whose handlers commit: they do what their path says, word by word.

``/{rule}/{word}/{word}/…``, under the rules of ``CommittingApp``:

| word | the handler |
|---|---|
| ``open``, ``shut`` | begins and ends a transaction of its own |
| ``insert`` | inserts a row for its run, on whichever transaction there is |
| ``say``, ``say-STATUS``, ``say-big`` | gives its outcome inside the transaction |
| ``refer`` | gives a reference as its outcome |
| ``step`` | takes a step |
| ``collide-COUNT`` | meets another transaction, in its first COUNT runs |
| ``rob`` | has its key taken by another worker, who completes it |
| ``tame`` | answers 500 from now on where it would raise, as frameworks do |
| ``raise`` | raises |
| ``answer-STATUS``, ``release``, ``events``, ``stream-SIZE`` | answers so |
"""

from __future__ import annotations

import asyncio
import inspect
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from keyonce.core.decide import Proceed
from keyonce.core.ending import Keep
from keyonce.core.errors import ConfigurationError
from keyonce.core.guarantee import Guarantee
from keyonce.core.model import Attempt, StoredResult
from keyonce.core.policy import Policy
from keyonce.core.rollout import Rollout, Stage
from keyonce.engine.aio_work import current_async_work
from keyonce.engine.sync import Guard
from keyonce.engine.work import current_work
from keyonce.http.operation import Rule
from keyonce.testing.integration_scenarios.asgi import asgi_app
from keyonce.testing.integration_scenarios.behaviours import (
    BINARY,
    EVENT,
    EVENTS,
    TEXT,
    HandlerError,
    Head,
    pattern,
)
from keyonce.testing.integration_scenarios.known_app import NARROW, KnownApp
from keyonce.testing.integration_scenarios.wsgi import wsgi_app

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from keyonce.core.model import Identity
    from keyonce.core.protocols import Store
    from keyonce.testing.clock import FakeClock

SAID: Final = (("X-Item", "tea"), ("Set-Cookie", "session=1"))
SHOWN: Final = ((b"x-item", b"cup"), (b"set-cookie", b"session=2"))
WINNER: Final = b"the winner's"
EXACT: Final = Guarantee.EXACTLY_ONCE
PIECE: Final = 50_000


class NotBuiltNow(Exception):
    """What a rebuild function raises that fails."""


@dataclass(frozen=True, slots=True)
class Tables:
    """The database of the effects, which the store is in as well.

    *connect* gives what the gateway's rules take: a context manager around a fresh
    connection. *rows* counts what a run has inserted. *collide* raises, on a
    connection with an open transaction, what the driver raises of a conflict.
    """

    connect: Callable[[], Any]
    rows: Callable[[str], int]
    collide: Callable[[Any], Any]


class CommittingApp(KnownApp):
    """What the app under exactly-once does and remembers."""

    def __init__(
        self, tables: Tables, store: Store, clock: FakeClock | None = None
    ) -> None:
        """Insert into *tables*; *store* reaches the records, beside the gateway."""
        super().__init__(clock)
        self.tables = tables
        self._beside = store
        self._building = True

    def rules(self) -> list[Rule]:
        """The rules that the gateway under test is to be given."""
        exact = Policy(guarantee=EXACT, max_response=NARROW)
        observed = Policy(guarantee=EXACT, mode=Rollout(Stage.OBSERVE))
        off = Policy(guarantee=EXACT, mode=Rollout(Stage.OFF))
        connect = self.tables.connect
        return [
            Rule("/own/**", exact),
            Rule("/built/**", exact, rebuild=self.build),
            Rule("/route/**", exact, connection=connect, rebuild=self.build),
            Rule("/watched/**", observed, rebuild=self.build),
            Rule("/watched-route/**", observed, connection=connect),
            Rule("/off/**", off),
            Rule("/promised/**", Policy()),
        ]

    def build(self, reference: str) -> Any:
        """Build an answer from *reference*, as the rules have it done."""
        if not self._building:
            raise NotBuiltNow
        return {"built": reference}

    def start(self, headers: dict[str, str]) -> str:
        """Count that a handler begins; give its run."""
        run = headers.get("x-run", "")
        with self._lock:
            self._runs[run] += 1
        return run

    def _asked(self, word: str, *about: str) -> Any:
        if word == "rows":
            return self.tables.rows(*about)
        if word == "building":
            self._building = about == ("on",)
            return None
        return super()._asked(word, *about)

    def rob(self, identity: Identity) -> None:
        """Take the key of *identity* from its owner, and complete it."""
        found = self._beside.find(identity)
        assert found is not None, identity
        record, policy = found.record, Policy(guarantee=EXACT)
        assert record.fingerprint is not None, record
        self._beside.release(identity, record.owner, "robbed", None)
        guard = Guard(self._beside)
        try:
            attempt = Attempt(identity, record.fingerprint, lambda _scheme: None)
            decision = guard.begin(attempt, policy)
            assert isinstance(decision, Proceed), decision
            result = StoredResult(201, TEXT, WINNER, size=len(WINNER))
            guard.finish(decision.lease, Keep(result), policy)
        finally:
            guard.close()


def said(argument: str, run: str) -> tuple[Any, dict[str, Any]]:
    """Give what a handler says as its outcome."""
    if argument == "big":
        return "x" * (NARROW + 1), {}
    return {"order": run}, {"status": int(argument or 201), "headers": SAID}


def shown(word: str, count: int) -> tuple[Head, list[bytes]] | None:
    """Give the head and the pieces of the response that *word* is, if it is one."""
    kind, _, argument = word.partition("-")
    match kind:
        case "answer":
            return Head(int(argument), (*TEXT, *SHOWN)), [b"run %d" % count]
        case "release":
            head = Head(200, (*TEXT, (b"keyonce-outcome", b"release")))
            return head, [b"run %d" % count]
        case "events":
            return Head(200, EVENTS), [EVENT, EVENT]
        case "stream":
            whole = pattern(int(argument))
            pieces = range(0, len(whole), PIECE)
            return Head(200, BINARY), [whole[at : at + PIECE] for at in pieces]
        case _:
            return None


class Doing:
    """One run of a handler, in a thread."""

    def __init__(self, known: CommittingApp, headers: dict[str, str]) -> None:
        """Begin."""
        self._known = known
        self._run = known.start(headers)
        self._count = known.begun(self._run)
        self._own = ExitStack()
        self._connection: Any = None

    def do(self, words: list[str]) -> tuple[Head, Iterable[bytes]]:
        """Do what *words* say, and give the response."""
        tame = "tame" in words
        response = None
        try:
            with self._own:
                for word in words:
                    response = shown(word, self._count) or response
                    self._act(word)
        except Exception:
            if not tame:
                raise
            return Head(500, TEXT), [b"caught"]
        if response is None:
            message = "nothing to answer"
            raise HandlerError(message)
        return response

    def _act(self, word: str) -> None:
        kind, _, argument = word.partition("-")
        work = current_work
        match kind:
            case "open":
                self._connection = self._own.enter_context(self._known.tables.connect())
                self._own.enter_context(work().transaction(self._connection))
            case "shut":
                self._own.close()
            case "insert":
                self._on().execute(_insert(self._run))
            case "say":
                value, given = said(argument, self._run)
                work().complete(value, **given)
            case "refer":
                work().complete(reference=f"row-{self._run}", status=201)
            case "step":
                work().step("charge", str)
            case "collide" if self._count <= int(argument):
                self._known.tables.collide(self._on())
            case "rob":
                self._known.rob(work().identity)
            case "raise":
                raise HandlerError

    def _on(self) -> Any:
        return self._connection or current_work().connection


class AsyncDoing:
    """One run of a handler, on the event loop."""

    def __init__(self, known: CommittingApp, headers: dict[str, str]) -> None:
        """Begin."""
        self._known = known
        self._run = known.start(headers)
        self._count = known.begun(self._run)
        self._own = AsyncExitStack()
        self._connection: Any = None

    async def do(self, words: list[str]) -> tuple[Head, Iterable[bytes]]:
        """Do what *words* say, and give the response."""
        tame = "tame" in words
        response = None
        try:
            async with self._own:
                for word in words:
                    response = shown(word, self._count) or response
                    await self._act(word)
        except Exception:
            if not tame:
                raise
            return Head(500, TEXT), [b"caught"]
        if response is None:
            message = "nothing to answer"
            raise HandlerError(message)
        return response

    async def _act(self, word: str) -> None:
        kind, _, argument = word.partition("-")
        work = current_async_work
        match kind:
            case "open":
                made = self._known.tables.connect()
                self._connection = await self._own.enter_async_context(made)
                transaction = work().transaction(self._connection)
                await self._own.enter_async_context(transaction)
            case "shut":
                await self._own.aclose()
            case "insert":
                await _awaited(self._on().execute(_insert(self._run)))
            case "say":
                value, given = said(argument, self._run)
                await work().complete(value, **given)
            case "refer":
                await work().complete(reference=f"row-{self._run}", status=201)
            case "step":
                await work().step("charge", str)
            case "collide" if self._count <= int(argument):
                await _awaited(self._known.tables.collide(self._on()))
            case "rob":
                await asyncio.to_thread(self._known.rob, work().identity)
            case "raise":
                raise HandlerError

    def _on(self) -> Any:
        return self._connection or current_async_work().connection


async def _awaited(made: Any) -> None:
    if inspect.isawaitable(made):
        await made


def _insert(run: str) -> str:
    if not run.replace("-", "").isalnum():
        raise ConfigurationError(run)
    return f"INSERT INTO orders (name) VALUES ('{run}')"  # noqa: S608 - checked


def committing_wsgi(known: CommittingApp) -> Any:
    """Give *known* as a WSGI app."""
    plain = wsgi_app(known)

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        words = environ["PATH_INFO"].strip("/").split("/")
        if words[0] == "-":
            return plain(environ, start_response)
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        run = {"x-run": environ.get("HTTP_X_RUN", "")}
        head, pieces = Doing(known, run).do(words[1:])
        headers = [(n.decode("latin-1"), v.decode("latin-1")) for n, v in head.headers]
        start_response(f"{head.status} Said", headers)
        return pieces

    return app


def committing_asgi(known: CommittingApp) -> Any:
    """Give *known* as an ASGI app."""
    plain = asgi_app(known)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        words = scope.get("path", "-").strip("/").split("/")
        if scope["type"] == "lifespan" or words[0] == "-":
            await plain(scope, receive, send)
            return
        while (await receive()).get("more_body", False):
            pass
        headers = {
            k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]
        }
        head, pieces = await AsyncDoing(known, headers).do(words[1:])
        start = {"type": "http.response.start", "status": head.status}
        await send({**start, "headers": list(head.headers)})
        for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    return app
