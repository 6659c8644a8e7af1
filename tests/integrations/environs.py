# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Small WSGI calls, made by hand."""

from __future__ import annotations

import io
from dataclasses import dataclass, field

from keyonce import MemoryStore, by_header
from keyonce.integrations.wsgi import IdempotencyMiddleware


def environ(path="/orders", *, key="one", body=b"{}", **changes):
    made = {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "test",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_LENGTH": str(len(body)),
        "CONTENT_TYPE": "application/json",
        "HTTP_IDEMPOTENCY_KEY": key,
        "HTTP_X_API_KEY": "me",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    made.update(changes)
    return {name: value for name, value in made.items() if value is not None}


@dataclass
class Heard:
    """What a server heard of one call."""

    status: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)
    written: list[bytes] = field(default_factory=list)
    raised: BaseException | None = None

    def start_response(self, status, headers, exc_info=None):
        assert not self.status, "two heads"
        self.status, self.headers = status, headers
        return self.written.append

    @property
    def body(self):
        return b"".join(self.written)

    @property
    def replayed(self):
        return ("idempotency-replayed", "true") in self.headers


def call(app, request=None):
    """Call *app* as a server does: iterate, then close, whatever happens."""
    heard, result = Heard(), ()
    try:
        result = app(environ() if request is None else request, heard.start_response)
        heard.written.extend(result)
    except Exception as error:  # noqa: BLE001 - a server logs it
        heard.raised = error
    finally:
        try:
            getattr(result, "close", lambda: None)()
        except Exception as error:  # noqa: BLE001 - a server logs it
            heard.raised = error
    return heard


def guarded(app, **settings):
    settings.setdefault("store", MemoryStore())
    settings.setdefault("scope", by_header("X-Api-Key"))
    return IdempotencyMiddleware(app, **settings)
