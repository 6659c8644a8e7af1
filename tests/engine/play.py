# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A flow played by hand: no store, no thread, no clock but this one."""

from __future__ import annotations

from collections.abc import Callable, Generator
from itertools import count
from typing import Any

from keyonce.core.flow import run
from keyonce.core.model import Claim, Claimed, Completion
from keyonce.engine.commands import (
    AwaitEnd,
    AwaitNews,
    ClaimKey,
    CompleteKey,
    Hear,
    Hearken,
    LetGo,
    NewToken,
    Now,
    Sleep,
    StoreCommand,
    Tell,
    Waits,
)

Answer = Callable[[Any], Any]


class Play:
    """Answers a flow: time passes when it waits, tokens are numbered.

    *store* answers each store command in turn: a value, an exception to throw,
    or a function of the command. The last one is repeated. *news* is what is
    heard; *meanwhile* is called at each wait for news.
    """

    def __init__(self, *store: Any, news: Claimed | None = None) -> None:
        self.now = 100.0
        self.store = list(store)
        self.news = news
        self.meanwhile: Answer = lambda command: None
        self.asked: list[StoreCommand] = []
        self.slept: list[float] = []
        self.told: list[Claimed] = []
        self.awaited: list[AwaitNews] = []
        self.let_go: list[Claim] = []
        self.waits = 0
        self.hears: bool | None = False
        self._tokens = count(1)

    def play(self, flow: Generator[Any, Any, Any]) -> Any:
        """Give the result of *flow*."""
        return run(flow, self._perform)

    @property
    def claims(self) -> list[Claim]:
        return [asked.claim for asked in self.asked if isinstance(asked, ClaimKey)]

    @property
    def completions(self) -> list[Completion]:
        return [
            asked.completion for asked in self.asked if isinstance(asked, CompleteKey)
        ]

    def _perform(self, command: Any) -> Any:
        match command:
            case Now():
                return self.now
            case NewToken():
                return b"token %d" % next(self._tokens)
            case Sleep(seconds):
                self.slept.append(seconds)
                self.now += seconds
            case Waits():
                self.waits += 1
            case Hearken():
                return self.hears
            case AwaitEnd(seconds=seconds):
                self.slept.append(seconds)
                self.now += seconds
            case AwaitNews(seconds=seconds):
                self.awaited.append(command)
                self.now += seconds
                return self.meanwhile(command) is not False
            case Hear():
                return self.news
            case Tell(seat, news):
                self.told.append(news)
                seat.flight.news = news
            case LetGo(claim):
                self.let_go.append(claim)
            case _:
                self.asked.append(command)
                return self._answer(command)
        return None

    def _answer(self, command: StoreCommand) -> Any:
        answer = self.store.pop(0) if len(self.store) > 1 else self.store[0]
        if isinstance(answer, BaseException):
            raise answer
        return answer(command) if callable(answer) else answer
