# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The WSGI gateway: one middleware around any WSGI app."""

from __future__ import annotations

import atexit
import threading
import weakref
from contextlib import nullcontext
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, assert_never

from keyonce.core.errors import ConfigurationError, StoreError
from keyonce.core.events import Outcome
from keyonce.core.rollout import Stage
from keyonce.engine.asker import check_hook
from keyonce.engine.sync import Guard
from keyonce.http import catalogue
from keyonce.http.admit import Bypass, Guarded, Refuse
from keyonce.http.dialect import DIALECT, Dialect
from keyonce.http.messages import Response
from keyonce.http.status import status_request, status_response
from keyonce.integrations.committing import Terms, is_exact
from keyonce.integrations.failure import ReadFailure, unread
from keyonce.integrations.fitness import Fitness
from keyonce.integrations.gateway import DEFAULT_RULES, Gateway, Secrets, folder_of
from keyonce.integrations.rebuilding import check_threads
from keyonce.integrations.settings import check_span, check_store
from keyonce.integrations.spool import SpillFull, SpillSpace
from keyonce.integrations.wsgi_committing import Unrecorded
from keyonce.integrations.wsgi_exchange import Exchange, write_response
from keyonce.integrations.wsgi_observe import Lookout, Observation
from keyonce.integrations.wsgi_request import (
    Disconnected,
    LengthUnknown,
    TooLarge,
    head_of,
    whole_body,
)
from keyonce.integrations.wsgi_unguarded import Unguarded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractContextManager
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from keyonce.core.events import Observer
    from keyonce.core.model import Record
    from keyonce.core.policy import Policy
    from keyonce.core.protocols import Store
    from keyonce.http.messages import Body, RequestHead
    from keyonce.http.operation import Rule, Rules
    from keyonce.http.scope import ScopeReader
    from keyonce.integrations.gateway import Visit
    from keyonce.integrations.spool import Spool

    AuthorizeReplay = Callable[[RequestHead, Record], bool]

LARGE_AT_ONCE: Final = 2


class IdempotencyMiddleware:
    """Guards a WSGI app: one key, one run, the same answer for every retry.

    *store* is a URL or a store; *scope* says whose a key is and has no default.
    Without *rules* every POST and PATCH with a key is guarded. Work that has begun
    is carried through when the client goes. *authorize_replay* is asked before each
    replay. *read_failure* tells what exceptions of the app's own mean.

    Put it inside authentication and authorisation, outside the handlers. An
    exception of the app is raised on to the server when the answer to it is sent,
    by ``close()`` of what the server was given. A thread cannot be cancelled: an
    app that hangs is not ended by the policy's *work_limit*, but its record is.

    Before the first work the settings of the store's server are looked at. While
    one breaks a promise nothing is run: each request with a key is answered with
    503, and the log says why.

    Raises:
        ConfigurationError: a setting that cannot work, or a guarantee that the
            store cannot keep.
    """

    def __init__(
        self,
        app: WSGIApplication,
        *,
        store: Store | str,
        scope: ScopeReader,
        rules: Iterable[Rule] = DEFAULT_RULES,
        observer: Observer | None = None,
        dialect: Dialect = DIALECT,
        secrets: Secrets | None = None,
        space: SpillSpace | None = None,
        store_timeout: timedelta = timedelta(seconds=5),
        authorize_replay: AuthorizeReplay | None = None,
        read_failure: ReadFailure = unread,
    ) -> None:
        """Guard *app*."""
        self.app = app
        self._owns_store = isinstance(store, str)
        check_span("store_timeout", store_timeout)
        self.store = _opened(store, store_timeout)
        self.gateway = Gateway(
            scope=scope,
            rules=rules,
            observer=observer,
            dialect=dialect,
            secrets=secrets,
            space=space or SpillSpace(folder_of(self.store)),
        )
        self.gateway.check(self.store)
        told = self.gateway.observer
        self.guard = Guard(self.store, observer=told, store_timeout=store_timeout)
        for rule in self.gateway.rules:
            check_hook(rule.policy, rule.match)
            check_threads(rule)
        self.guard.asker.knows(self.gateway.policy_of)
        self.fitness = Fitness(self.store)
        self.lookout = Lookout()
        self.store_bound = self.store.traits.largest_result
        self.authorize_replay = authorize_replay
        self.read_failure = read_failure
        self._gate = threading.BoundedSemaphore(LARGE_AT_ONCE)
        # WSGI has no word for the server's end: what is late is tried once more when
        # the process ends.
        atexit.register(_close_if_there, weakref.ref(self))

    @property
    def rules(self) -> Rules:
        """The rules in force, first match first."""
        return self.gateway.rules

    def __call__(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        """Serve one request."""
        head = head_of(environ)
        match self.gateway.admit(head):
            case Bypass(None):
                return self._unmatched(head, environ, start_response)
            case Bypass() as bypass:
                return self._bypass(bypass, head, environ, start_response)
            case Refuse(problem, outcome, rule):
                self.gateway.visit(head, rule, None).ended(outcome)
                told = self.gateway.told(problem)
                return write_response(start_response, told)
            case Guarded() as guarded:
                return self._guarded(guarded, head, environ, start_response)
            case admission:
                assert_never(admission)

    def _unmatched(
        self,
        head: RequestHead,
        environ: WSGIEnvironment,
        start_response: StartResponse,
    ) -> Iterable[bytes]:
        prefix = self.gateway.dialect.prefix.encode()
        if head.raw_path.startswith(prefix):
            answer = self._status(head)
            if answer is not None:
                bodiless = head.method == "HEAD"
                return write_response(start_response, answer, bodiless=bodiless)
        return self.app(environ, start_response)

    def _status(self, head: RequestHead) -> Response | None:
        dialect = self.gateway.dialect
        asked = status_request(head, self.gateway.scope, dialect=dialect)
        if not isinstance(asked, tuple):
            return asked
        try:
            found = self.guard.find(asked)
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

    def _bypass(
        self,
        bypass: Bypass,
        head: RequestHead,
        environ: WSGIEnvironment,
        start_response: StartResponse,
    ) -> Iterable[bytes]:
        if bypass.rule is None:
            return self.app(environ, start_response)
        app = self.unguarded(bypass.rule, head)
        if bypass.outcome is None:
            return app(environ, start_response)
        visit = self.gateway.visit(head, bypass.rule, None)
        visit.would = bypass.would
        try:
            return app(environ, start_response)
        finally:
            visit.ended(bypass.outcome)

    def _guarded(
        self,
        guarded: Guarded,
        head: RequestHead,
        environ: WSGIEnvironment,
        start_response: StartResponse,
    ) -> Iterable[bytes]:
        identity = guarded.identity
        visit = self.gateway.visit(head, guarded.rule, identity)
        if guarded.stage is not Stage.ENFORCE and not self._known(guarded):
            observation = Observation(self, visit, identity)
            return observation.run(environ, start_response)
        body = self._body(visit, environ)
        if isinstance(body, Response):
            return write_response(start_response, body)
        try:
            attempt = visit.attempt(identity, body)
            exchange = Exchange(self, visit, environ, start_response)
            return exchange.guarded(attempt, body)
        except BaseException:
            visit.ended(Outcome.STORE_UNAVAILABLE)  # unless it was told already
            body.close()
            raise

    def _known(self, guarded: Guarded) -> bool:
        """Whether a key outside the enforced share has a record to be honoured."""
        if not guarded.touch_first:
            return False
        try:
            return self.guard.find(guarded.identity) is not None
        except (
            StoreError,
            ConfigurationError,
        ):  # there, or not to be known: then it is as if enforced
            return True

    def _body(self, visit: Visit, environ: WSGIEnvironment) -> Body | Response:
        limit = visit.rule.policy.max_request
        try:
            return whole_body(environ, self.gateway.space, limit)
        except TooLarge:
            problem, outcome = catalogue.request_too_large(limit), Outcome.TOO_LARGE
        except (SpillFull, OSError):
            problem, outcome = catalogue.no_room(), Outcome.STORE_UNAVAILABLE
        except Disconnected:
            problem, outcome = catalogue.request_incomplete(), Outcome.GONE
        except LengthUnknown:
            problem, outcome = catalogue.length_required(), Outcome.GONE
        except BaseException:
            visit.ended(Outcome.GONE)
            raise
        visit.ended(outcome)
        return self.gateway.told(problem)

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

    def unguarded(self, rule: Rule, head: RequestHead) -> WSGIApplication:
        """Give the app for a request under *rule* that nobody guards.

        Handlers that take steps or commit their outcome find the same words there.
        """
        kind = Unrecorded if is_exact(rule) else Unguarded
        return kind(self.app, self.store, self.terms(rule, head, recorded=False))

    def may_replay(self, head: RequestHead, record: Record) -> bool:
        """Ask the author whether the caller of *head* may have *record*'s answer."""
        return self.authorize_replay is None or self.authorize_replay(head, record)

    def gate(self, body: Spool) -> AbstractContextManager[Any]:
        """Let only a few large bodies into memory at once."""
        return self._gate if body.spilled else nullcontext()

    def close(self) -> None:
        """End the guard, and the store if it was opened here."""
        self.guard.close()
        if self._owns_store:
            self.store.close()


def _close_if_there(middleware: weakref.ref[IdempotencyMiddleware]) -> None:
    there = middleware()
    if there is not None:
        there.close()


def _opened(store: Store | str, store_timeout: timedelta) -> Store:
    if not isinstance(store, str):
        check_store(store)
        return store
    from keyonce.stores.url import open_store  # noqa: PLC0415 - only for URLs

    return open_store(store, store_timeout=store_timeout)
