# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The response side of the WSGI gateway: held, recorded, then let go.

A response is held until it ends or grows past 256 KiB. From then on its pieces
go out as they come, but always one behind: a WSGI app does not say which piece is
its last, and that one waits until the record is complete, so that no client ever
holds a whole answer that a retry would not get.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol

from keyonce.http.ending import passes_through
from keyonce.integrations.spool import SPILL_AT, SpillFull, Spool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType
    from wsgiref.types import StartResponse

    from keyonce.http.messages import Headers
    from keyonce.integrations.spool import SpillSpace

    ExcInfo = (
        tuple[type[BaseException], BaseException, TracebackType]
        | tuple[None, None, None]
    )
    Write = Callable[[bytes], object]


class ResponseCutOff(Exception):
    """A streamed answer could not be recorded: its end must not be sent."""


class Outward(Protocol):
    """Makes the headers that leave from those that the app sent."""

    def __call__(self, headers: Headers, *, early: bool) -> Headers:
        """Give the headers; *early*: before the record is complete."""


class Outgoing:
    """What the app sends of one guarded response."""

    def __init__(
        self,
        start_response: StartResponse,
        *,
        space: SpillSpace,
        keep_up_to: int,
        outward: Outward,
    ) -> None:
        """Send through the server's *start_response*, early or late."""
        self._server = start_response
        self._keep_up_to = keep_up_to
        self._outward = outward
        self._server_write: Write | None = None
        self._last: list[bytes] = []
        self.status: int | None = None
        self.headers: Headers = ()
        self.body = Spool(space)
        self.size = 0
        self.whole = True
        self.streaming = False
        self.passing = False
        self.gone = False

    def start_response(
        self,
        status: str,
        headers: list[tuple[str, str]],
        exc_info: ExcInfo | None = None,
        /,
    ) -> Write:
        """Take the head of the response; the ``start_response`` that the app gets.

        With *exc_info* it takes the place of an earlier one, before any body.
        """
        if exc_info is not None:
            try:
                if self.size and exc_info[1] is not None:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None
        elif self.status is not None:
            message = "The app started its response twice."
            raise AssertionError(message)
        self.headers = encoded(headers)
        self.status = int(status[:3])
        return self.write

    def write(self, data: bytes) -> None:
        """Take a piece of the body; the ``write`` that ``start_response`` gives."""
        for piece in self.take(data):
            self._push(piece)

    def _push(self, piece: bytes) -> None:
        if self.gone or self._server_write is None:
            return
        try:
            self._server_write(piece)
        except OSError:
            self.gone = True

    def take(self, data: bytes) -> Iterator[bytes]:
        """Keep a piece of the body; give what of it all is to go out now.

        It is kept as the pieces are asked for: take them to the end.
        """
        if not isinstance(data, bytes):
            message = f"A WSGI app gives bytes, not {type(data).__name__}."
            raise TypeError(message)
        if not data:
            return
        if self.status is None:
            message = "The app sent a body before it started a response."
            raise RuntimeError(message)
        if not self.size:
            self.passing = passes_through(self.status, self.headers)
        if self.passing:
            yield from self._pass(data)
            return
        # What goes beyond the declared length would let the whole answer out.
        whole_before = self._declared_reached()
        if self.size > SPILL_AT and not (self.streaming or whole_before):
            yield from self._stream()
        yield from self._keep(data)
        if self.streaming:
            if not whole_before:
                yield from self._last
                self._last.clear()
            self._last.append(data)

    def _pass(self, data: bytes) -> Iterator[bytes]:
        if not self.size:
            self.send_head(early=True)
        self.size += len(data)
        yield data

    def _stream(self) -> Iterator[bytes]:
        self.streaming = True
        self.send_head(early=True)
        yield from self.body.chunks()

    def _keep(self, data: bytes) -> Iterator[bytes]:
        held: list[bytes] = []
        if self.size <= SPILL_AT < self.size + len(data):
            held.extend(self.body.chunks())
        self.size += len(data)
        if self.streaming and self.size > self._keep_up_to:
            self._give_up()
        if not self.whole:
            return
        try:
            self.body.write(data)
        except (OSError, SpillFull):
            self._give_up()
            if not self.streaming:
                self.streaming = True
                self.send_head(early=True)
                yield from held

    def _give_up(self) -> None:
        """Keep no copy: the work counts as done, its answer is not kept."""
        self.whole = False
        self.body.close()

    def copy(self) -> bytes | None:
        """Give the whole body, or None when there is no copy that can be read."""
        if not self.whole:
            return None
        try:
            return self.body.read()
        except OSError:  # the work is done all the same
            return None

    def _declared_reached(self) -> bool:
        declared = declared_length(self.headers)
        return declared is not None and self.size >= declared

    def last(self) -> bytes:
        """Give what waited for the record."""
        return b"".join(self._last)

    def send_head(self, *, early: bool, extra: Headers = ()) -> None:
        """Tell the server the head of the app's response."""
        self._start(self.status or 0, self._outward(self.headers, early=early) + extra)

    def answer_head(self, status: int, headers: Headers) -> None:
        """Tell the server the head of an answer of our own."""
        self._start(status, headers)

    def _start(self, status: int, headers: Headers) -> None:
        self._server_write = self._server(status_line(status), decoded(headers))


class Answer:
    """What the server gets: pieces, and what is to be done when they are sent."""

    def __init__(self, pieces: Iterable[bytes], close: Callable[[], None]) -> None:
        """Give *pieces*, then call *close*."""
        self._pieces = iter(pieces)
        self._close: Callable[[], None] | None = close

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._pieces)

    def close(self) -> None:
        """Clean up, once: the server calls this in any case (PEP 3333)."""
        close, self._close = self._close, None
        if close is not None:
            close()


def close_all(*things: Any) -> None:
    """Close those of *things* that can be; an error does not stop the others."""
    if not things:
        return
    try:
        close = getattr(things[0], "close", None)
        if close is not None:
            close()
    finally:
        close_all(*things[1:])


def encoded(headers: list[tuple[str, str]]) -> Headers:
    """Give WSGI *headers* as bytes."""
    return tuple((n.encode("latin-1"), v.encode("latin-1")) for n, v in headers)


def decoded(headers: Headers) -> list[tuple[str, str]]:
    """Give *headers* as WSGI wants them."""
    return [(n.decode("latin-1"), v.decode("latin-1")) for n, v in headers]


def status_line(status: int) -> str:
    """Give a status as WSGI wants it, first answer and replay alike."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"{status} Status"


def declared_length(headers: Headers) -> int | None:
    """Give the Content-Length that the app declared, if it did."""
    for name, value in headers:
        if name.lower() == b"content-length" and value.isdigit():
            return int(value)
    return None
