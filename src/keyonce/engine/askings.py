# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Which keys a reconcile hook is asked about in this process, and when again.

At most one asking for each key at a time; between two there is a pause that doubles.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from keyonce.engine.tokens import jittered

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyonce.core.model import Identity

A = TypeVar("A")

FIRST_PAUSE: Final = 2.0
LONGEST_PAUSE: Final = 300.0
AT_ONCE: Final = 16
REMEMBERED: Final = 10_000
HOUR: Final = 3600.0


@dataclass(slots=True)
class _Turn(Generic[A]):
    """One key: how often it was asked about, when again, and by whom just now."""

    tries: int = 0
    due_at: float = 0.0
    told_at: float | None = None
    asking: A | None = None


class Askings(Generic[A]):
    """The askings of one guard, each a value that waiters can wait for."""

    def __init__(self, *, at_once: int = AT_ONCE, remembered: int = REMEMBERED) -> None:
        """Ask about *at_once* keys at a time, remembering *remembered* pauses."""
        self._at_once = at_once
        self._remembered = remembered
        self._reset()

    def _reset(self) -> None:
        self._turns: OrderedDict[Identity, _Turn[A]] = OrderedDict()
        self._running = 0
        self._lock = threading.Lock()
        self._process = os.getpid()

    def join(
        self, identity: Identity, now: float, begin: Callable[[], A]
    ) -> tuple[A, bool] | None:
        """Give the asking about *identity*, and whether it is to be carried out here.

        None where it is not due yet, or too many are asked about already.
        """
        if self._process != os.getpid():
            self._reset()  # those of before the fork are not in this process
        with self._lock:
            turn = self._turns.get(identity)
            if turn is not None and turn.asking is not None:
                return turn.asking, False
            if self._running >= self._at_once:
                return None
            if turn is None:
                turn = self._turns[identity] = _Turn()
                self._forget()
            elif now < turn.due_at:
                return None
            turn.asking = begin()
            self._running += 1
            return turn.asking, True

    def over(self, identity: Identity, now: float, *, decided: bool) -> None:
        """End the asking about *identity*: for good, or until after its pause."""
        with self._lock:
            turn = self._turns.get(identity)
            if turn is None or turn.asking is None:
                return
            self._running -= 1
            turn.asking = None
            if decided:
                del self._turns[identity]
                return
            pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(turn.tries, 20))
            turn.tries += 1
            turn.due_at = now + jittered(pause)

    def again_in(self, identity: Identity, now: float) -> float:
        """In how many seconds *identity* is asked about again; 0 when it is due."""
        turn = self._turns.get(identity)
        return 0.0 if turn is None else max(0.0, turn.due_at - now)

    def to_be_told(self, identity: Identity, now: float) -> bool:
        """Whether a failure of the hook is news: once for each key and hour."""
        with self._lock:
            turn = self._turns.get(identity)
            if turn is None:
                return True
            if turn.told_at is not None and now - turn.told_at < HOUR:
                return False
            turn.told_at = now
            return True

    def _forget(self) -> None:
        """Keep the pauses of as many keys as are to be remembered."""
        idle = (key for key, turn in self._turns.items() if turn.asking is None)
        while len(self._turns) > self._remembered:
            key = next(idle, None)
            if key is None:
                return
            del self._turns[key]
            idle = (key for key, turn in self._turns.items() if turn.asking is None)
