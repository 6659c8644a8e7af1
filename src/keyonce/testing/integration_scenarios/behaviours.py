# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What a handler can be told to do, as acts that any kind of app can perform.

| path | the handler |
|---|---|
| ``echo`` | sends the body back |
| ``order`` | answers 201 with JSON, and with headers of many kinds |
| ``session`` | the same, with headers that are not for a retry |
| ``bytes/SIZE`` | sends so many bytes, of every value |
| ``empty`` | answers 204 |
| ``status/CODE`` | answers so |
| ``stream/COUNT/SIZE`` | sends COUNT pieces, their length not told |
| ``declared/COUNT/SIZE`` | the same, their length told |
| ``break/COUNT/SIZE`` | sends COUNT pieces and raises |
| ``raise``, ``safe`` | raises; raises SafeToRetry |
| ``slow/GATE`` | waits at the gate and answers 201 |
| ``trickle/GATE/COUNT/SIZE`` | sends COUNT pieces, waits, sends one more |
| ``events``, ``events/GATE`` | sends an event stream, waiting at the gate for its end |
| ``steer/OUTCOME`` | answers 500 with a steering header |
| ``once/CODE`` | answers so at the first run, then 201 |
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from keyonce.core.errors import SafeToRetry

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator

    from keyonce.http.messages import Headers
    from keyonce.testing.integration_scenarios.known_app import KnownApp

GATE_OPENS_WITHIN: Final = 30.0

TEXT: Final = ((b"content-type", b"text/plain"),)
BINARY: Final = ((b"content-type", b"application/octet-stream"),)
EVENTS: Final = ((b"content-type", b"text/event-stream"),)
EVENT: Final = b"data: tick\n\n"
ORDER: Final = (
    (b"content-type", b"application/json; charset=utf-8"),
    (b"location", b"/orders/1"),
    (b"link", b"</orders/1>; rel=self"),
    (b"x-item", b"tea"),
    (b"link", b"</orders>; rel=up"),
    (b"x-item", b"cup, saucer"),
    (b"content-disposition", b'attachment; filename="a, b.json"'),
    (b"etag", b'"v1"'),
)
PASSING: Final = (
    (b"set-cookie", b"session=1"),
    (b"x-request-id", b"first"),
    (b"x-ratelimit-remaining", b"7"),
    (b"retry-after", b"3"),
)


class HandlerError(Exception):
    """What a handler of the known app raises."""


@dataclass(frozen=True, slots=True)
class Head:
    """Start the response."""

    status: int
    headers: Headers = ()


@dataclass(frozen=True, slots=True)
class Piece:
    """Send a piece of the body; *last* where the app knows it."""

    data: bytes
    last: bool = False


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait until *gate* is open."""

    gate: threading.Event


Act = Head | Piece | Pause


def pattern(size: int) -> bytes:
    """Give *size* bytes, of every value."""
    return (bytes(range(256)) * (size // 256 + 1))[:size]


def behave(
    app: KnownApp, parts: list[str], count: int, headers: dict[str, str], body: bytes
) -> Iterator[Act]:
    """Do what the path says; *count* is how often this run was begun."""
    match parts:
        case ["echo"]:
            kind = headers.get("content-type", "application/octet-stream").encode()
            yield from _whole(Head(200, ((b"content-type", kind),)), body)
        case ["order"]:
            yield from _whole(Head(201, ORDER), _order(count))
        case ["session"]:
            yield from _whole(Head(201, ORDER + PASSING), _order(count))
        case ["bytes", size]:
            yield from _whole(Head(200, BINARY), pattern(int(size)), told=True)
        case ["empty"]:
            yield from _whole(Head(204), b"")
        case ["status", code]:
            yield from _whole(Head(int(code), TEXT), b"run %d" % count)
        case ["once", code]:
            yield from _whole(
                Head(201 if count > 1 else int(code), TEXT), b"run %d" % count
            )
        case ["steer", outcome]:
            steering = (b"keyonce-outcome", outcome.encode())
            yield from _whole(Head(500, (*TEXT, steering)), b"run %d" % count)
        case ["raise"]:
            raise HandlerError
        case ["safe"]:
            raise SafeToRetry
        case [kind, *arguments]:
            yield from _STREAMS[kind](app, count, arguments)
        case _:
            raise LookupError(parts)


def _order(count: int) -> bytes:
    return json.dumps({"order": 1, "run": count}).encode()


def _whole(head: Head, body: bytes, *, told: bool = False) -> Iterator[Act]:
    if told:
        length = (b"content-length", b"%d" % len(body))
        head = Head(head.status, (*head.headers, length))
    yield head
    yield Piece(body, last=True)


def _stream(_app: KnownApp, _count: int, arguments: list[str]) -> Iterator[Act]:
    number, size = map(int, arguments)
    yield Head(200, BINARY)
    for _ in range(number):
        yield Piece(pattern(size))


def _declared(_app: KnownApp, _count: int, arguments: list[str]) -> Iterator[Act]:
    number, size = map(int, arguments)
    yield Head(200, (*BINARY, (b"content-length", b"%d" % (number * size))))
    for _ in range(number):
        yield Piece(pattern(size))


def _break(app: KnownApp, count: int, arguments: list[str]) -> Iterator[Act]:
    yield from _stream(app, count, arguments)
    raise HandlerError


def _slow(app: KnownApp, count: int, arguments: list[str]) -> Iterator[Act]:
    yield from _stand(app, arguments[0])
    yield from _whole(Head(201, TEXT), b"run %d" % count)


def _trickle(app: KnownApp, count: int, arguments: list[str]) -> Iterator[Act]:
    gate, *rest = arguments
    yield from _stream(app, count, rest)
    yield from _stand(app, gate)
    yield Piece(b"end", last=True)


def _events(app: KnownApp, _count: int, arguments: list[str]) -> Iterator[Act]:
    yield Head(200, EVENTS)
    yield Piece(EVENT)
    if arguments:
        yield from _stand(app, arguments[0])
    yield Piece(EVENT, last=True)


def _stand(app: KnownApp, name: str) -> Iterator[Act]:
    gate = app.arrive(name)
    try:
        yield Pause(gate)
    finally:
        app.leave(name)


_STREAMS: Final[dict[str, Callable[[KnownApp, int, list[str]], Iterator[Act]]]] = {
    "stream": _stream,
    "declared": _declared,
    "break": _break,
    "slow": _slow,
    "trickle": _trickle,
    "events": _events,
}
