# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A WSGI app that runs without a record: whatever it answers is marked.

The head is held until the first byte of the body, so that an app that fails
before it has a marked answer too, and not one of the server's making.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any

from keyonce.http import catalogue
from keyonce.http.answer import mark_unprotected
from keyonce.integrations.wsgi_request import give
from keyonce.integrations.wsgi_response import (
    Answer,
    close_all,
    decoded,
    encoded,
    status_line,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from keyonce.http.messages import Body, Response
    from keyonce.integrations.wsgi import IdempotencyMiddleware
    from keyonce.integrations.wsgi_response import ExcInfo, Write


class Unprotected:
    """One run of the app that a retry would repeat."""

    def __init__(
        self,
        middleware: IdempotencyMiddleware,
        app: WSGIApplication,
        start_response: StartResponse,
    ) -> None:
        """Have *app* answer through the server's *start_response*."""
        self._middleware = middleware
        self._app = app
        self._server = start_response
        self._server_write: Write | None = None
        self._head: tuple[str, list[tuple[str, str]]] | None = None
        self._result: Any = None
        self._error: Exception | None = None

    def run(self, environ: WSGIEnvironment, body: Body) -> Iterable[bytes]:
        """Run the app on *body*; its error is raised when the answer is closed."""
        try:
            give(environ, body)
            pieces = self._begun(environ)
        except BaseException as error:
            if self._server_write is not None or not isinstance(error, Exception):
                close_all(self._result, body)
                raise
            self._error = error
            pieces = self._failed()
        return Answer(pieces, lambda: self._close(body))

    def _begun(self, environ: WSGIEnvironment) -> Iterator[bytes]:
        self._result = self._app(environ, self._start_response)
        pieces = iter(self._result)
        first = next((piece for piece in pieces if piece), b"")
        self._send_head()
        return chain([first] if first else [], pieces)

    def _start_response(
        self,
        status: str,
        headers: list[tuple[str, str]],
        exc_info: ExcInfo | None = None,
        /,
    ) -> Write:
        marked = decoded(mark_unprotected(encoded(headers)))
        if exc_info is not None and self._server_write is not None:
            return self._server(status, marked, exc_info)
        if exc_info is None and self._head is not None:
            message = "The app started its response twice."
            raise AssertionError(message)
        self._head = status, marked
        return self._write

    def _write(self, data: bytes) -> None:
        self._send_head()(data)

    def _send_head(self) -> Write:
        if self._server_write is None:
            if self._head is None:
                message = "The app ended without starting a response."
                raise RuntimeError(message)
            self._server_write = self._server(*self._head)
        return self._server_write

    def _failed(self) -> Iterator[bytes]:
        answer = self._failure()
        self._server(status_line(answer.status), decoded(answer.headers))
        return iter([answer.body])

    def _failure(self) -> Response:
        problem = catalogue.handler_failed(freed=True)
        answer = self._middleware.gateway.told(problem)
        return replace(answer, headers=mark_unprotected(answer.headers))

    def _close(self, body: Body) -> None:
        try:
            close_all(self._result, body)
        finally:
            if self._error is not None:
                raise self._error
