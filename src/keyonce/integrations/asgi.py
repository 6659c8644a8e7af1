# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The ASGI gateway: one middleware around any ASGI app."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from keyonce.core.errors import ConfigurationError, StoreError
from keyonce.core.events import Outcome
from keyonce.core.rollout import Stage
from keyonce.engine.aio import AsyncGuard
from keyonce.http import catalogue
from keyonce.http.admit import Bypass, Guarded, Refuse
from keyonce.http.dialect import DIALECT, Dialect
from keyonce.http.status import status_request, status_response
from keyonce.integrations.asgi_committing import Unrecorded
from keyonce.integrations.asgi_exchange import Exchange
from keyonce.integrations.asgi_observe import Observation
from keyonce.integrations.asgi_request import (
    Disconnected,
    TooLarge,
    head_of,
    whole_body,
)
from keyonce.integrations.asgi_response import write_response
from keyonce.integrations.asgi_unguarded import Unguarded
from keyonce.integrations.committing import Terms, is_exact
from keyonce.integrations.failure import ReadFailure, unread
from keyonce.integrations.fitness import AsyncFitness, check_at_start
from keyonce.integrations.gateway import (
    DEFAULT_RULES,
    Gateway,
    Secrets,
    Visit,
    folder_of,
)
from keyonce.integrations.settings import check_async_store, check_span
from keyonce.integrations.spool import SpillFull, SpillSpace

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable

    from keyonce.core.events import Observer
    from keyonce.core.model import Record
    from keyonce.core.policy import Policy
    from keyonce.core.protocols import AsyncStore
    from keyonce.http.messages import RequestHead, Response
    from keyonce.http.operation import Rule, Rules
    from keyonce.http.scope import ScopeReader
    from keyonce.integrations.asgi_request import (
        ASGIApp,
        Message,
        Receive,
        Scope,
        Send,
    )

    AuthorizeReplay = Callable[[RequestHead, Record], Awaitable[bool]]

DRAIN: Final = timedelta(seconds=30)
LARGE_AT_ONCE: Final = 2
log: Final = logging.getLogger("keyonce")


class IdempotencyMiddleware:
    """Guards an ASGI app: one key, one run, the same answer for every retry.

    *store* is a URL or a store; *scope* says whose a key is and has no default.
    Without *rules* every POST and PATCH with a key is guarded. Work that has begun
    is carried through when the client goes, and shutdown waits for it up to
    *drain*. *authorize_replay* is asked before each replay. *read_failure* tells
    what exceptions of the app's own mean; *behind_proxy* reads a 502 or 504 of an
    upstream as unclear and keeps CORS headers.

    Put it inside authentication and authorisation, outside the handlers.

    At start-up, or before the first work where the server speaks no lifespan, the
    settings of the store's server are looked at. While one breaks a promise the app
    does not start, and nothing is run.

    Raises:
        ConfigurationError: a setting that cannot work, or a guarantee that the
            store cannot keep.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        store: AsyncStore | str,
        scope: ScopeReader,
        rules: Iterable[Rule] = DEFAULT_RULES,
        observer: Observer | None = None,
        dialect: Dialect = DIALECT,
        secrets: Secrets | None = None,
        space: SpillSpace | None = None,
        store_timeout: timedelta = timedelta(seconds=5),
        drain: timedelta = DRAIN,
        authorize_replay: AuthorizeReplay | None = None,
        read_failure: ReadFailure = unread,
        behind_proxy: bool = False,
    ) -> None:
        """Guard *app*."""
        self.app = app
        self._owns_store = isinstance(store, str)
        check_span("store_timeout", store_timeout)
        check_span("drain", drain)
        self.store = _opened(store, store_timeout)
        self.gateway = Gateway(
            scope=scope,
            rules=rules,
            observer=observer,
            dialect=dialect,
            secrets=secrets,
            space=space or SpillSpace(folder_of(self.store)),
            behind_proxy=behind_proxy,
        )
        self.gateway.check(self.store)
        self.guard = AsyncGuard(
            self.store, observer=self.gateway.observer, store_timeout=store_timeout
        )
        self.guard.asker.knows(self.gateway.policy_of)
        self.fitness = AsyncFitness(self.store)
        self.immediate = self.store.traits.immediate
        self.store_bound = self.store.traits.largest_result
        self.authorize_replay = authorize_replay
        self.read_failure = read_failure
        self.behind_proxy = behind_proxy
        self._drain = drain.total_seconds()
        self._tasks: set[asyncio.Task[None] | None] = set()
        self._gates: WeakKeyDictionary[Any, asyncio.Semaphore] = WeakKeyDictionary()

    @property
    def rules(self) -> Rules:
        """The rules in force, first match first."""
        return self.gateway.rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._other(scope, receive, send)
            return
        head = head_of(scope)
        admission = self.gateway.admit(head)
        if isinstance(admission, Guarded):
            await self._guarded(admission, head, scope, receive, send)
            return
        match admission:
            case Bypass(None):
                await self._unmatched(head, scope, receive, send)
            case Bypass() as bypass:
                await self._bypass(bypass, head, scope, receive, send)
            case Refuse(problem, outcome, rule):
                visit = self.gateway.visit(head, rule, None)
                visit.ended(outcome)
                told = self.gateway.told(problem)
                await write_response(send, told)

    async def _unmatched(
        self, head: RequestHead, scope: Scope, receive: Receive, send: Send
    ) -> None:
        prefix = self.gateway.dialect.prefix.encode()
        if head.raw_path.startswith(prefix):
            answer = await self._status(head)
            if answer is not None:
                await write_response(send, answer, bodiless=head.method == "HEAD")
                return
        await self.app(scope, receive, send)

    async def _status(self, head: RequestHead) -> Response | None:
        dialect = self.gateway.dialect
        asked = status_request(head, self.gateway.scope, dialect=dialect)
        if not isinstance(asked, tuple):
            return asked
        try:
            found = await self.guard.find(asked)
        except (StoreError, ConfigurationError):
            return self.gateway.told(catalogue.store_unavailable())
        if found is None:
            return status_response(None, 0.0, dialect=dialect)
        policy = self.gateway.policy_of(asked)
        return status_response(
            found.record,
            found.now,
            dialect=dialect,
            show_reference=policy is not None and policy.show_reference,
        )

    async def _bypass(
        self,
        bypass: Bypass,
        head: RequestHead,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        if bypass.rule is None:
            await self.app(scope, receive, send)
            return
        app = self.unguarded(bypass.rule, head)
        if bypass.outcome is None:
            await app(scope, receive, send)
            return
        visit = self.gateway.visit(head, bypass.rule, None)
        visit.would = bypass.would
        try:
            await app(scope, receive, send)
        finally:
            visit.ended(bypass.outcome)

    async def _guarded(
        self,
        guarded: Guarded,
        head: RequestHead,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        identity = guarded.identity
        visit = Visit(self.gateway, head, guarded.rule, identity)
        if guarded.stage is not Stage.ENFORCE and not await self._known(guarded):
            await Observation(self, visit).run(identity, scope, receive, send)
            return
        try:
            limit = visit.rule.policy.max_request
            body = await whole_body(receive, head, self.gateway.space, limit)
        except (Disconnected, TooLarge, SpillFull, OSError) as error:
            await self._not_read(error, visit, send)
            return
        except BaseException:
            visit.ended(Outcome.GONE)
            raise
        try:
            if not body.spilled:
                attempt = visit.attempt(identity, body)
            else:  # hashing a large body must not stop the loop
                attempt = await asyncio.to_thread(visit.attempt, identity, body)
            exchange = Exchange(self, visit, scope, receive, send)
            if await exchange.settled(attempt):
                body.close()
                return
        except BaseException:
            body.close()
            visit.ended(Outcome.GONE)
            raise
        done = self.detach(exchange.guarded(attempt, body))
        try:
            await done
        except asyncio.CancelledError:
            exchange.cancelled()
            raise

    async def _known(self, guarded: Guarded) -> bool:
        """Whether a key outside the enforced share has a record to be honoured."""
        if not guarded.touch_first:
            return False
        try:
            return await self.guard.find(guarded.identity) is not None
        except (StoreError, ConfigurationError):
            return True  # there may be one: let the guard say what follows

    async def _not_read(self, error: Exception, visit: Visit, send: Send) -> None:
        """Answer a request whose body could not be received whole."""
        match error:
            case TooLarge():
                problem = catalogue.request_too_large(visit.rule.policy.max_request)
                outcome = Outcome.TOO_LARGE
            case Disconnected():
                visit.ended(Outcome.GONE)
                return
            case _:
                problem, outcome = catalogue.no_room(), Outcome.STORE_UNAVAILABLE
        visit.ended(outcome)
        await write_response(send, self.gateway.told(problem))

    def detach(self, work: Coroutine[Any, Any, None]) -> asyncio.Future[None]:
        """Run *work* in a task that shutdown waits for.

        The future is its end; cancelling that leaves the work alone.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._tasks.add(loop.create_task(self._carry(work, done)))
        return done

    async def _carry(
        self, work: Coroutine[Any, Any, None], done: asyncio.Future[None]
    ) -> None:
        try:
            await work
        except BaseException as error:
            if done.done():
                log.debug("Guarded work ended with an exception.", exc_info=error)
            else:
                done.set_exception(error)
            if not isinstance(error, Exception):
                raise
        else:
            if not done.done():
                done.set_result(None)
        finally:
            self._tasks.discard(asyncio.current_task())

    def keep_up_to(self, policy: Policy) -> int:
        """How many bytes of a body are kept, by the policy and by the store."""
        if self.store_bound is None:
            return policy.max_response
        return min(policy.max_response, self.store_bound)

    def terms(self, rule: Rule, head: RequestHead, *, recorded: bool = True) -> Terms:
        """Say under which terms the request of *head* is answered."""
        bound = self.keep_up_to(rule.policy)
        gateway = self.gateway
        return Terms(rule, head, gateway.space, bound, gateway.told, recorded)

    def unguarded(self, rule: Rule, head: RequestHead) -> ASGIApp:
        """Give the app for a request under *rule* that nobody guards.

        Handlers that take steps or commit their outcome find the same words there.
        """
        if self.behind_proxy:
            return self.app
        kind = Unrecorded if is_exact(rule) else Unguarded
        return kind(self.app, self.store, self.terms(rule, head, recorded=False))

    def gate(self) -> asyncio.Semaphore:
        """Let only a few large bodies into memory at once."""
        loop = asyncio.get_running_loop()
        gate = self._gates.get(loop)
        if gate is None:
            gate = self._gates[loop] = asyncio.Semaphore(LARGE_AT_ONCE)
        return gate

    async def _other(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await self.app(scope, receive, send)
            return

        try:
            await check_at_start(self.fitness)
        except ConfigurationError as error:
            await receive()
            told = f"keyonce: {error}"
            await send({"type": "lifespan.startup.failed", "message": told})
            return

        async def draining() -> Message:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                await self.drain()
            return message

        async def closing(message: Message) -> None:
            if message["type"].startswith("lifespan.shutdown."):
                await self.close()
            await send(message)

        await self.app(scope, draining, closing)

    async def drain(self) -> None:
        """Wait for guarded work under way, up to the drain time."""
        under_way = {task for task in self._tasks if task is not None}
        if under_way:
            await asyncio.wait(under_way, timeout=self._drain)

    async def close(self) -> None:
        """End the guard, and the store if it was opened here."""
        await self.guard.close()
        if self._owns_store:
            await self.store.close()


def _opened(store: AsyncStore | str, store_timeout: timedelta) -> AsyncStore:
    if not isinstance(store, str):
        check_async_store(store)
        return store
    from keyonce.stores.url import open_async_store  # noqa: PLC0415 - only for URLs

    return open_async_store(store, store_timeout=store_timeout)
