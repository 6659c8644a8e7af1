# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The response side of the ASGI gateway: held, recorded, then let go.

A response is held until it ends or grows past 256 KiB. From then on its pieces
go out as they come, but the last one waits until the record is complete, so
that no client ever holds a whole answer that a retry would not get.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from keyonce.http.ending import passes_through
from keyonce.http.messages import BytesBody
from keyonce.integrations.spool import SPILL_AT, SpillFull, Spool

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from keyonce.http.messages import Body, Headers, Response
    from keyonce.integrations.asgi_request import Message, Send
    from keyonce.integrations.spool import SpillSpace

    Conclude = Callable[["Sent"], Awaitable["Conclusion"]]


NOTHING: Final = BytesBody()


class ResponseCutOff(Exception):
    """A streamed answer could not be recorded: its end must not be sent."""


@dataclass(slots=True)
class Sent:
    """What the app has sent so far."""

    status: int
    headers: Headers
    body: Spool | BytesBody = NOTHING
    size: int = 0
    whole: bool = True


@dataclass(slots=True)  # not frozen: one is made for every request
class LetGo:
    """Send what was held, with *extra* headers while the head is still here."""

    extra: Headers = ()


@dataclass(frozen=True, slots=True)
class Instead:
    """Send this answer in place of the one that the app made."""

    response: Response


@dataclass(frozen=True, slots=True)
class CutOff:
    """Send nothing more: the answer has no record."""


Conclusion = LetGo | Instead | CutOff


class Outward(Protocol):
    """Makes the headers that leave from those that the app sent."""

    def __call__(self, headers: Headers, *, early: bool) -> Headers:
        """Give the headers; *early*: before the record is complete."""


class Outgoing:
    """The ``send`` that the app gets, for one guarded request."""

    sent: Sent | None = None
    streaming = False
    passing = False
    unprotected = False
    over = False
    gone = False
    tail: asyncio.Task[None] | None = None
    _last: tuple[bytes, ...] = ()

    def __init__(
        self,
        send: Send,
        conclude: Conclude,
        *,
        space: SpillSpace,
        keep_up_to: int,
        outward: Outward,
        unbroken: bool,
    ) -> None:
        """Send through *send*; ask *conclude* when the app's response is whole.

        *unbroken* says that recording never waits, so that no cancellation can
        break into it; otherwise it gets a task of its own.
        """
        self._send = send
        self._conclude = conclude
        self._space = space
        self._keep_up_to = keep_up_to
        self._outward = outward
        self._unbroken = unbroken

    async def __call__(self, message: Message) -> None:
        """Take one message of the app."""
        if self.over or self.tail is not None:
            return
        if message["type"] == "http.response.start":
            await self._start(message)
        elif message["type"] == "http.response.body":
            await self._piece(message.get("body", b""), message.get("more_body", False))

    async def _start(self, message: Message) -> None:
        status, given = message["status"], message.get("headers", ())
        headers = tuple([(bytes(name), bytes(value)) for name, value in given])
        self.sent = Sent(status, headers)
        self.passing = passes_through(status, headers)
        if self.passing or self.unprotected:
            await self._send_head(headers, early=True)

    async def _piece(self, data: bytes, more: bool) -> None:  # noqa: FBT001
        sent = self.sent
        if sent is None:
            message = "The app sent a body before it started a response."
            raise RuntimeError(message)
        if self.passing or self.unprotected:
            await self._pass(sent, data, more)
            return
        if sent.size or more or len(data) > SPILL_AT:
            held = self._before_it_spills(sent, data)
            self._keep(sent, data)
            if not (sent.whole or self.streaming):
                await self._stream_uncopied(sent, held)
        else:
            sent.body, sent.size = BytesBody(data), len(data)
        if more:
            await self._go_on(sent, data)
        elif self._unbroken:
            await self._end(sent, data)
        else:
            self.tail = asyncio.ensure_future(self._end(sent, data))
            await asyncio.shield(self.tail)

    def _keep(self, sent: Sent, data: bytes) -> None:
        sent.size += len(data)
        if not sent.whole:
            return
        if self.streaming and sent.size > self._keep_up_to:
            self._give_up(sent)
            return
        try:
            if not isinstance(sent.body, Spool):
                sent.body = Spool(self._space)
            sent.body.write(data)
        except (OSError, SpillFull):
            self._give_up(sent)

    @staticmethod
    def _give_up(sent: Sent) -> None:
        """Keep no copy: the work counts as done, its answer is not kept."""
        sent.whole = False
        sent.body.close()

    @staticmethod
    def _before_it_spills(sent: Sent, data: bytes) -> list[bytes]:
        if sent.size <= SPILL_AT < sent.size + len(data):
            return [*sent.body.chunks()]
        return []

    async def _stream_uncopied(self, sent: Sent, held: list[bytes]) -> None:
        self.streaming = True
        await self._send_head(sent.headers, early=True)
        for piece in held:
            await self._send_but_last(sent, piece)

    async def _go_on(self, sent: Sent, data: bytes) -> None:
        if not self.streaming:
            if sent.size <= SPILL_AT:
                return
            await self._stream(sent)
        else:
            await self._send_but_last(sent, data)

    async def _stream(self, sent: Sent) -> None:
        self.streaming = True
        await self._send_head(sent.headers, early=True)
        for piece in sent.body.chunks():
            await self._send_but_last(sent, piece)
        if sent.size > self._keep_up_to:
            self._give_up(sent)

    async def _send_but_last(self, sent: Sent, data: bytes) -> None:
        declared = declared_length(sent.headers)
        if declared is not None and sent.size >= declared:
            self._last += (data,)
        else:
            await self.write(data, more=True)

    async def _end(self, sent: Sent, data: bytes) -> None:
        conclusion = await self._conclude(sent)
        self.over = True
        if self.streaming:
            if not isinstance(conclusion, LetGo):
                raise ResponseCutOff
            await self.write(b"".join([*self._last, data]), more=False)
        elif isinstance(conclusion, Instead):
            await self.answer(conclusion.response)
        elif isinstance(conclusion, LetGo):
            await self._let_go(sent, conclusion.extra)

    async def _let_go(self, sent: Sent, extra: Headers) -> None:
        await self._send_head(sent.headers, early=False, extra=extra)
        if sent.body.spilled:
            await self._write_all(sent.body)
            return
        data = sent.body.read()
        await self._deliver(
            {"type": "http.response.body", "body": data, "more_body": False}
        )

    async def _pass(self, sent: Sent, data: bytes, more: bool) -> None:  # noqa: FBT001
        if not more:
            if not self.unprotected:
                await self._conclude(sent)
            self.over = True
        await self.write(data, more=more)

    async def _send_head(
        self, headers: Headers, *, early: bool, extra: Headers = ()
    ) -> None:
        status = 0 if self.sent is None else self.sent.status
        # A list: middlewares further out change it in place.
        outward = [*self._outward(headers, early=early), *extra]
        await self._deliver(
            {"type": "http.response.start", "status": status, "headers": outward}
        )

    async def write(self, data: bytes, *, more: bool) -> None:
        """Send a piece of the body to the client, if it is still there."""
        await self._deliver(
            {"type": "http.response.body", "body": data, "more_body": more}
        )

    async def answer(self, response: Response) -> None:
        """Send a whole answer of our own."""
        await self._answer_head(response)
        await self.write(response.body, more=False)

    async def answer_from(self, head: Response, body: Spool) -> None:
        """Send a whole answer of our own whose body is in *body*."""
        await self._answer_head(head)
        await self._write_all(body)

    async def _answer_head(self, response: Response) -> None:
        self.over = True
        await self._deliver(
            {
                "type": "http.response.start",
                "status": response.status,
                "headers": [*response.headers],
            }
        )

    async def _write_all(self, body: Body) -> None:
        last = b""
        for piece in body.chunks():
            if last:
                await self.write(last, more=True)
            last = piece
        await self.write(last, more=False)

    def cut_off(self) -> ResponseCutOff:
        """Give what to raise so that the server closes the connection."""
        return ResponseCutOff("The app ended before its response did.")

    async def _deliver(self, message: dict[str, Any]) -> None:
        if not self.gone:
            try:
                await self._send(message)
            except OSError:
                self.gone = True
        # What is not guarded need not be carried through.
        if self.gone and (self.passing or self.unprotected):
            gone = "The client has gone."
            raise OSError(gone)

    def close(self) -> None:
        """Forget the kept copy."""
        if self.sent is not None:
            self.sent.body.close()


def declared_length(headers: Headers) -> int | None:
    """Give the Content-Length that the app declared, if it did."""
    for name, value in headers:
        if name.lower() == b"content-length" and value.isdigit():
            return int(value)
    return None


async def write_response(
    send: Send, answer: Response, *, bodiless: bool = False
) -> None:
    """Send a whole answer."""
    await send(
        {
            "type": "http.response.start",
            "status": answer.status,
            "headers": [*answer.headers],  # middlewares further out change it
        }
    )
    body = b"" if bodiless else answer.body
    await send({"type": "http.response.body", "body": body, "more_body": False})
