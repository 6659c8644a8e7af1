# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What scenarios hold in their hands: requests, and the known app's own tidings."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from keyonce.testing.faults import Mishap
from keyonce.testing.integration_scenarios.messages import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from keyonce.testing.integration_scenarios.messages import Call, Caller, Reply

HAPPENS_WITHIN: Final = 20.0
LOOK_EVERY: Final = 0.01
ALICE: Final = "alice"


class Lab:
    """One guarded app that is up, and what can be done to it.

    Every request is a fresh one with a key and a run of its own, so that scenarios
    share the app without meeting. *paths_are_raw* is false for a server that does
    not tell a gateway the path as it was received.
    """

    def __init__(self, caller: Caller, *, paths_are_raw: bool = True) -> None:
        """Work through *caller*."""
        self.caller = caller
        self.paths_are_raw = paths_are_raw
        self._numbers = count(1)

    def request(
        self,
        target: str,
        *,
        method: str = "POST",
        key: str | None = "",
        scope: str | None = ALICE,
        body: bytes = b"{}",
        headers: Sequence[tuple[str, str]] = (),
        chunked: bool = False,
    ) -> Request:
        """Make a request; an empty *key* is a fresh one, None is none."""
        key = f"{uuid4()}" if key == "" else key
        told = [("X-Run", self.name("run")), ("Content-Type", "application/json")]
        if key is not None:
            told.append(("Idempotency-Key", key))
        if scope is not None:
            told.append(("X-Api-Key", scope))
        return Request(method, target, (*told, *headers), body, chunked)

    def name(self, what: str) -> str:
        """Give a name that nothing else in this lab has."""
        return f"{what}-{next(self._numbers)}-{uuid4().hex[:8]}"

    def send(self, request: Request) -> Reply:
        """Send *request* and wait for the whole answer."""
        return self.caller.start(request).reply()

    def start(self, request: Request) -> Call:
        """Send *request* and go on."""
        return self.caller.start(request)

    def together(self, requests: Sequence[Request]) -> list[Reply]:
        """Send all of *requests* at once."""
        with ThreadPoolExecutor(len(requests)) as senders:
            return list(senders.map(self.send, requests))

    def settled(self, request: Request) -> Reply:
        """Send *request* until it no longer hears that another is in progress."""
        replies: list[Reply] = []

        def asked() -> bool:
            replies.append(self.send(request))
            return replies[-1].code != "request-in-progress"

        self.wait_until(asked)
        return replies[-1]

    def runs(self, request: Request) -> int:
        """How often the handler was begun for *request*."""
        runs = self._ask("runs", value(request, "X-Run"))
        assert isinstance(runs, int)
        return runs

    def outcomes(self, request: Request) -> list[str]:
        """How the arrivals of the key of *request* ended, in their order."""
        return [outcome for outcome, _ in self.ended(request)]

    def ended(self, request: Request) -> list[tuple[str, str | None]]:
        """The same, with what would have been where that was only observed."""
        ended = self._ask("outcomes", value(request, "Idempotency-Key"))
        return [(outcome, would) for outcome, would in ended]

    def given_up_for(self, request: Request) -> str | None:
        """Why the lease on the key of *request* was given up, if it was."""
        reason = self._ask("gone", value(request, "Idempotency-Key"))
        assert reason is None or isinstance(reason, str)
        return reason

    def wait_until(self, happened: Callable[[], bool]) -> None:
        """Wait until *happened*, not for ever."""
        until = time.monotonic() + HAPPENS_WITHIN
        while not happened():
            assert time.monotonic() < until, "it did not happen"
            time.sleep(LOOK_EVERY)

    def wait_at(self, gate: str, *, visitors: int = 1) -> None:
        """Wait until so many handlers stand before *gate*."""
        self.wait_until(lambda: self._ask("arrived", gate) >= visitors)

    def has_left(self, gate: str) -> bool:
        """Whether some handler that stood before *gate* has ended."""
        return bool(self._ask("left", gate))

    def arrived(self, gate: str) -> int:
        """How many handlers stood before *gate* so far."""
        arrived = self._ask("arrived", gate)
        assert isinstance(arrived, int)
        return arrived

    def open(self, gate: str) -> None:
        """Let whoever stands before *gate* go on."""
        self._ask("open", gate)

    def fail(
        self, verb: str, mishap: Mishap = Mishap.LOST_REQUEST, *, times: int = 0
    ) -> None:
        """Have the store fail at *verb* from now on, or so many *times*."""
        self._ask("fault", verb, mishap.value, str(times))

    def heal(self) -> None:
        """Let the store answer again."""
        self._ask("heal")

    def turn(self, seconds: float) -> None:
        """Turn the store's clock on."""
        self._ask("turn", str(seconds))

    def share(self, stage: str, percent: float) -> None:
        """Say how far the rule for ``/share/`` is rolled out."""
        self._ask("share", stage, str(percent))

    def rows(self, request: Request) -> int:
        """How many rows of the run of *request* are committed, where it inserts."""
        rows = self._ask("rows", value(request, "X-Run"))
        assert isinstance(rows, int)
        return rows

    def building(self, switch: str) -> None:
        """Have the app build answers from references, or fail at it: on, or off."""
        self._ask("building", switch)

    def _ask(self, *words: str) -> Any:
        reply = self.send(Request("GET", "/-/" + "/".join(words)))
        assert reply.status == 200, reply
        return reply.json()


def value(request: Request, name: str) -> str:
    """Give the value of header *name* of *request*."""
    return next(value for key, value in request.headers if key == name)


def changed(request: Request, **fields: Any) -> Request:
    """Give *request* with other *fields*."""
    return replace(request, **fields)


def with_header(request: Request, name: str, text: str) -> Request:
    """Give *request* with another value for header *name*."""
    others = tuple(pair for pair in request.headers if pair[0] != name)
    return replace(request, headers=(*others, (name, text)))
