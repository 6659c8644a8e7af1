# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""WSGI apps of every kind behind the gateway: PEP 3333 in both directions."""

from __future__ import annotations

import io
import sys

import flask
import pytest

from keyonce import MemoryStore, Policy, Rollout, Rule, Stage
from keyonce.integrations.spool import SPILL_AT, SpillSpace
from keyonce.telemetry.context import current
from tests.integrations.environs import Heard, call, environ, guarded

TEXT = [("Content-Type", "text/plain")]
LARGE = b"l" * (SPILL_AT + 1)


class Result:
    """What an app gives, and whether it was closed."""

    def __init__(self, pieces, error=None):
        self.pieces = iter(pieces)
        self.error = error
        self.closed = 0
        self.given = 0

    def __iter__(self):
        return self

    def __next__(self):
        piece = next(self.pieces, None)
        if piece is None:
            raise self.error or StopIteration
        self.given += 1
        return piece

    def close(self):
        self.closed += 1


def app_of(result):
    def app(environ, start_response):
        start_response("200 OK", TEXT)
        return result

    return app


@pytest.mark.parametrize(
    ("pieces", "error"),
    [
        ([b"one", b"two"], None),
        ([LARGE, b"two", b"three"], None),
        ([b"one"], LookupError()),
        ([LARGE, b"two", b"three"], LookupError()),
        ([], None),
    ],
)
def test_what_the_app_gave_is_closed_once(pieces, error):
    result = Result(pieces, error)

    heard = call(guarded(app_of(result)))

    assert 1 == result.closed
    assert error is heard.raised


def test_it_is_closed_when_the_server_stops_early_and_read_to_the_end():
    result = Result([LARGE, b"two", b"three", b"four"])
    app = guarded(app_of(result))
    heard = Heard()

    answer = app(environ(), heard.start_response)
    next(answer)
    answer.close()
    answer.close()
    later = call(app)

    assert (1, 4) == (result.closed, result.given)
    assert LARGE + b"twothreefour" == later.body
    assert later.replayed


def test_it_is_closed_when_the_server_does_not_even_begin():
    result = Result([LARGE, b"two", b"three"])
    app = guarded(app_of(result))

    app(environ(), Heard().start_response).close()

    assert (1, 3) == (result.closed, result.given)
    assert LARGE + b"twothree" == call(app).body


def test_the_app_is_closed_after_the_record_is_complete():
    seen = []

    class Late(Result):
        def close(self):
            seen.append(call(app, environ()).replayed)

    app = guarded(app_of(Late([b"one"])))
    call(app)

    assert [True] == seen


def test_an_error_in_close_reaches_the_server_and_loses_nothing():
    class Failing(Result):
        def close(self):
            raise LookupError

    app = guarded(app_of(Failing([b"one"])))
    first, second = call(app), call(app)

    assert isinstance(first.raised, LookupError)
    assert (b"one", b"one") == (first.body, second.body)
    assert second.replayed


def test_an_exception_reaches_the_server_after_the_answer():
    def app(environ, start_response):
        raise LookupError("mine")

    heard = Heard()
    answer = guarded(app)(environ(), heard.start_response)
    body = b"".join(answer)

    assert "500 Internal Server Error" == heard.status
    assert b"handler-failed" in body
    with pytest.raises(LookupError, match="mine"):
        answer.close()


@pytest.mark.parametrize("size", [10, SPILL_AT + 1])
def test_the_write_callable_is_respected(size):
    runs = []

    def app(environ, start_response):
        runs.append(1)
        write = start_response("200 OK", TEXT)
        for letter in (b"a", b"b", b"c"):
            write(letter * size)
        return [b"end"]

    app = guarded(app)
    first, second = call(app), call(app)

    assert b"a" * size + b"b" * size + b"c" * size + b"end" == first.body
    assert (first.body, True) == (second.body, second.replayed)
    assert [1] == runs


def test_a_client_that_goes_while_it_is_written_to_does_not_end_the_work():
    def app(environ, start_response):
        write = start_response("200 OK", TEXT)
        for _ in range(4):
            write(LARGE)
        return []

    def gone(data):
        raise BrokenPipeError

    app = guarded(app)
    answer = app(environ(), lambda *head: gone)
    answer.close()

    assert 4 * LARGE == call(app).body


def test_a_head_may_be_replaced_before_any_body():
    def app(environ, start_response):
        start_response("200 OK", TEXT)
        try:
            raise LookupError
        except LookupError:
            start_response("503 Sorry", TEXT, sys.exc_info())
        return [b"sorry"]

    app = guarded(app)

    assert "503 Service Unavailable" == call(app).status
    assert "503 Service Unavailable" == call(app).status


def test_a_head_may_not_be_replaced_after_a_body():
    def app(environ, start_response):
        start_response("200 OK", TEXT)
        yield b"one"
        try:
            raise LookupError("late")
        except LookupError:
            start_response("503 Sorry", TEXT, sys.exc_info())
        yield b"two"

    heard = call(guarded(app))

    assert heard.status.startswith("500")
    assert isinstance(heard.raised, LookupError)


@pytest.mark.parametrize(
    "app",
    [
        lambda environ, start_response: [b"no head"],
        lambda environ, start_response: [],
        lambda environ, start_response: start_response("200 OK", TEXT) and ["text"],
        lambda environ, start_response: (
            start_response("200 OK", TEXT),
            start_response("200 OK", TEXT),
        ),
        lambda environ, start_response: start_response("none", TEXT),
        lambda environ, start_response: None,
    ],
    ids=["headless", "empty", "text", "two heads", "no status", "none"],
)
def test_an_app_that_breaks_the_rules_has_failed(app):
    app = guarded(app)
    first, second = call(app), call(app)

    assert first.raised is not None
    assert ("500 Internal Server Error",) * 2 == (first.status, second.status)
    assert first.body == second.body


def test_a_stop_by_the_server_is_an_unclear_end():
    def app(environ, start_response):
        raise SystemExit

    app = guarded(app)
    with pytest.raises(SystemExit):
        app(environ(), Heard().start_response)

    assert b"outcome-unknown" in call(app).body


def test_a_file_wrapper_is_read_through():
    closed = []

    class File(io.BytesIO):
        def close(self):
            closed.append(1)

    def app(environ, start_response):
        start_response("200 OK", TEXT)
        return environ["wsgi.file_wrapper"](File(LARGE * 3), 1000)

    app = guarded(app)
    first, second = call(app), call(app)

    assert LARGE * 3 == first.body == second.body
    assert [1] == closed


def test_the_server_gets_no_sendfile_of_its_own():
    class Wrapper:
        """As some servers have it: only the server itself can read it."""

        def __init__(self, file, size=0):
            self.file = file

    def app(environ, start_response):
        start_response("200 OK", TEXT)
        return environ["wsgi.file_wrapper"](io.BytesIO(b"file"))

    assert b"file" == call(guarded(app), environ(**{"wsgi.file_wrapper": Wrapper})).body


def test_the_thread_is_not_marked_when_the_work_is_over():
    seen = []

    def app(environ, start_response):
        seen.append(current())
        start_response("200 OK", TEXT)
        yield b"one"
        seen.append(current())

    call(guarded(app))

    assert ["one", "one"] == [work and work.key for work in seen]
    assert current() is None


def test_a_large_answer_leaves_no_file_behind():
    for pieces, error in (
        ([LARGE, b"two", b"three"], None),
        ([LARGE * 3], None),
        ([LARGE, b"two", b"three"], LookupError()),
    ):
        space = SpillSpace()
        app = guarded(app_of(Result(pieces, error)), space=space)

        call(app, environ(body=LARGE))
        call(app, environ(body=LARGE))

        assert 0 == space.used


@pytest.mark.parametrize("pieces", [[LARGE * 2], [LARGE, LARGE, b"end"], [b"a", LARGE]])
def test_without_room_for_a_copy_the_answer_is_not_kept(pieces):
    runs = []
    space = SpillSpace(most_bytes=SPILL_AT)

    def app(environ, start_response):
        runs.append(1)
        start_response("201 Created", TEXT)
        return pieces

    app = guarded(app, space=space)
    first, second = call(app), call(app)

    assert ("201 Created", b"".join(pieces)) == (first.status, first.body)
    assert b"response-not-kept" in second.body
    assert [1] == runs
    assert 0 == space.used


def test_more_than_was_declared_does_not_let_the_answer_out_early():
    store = MemoryStore()
    declared = [("Content-Length", str(2 * len(LARGE)))]
    done = []

    def app(environ, start_response):
        start_response("200 OK", declared)
        yield LARGE
        yield LARGE
        done.append(len(heard.body))
        yield b"more"
        done.append(len(heard.body))

    heard = Heard()
    answer = guarded(app, store=store)(environ(), heard.start_response)
    for piece in answer:
        heard.written.append(piece)
    answer.close()

    assert all(size < 2 * len(LARGE) for size in done)


def test_an_observed_app_gets_the_request_as_it_came():
    def app(environ, start_response):
        body = environ["wsgi.input"]
        read = body.readline() + b"".join(body.readlines(1)) + b"".join(body)
        start_response("200 OK", TEXT)
        return [read, body.name.encode()]

    class Named(io.BytesIO):
        name = "input"

    rules = [Rule("/**", Policy(mode=Rollout(Stage.OBSERVE)))]
    body = b"one\ntwo\nthree\nfour"
    middleware = guarded(app, rules=rules)
    heard = call(middleware, environ(body=body, **{"wsgi.input": Named(body)}))
    middleware.lookout.settle()
    middleware.close()

    assert body + b"input" == heard.body


def shop(sold):
    app = flask.Flask("shop")

    @app.post("/orders")
    def order():
        sold.append(flask.request.get_json()["sku"])
        answer = flask.jsonify(number=len(sold))
        answer.call_on_close(lambda: sold.append("closed"))
        return answer, 201, {"Location": "/orders/1"}

    @app.post("/streams")
    def streams():
        sold.append("streamed")

        def pieces():
            for number in range(9):
                yield flask.request.path.encode() + b"%d" % number * 20_000

        return flask.Response(flask.stream_with_context(pieces()))

    @app.post("/fails")
    def fails():
        sold.append("failed")
        raise LookupError

    @app.post("/files")
    def files():
        sold.append("sent")
        return flask.send_file(io.BytesIO(LARGE), download_name="a, b.bin")

    return app


@pytest.mark.parametrize(
    ("path", "status", "expected"),
    [
        ("/orders", "201 CREATED", ["tea", "closed"]),
        ("/streams", "200 OK", ["streamed"]),
        ("/fails", "500 INTERNAL SERVER ERROR", ["failed"]),
        ("/files", "200 OK", ["sent"]),
        ("/nowhere", "404 NOT FOUND", []),
    ],
)
def test_a_flask_app_is_guarded(path, status, expected):
    sold: list[str] = []
    app = guarded(shop(sold))
    body = b'{"sku": "tea"}'

    first = call(app, environ(path, body=body))
    second = call(app, environ(path, body=body))

    assert status == first.status.upper() == second.status.upper()
    assert first.body == second.body
    assert second.replayed
    assert expected == sold
    kept = {"content-type", "location", "content-disposition"}
    headers = [[p for p in h.headers if p[0].lower() in kept] for h in (first, second)]
    assert headers[0] == headers[1]
