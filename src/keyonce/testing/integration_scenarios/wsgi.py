# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The known app as a WSGI app, and a caller for guarded ones without a server."""

from __future__ import annotations

import io
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote_to_bytes
from wsgiref.validate import validator

from keyonce.testing.integration_scenarios.behaviours import (
    GATE_OPENS_WITHIN,
    Head,
    Pause,
    Piece,
)
from keyonce.testing.integration_scenarios.messages import Reply, lower

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from keyonce.testing.integration_scenarios.known_app import KnownApp
    from keyonce.testing.integration_scenarios.messages import Request

ANSWERED_WITHIN: Final = 60.0


def wsgi_app(known: KnownApp) -> WSGIApplication:
    """Give *known* as a WSGI app, written as a generator."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        body = _whole_body(environ)
        headers = {
            name.removeprefix("HTTP_").lower().replace("_", "-"): str(value)
            for name, value in environ.items()
            if name.startswith("HTTP_") or name == "CONTENT_TYPE"
        }
        path = environ["SCRIPT_NAME"] + environ["PATH_INFO"]
        acts = known.acts(environ["REQUEST_METHOD"], path, headers, body)
        for act in acts:
            match act:
                case Head(status, pairs):
                    told = [
                        (n.decode("latin-1"), v.decode("latin-1")) for n, v in pairs
                    ]
                    start_response(f"{status} Told", told)
                case Piece(data):
                    yield data
                case Pause(gate):
                    gate.wait(GATE_OPENS_WITHIN)

    return app


def _whole_body(environ: WSGIEnvironment) -> bytes:
    stream = environ["wsgi.input"]
    length = environ.get("CONTENT_LENGTH")
    if length:
        body: bytes = stream.read(int(length))
        return body
    if environ.get("wsgi.input_terminated"):
        return b"".join(iter(lambda: stream.read(65_536), b""))
    return b""


class WsgiCaller:
    """Calls a guarded WSGI app, each time in a thread, as a server does.

    The app is held to PEP 3333 on the way, by ``wsgiref.validate``.
    """

    def __init__(self, app: WSGIApplication) -> None:
        """Call *app*."""
        self._app = app

    def start(self, request: Request) -> WsgiCall:
        """Send *request*."""
        return WsgiCall(self._app, request)

    def close(self) -> None:
        """Do nothing: each call cleans up after itself."""


class WsgiCall:
    """One call of a WSGI app. It takes what is read; the rest waits."""

    def __init__(self, app: WSGIApplication, request: Request) -> None:
        """Send *request* to *app*."""
        self._app = validator(app)
        self._request = request
        self._news = threading.Condition()
        self._status: int | None = None
        self._headers: list[tuple[str, str]] = []
        self._body = bytearray()
        self._taken = 0
        self._wanted: float = 0
        self._gone = False
        self._whole = False
        self._over = False
        self.raised: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _environ(self) -> dict[str, Any]:
        request = self._request
        path, _, query = request.target.partition("?")
        environ: dict[str, Any] = {
            "REQUEST_METHOD": request.method,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
            "RAW_URI": request.target,
            "QUERY_STRING": query,
            "SERVER_NAME": "test",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(request.body),
            "wsgi.input_terminated": True,
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        if not request.chunked:
            environ["CONTENT_LENGTH"] = str(len(request.body))
        else:
            environ["HTTP_TRANSFER_ENCODING"] = "chunked"
        for name, value in request.headers:
            variable = name.upper().replace("-", "_")
            if variable != "CONTENT_TYPE":
                variable = f"HTTP_{variable}"
            before = f"{environ[variable]}," if variable in environ else ""
            environ[variable] = before + value
        return environ

    def _run(self) -> None:
        result: Iterable[bytes] = ()
        try:
            result = self._app(self._environ(), self._start_response)
            for piece in result:
                self._write(piece)
            self._note(whole=True)
        except BaseException as error:  # noqa: BLE001 - a server logs it
            self.raised = error
        finally:
            try:
                with suppress(BaseException):
                    getattr(result, "close", lambda: None)()
            finally:
                self._note(whole=self._whole, over=True)

    def _note(self, *, whole: bool, over: bool = False) -> None:
        with self._news:
            self._whole = whole
            self._over = self._over or over or whole
            self._news.notify_all()

    def _start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None, /
    ) -> Any:
        assert exc_info is None, "the gateway knows when its head has gone out"
        assert self._status is None, "two heads"
        self._status = int(status[:3])
        self._headers = headers
        return self._write

    def _write(self, piece: bytes) -> None:
        with self._news:
            self._body += piece
            self._news.notify_all()
            self._news.wait_for(
                lambda: self._gone or self._wanted >= len(self._body), ANSWERED_WITHIN
            )
        if self._gone:
            raise BrokenPipeError

    def read(self, size: int) -> bytes:
        """Wait for the next *size* bytes of the answer's body."""
        end = self._taken + size
        with self._news:
            self._wanted = max(self._wanted, end)
            self._news.notify_all()
            self._news.wait_for(
                lambda: self._over or len(self._body) >= end, ANSWERED_WITHIN
            )
            read = bytes(self._body[self._taken : end])
        self._taken = end
        return read

    def reply(self) -> Reply:
        """Wait for the rest of the answer."""
        with self._news:
            self._wanted = float("inf")
            self._news.notify_all()
            answered = self._news.wait_for(lambda: self._over, ANSWERED_WITHIN)
        assert answered, "no answer"
        if self._status is None:
            return Reply(500, (), b"", cut_off=True)
        headers = tuple(
            (name.encode("latin-1"), value.encode("latin-1"))
            for name, value in self._headers
        )
        return Reply(
            self._status, lower(headers), bytes(self._body), cut_off=not self._whole
        )

    def hang_up(self) -> None:
        """Go away without waiting for the rest."""
        with self._news:
            self._gone = True
            self._news.notify_all()
