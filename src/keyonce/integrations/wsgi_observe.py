# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Look at WSGI traffic without touching it: the stages observe and validate.

The request runs as if nobody looked. What enforcing would have said is found out
by another thread, on a shadow of the key's record, and told as an event.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
from typing import TYPE_CHECKING, Any, Final

from keyonce.core.decide import Proceed
from keyonce.core.errors import IdempotencyError
from keyonce.core.events import Outcome
from keyonce.core.outcomes import outcome_of
from keyonce.integrations.shadow import (
    shadow_end,
    shadow_of,
    shadow_outcome,
    shadow_policy,
)
from keyonce.integrations.spool import SpillFull, Spool
from keyonce.integrations.wsgi_request import LengthUnknown, body_length
from keyonce.integrations.wsgi_response import Answer, close_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from wsgiref.types import StartResponse, WSGIEnvironment

    from keyonce.core.model import Identity, Lease
    from keyonce.engine.sync import Guard
    from keyonce.integrations.gateway import Visit
    from keyonce.integrations.wsgi import IdempotencyMiddleware
    from keyonce.integrations.wsgi_response import ExcInfo, Write

MOST_WAITING: Final = 10_000
log: Final = logging.getLogger("keyonce")


class Lookout:
    """The thread that looks at observed requests, one after the other.

    It keeps no request waiting: when too much is to be looked at, some is not.
    """

    def __init__(self) -> None:
        """Begin without a thread."""
        self._lock = threading.Lock()
        self._begin()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._jobs: queue.Queue[Callable[[], None]] = queue.Queue()
        self._thread: threading.Thread | None = None

    def ask(self, job: Callable[[], None], *, due: bool = False) -> bool:
        """Have *job* done after those before it; say whether it will be.

        One that is *due* always will be.
        """
        if self._process != os.getpid() or self._thread is None:
            self._start()
        if not due and self._jobs.qsize() >= MOST_WAITING:
            return False
        self._jobs.put(job)
        return True

    def _start(self) -> None:
        with self._lock:
            if self._process != os.getpid():
                self._begin()
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._work, name="keyonce-lookout", daemon=True
                )
                self._thread.start()

    def _work(self) -> None:
        while True:
            job = self._jobs.get()
            try:
                job()
            except Exception:
                log.exception("An observed request could not be looked at.")
            finally:
                self._jobs.task_done()

    def settle(self) -> None:
        """Wait until all that was asked for is done."""
        if self._process == os.getpid():
            self._jobs.join()


class Observation:
    """One request that runs unguarded while its key is looked at."""

    def __init__(
        self, middleware: IdempotencyMiddleware, visit: Visit, identity: Identity
    ) -> None:
        """Look at *visit*."""
        self._app = middleware.unguarded(visit.rule, visit.head)
        self._guard: Guard = middleware.guard
        self._lookout = middleware.lookout
        self._visit = visit
        self._identity = shadow_of(identity)
        self._length: int | None = 0
        self._copy: Spool | None = Spool(middleware.gateway.space)
        self._looking = False
        self._status: int | None = None
        self._lease: Lease | None = None

    def run(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        """Run the app on the untouched request."""
        self._length = _length(environ)
        environ["wsgi.input"] = Seen(environ["wsgi.input"], self._see)
        if self._length == 0:
            self._see(b"")

        def noting(
            status: str,
            headers: list[tuple[str, str]],
            exc_info: ExcInfo | None = None,
            /,
        ) -> Write:
            self._note(int(status[:3]))
            if exc_info is None:
                return start_response(status, headers)
            return start_response(status, headers, exc_info)

        try:
            result = self._app(environ, noting)
        except BaseException:
            self._ended()
            raise
        if self._looking and self._status is not None:
            return result
        return Answer(result, lambda: self._close(result))

    def _close(self, result: Any) -> None:
        try:
            close_all(result)
        finally:
            self._ended()

    def _see(self, data: bytes) -> None:
        """Copy what the app reads; with the last of it, begin to look."""
        if self._copy is None or self._looking:
            return
        if self._copy.size + len(data) > self._visit.rule.policy.max_request:
            self._visit.would = Outcome.TOO_LARGE
            self._forget()
            return
        try:
            self._copy.write(data)
        except (OSError, SpillFull):
            self._forget()
            return
        if self._copy.size == self._length or (self._length is None and not data):
            self._looking = self._lookout.ask(self._look)
            if self._looking and self._status is not None:
                self._lookout.ask(self._answered, due=True)

    def _note(self, status: int) -> None:
        if self._status is None:
            self._status = status
            if self._looking:
                self._lookout.ask(self._answered, due=True)

    def _ended(self) -> None:
        self._note(500)
        if not self._looking:
            self._forget()
            self._visit.ended(Outcome.OBSERVED)

    def _look(self) -> None:
        """Find out, in the other thread, what enforcing would have said."""
        try:
            self._visit.would = self._ask()
        except IdempotencyError:
            self._visit.would = Outcome.STORE_UNAVAILABLE
        finally:
            self._forget()
            if self._lease is None:
                self._visit.ended(Outcome.OBSERVED)

    def _ask(self) -> Outcome | None:
        if self._copy is None:
            return None
        attempt = self._visit.attempt(self._identity, self._copy)
        policy = shadow_policy(self._visit.rule.policy)
        decision = self._guard.begin(attempt, policy)
        if isinstance(decision, Proceed):
            self._lease = decision.lease
            return None
        self._visit.met(decision)
        return shadow_outcome(outcome_of(decision))

    def _answered(self) -> None:
        if self._lease is None or self._status is None:
            return
        end, self._visit.would = shadow_end(self._status)
        try:
            self._guard.finish(self._lease, end, self._visit.rule.policy)
        finally:
            self._visit.ended(Outcome.OBSERVED)

    def _forget(self) -> None:
        if self._copy is not None:
            self._copy.close()
            self._copy = None


class Seen:
    """A request body that the app reads, and *see* with it.

    *see* hears every piece, and nothing when the body has ended.
    """

    def __init__(self, stream: Any, see: Callable[[bytes], None]) -> None:
        """Read from *stream*."""
        self._stream = stream
        self._see = see

    def read(self, *size: int) -> bytes:
        """Read as the stream does."""
        data: bytes = self._stream.read(*size)
        self._see(data)
        if data and (not size or size[0] < 0):
            self._see(b"")
        return data

    def readline(self, *size: int) -> bytes:
        """Read a line as the stream does."""
        line: bytes = self._stream.readline(*size)
        self._see(line)
        return line

    def readlines(self, *hint: int) -> list[bytes]:
        """Read lines as the stream does."""
        lines: list[bytes] = self._stream.readlines(*hint)
        self._see(b"".join(lines))
        return lines

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _length(environ: WSGIEnvironment) -> int | None:
    try:
        return body_length(environ)
    except LengthUnknown:
        return None
