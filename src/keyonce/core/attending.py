# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Which guarded work this thread or task is at, for logs and traces."""

from __future__ import annotations

from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from keyonce.core.model import Identity


class Attending(NamedTuple):
    """The guarded work at hand.

    *execution* counts the runs of this key, this one included; *first* says
    that the key was never seen before.
    """

    identity: Identity
    rule: str
    execution: int
    first: bool

    @property
    def key(self) -> str:
        """The key as the caller sent it: not escaped."""
        return self.identity.key

    @property
    def operation(self) -> str:
        """What the key is for: not escaped."""
        return self.identity.operation


_ATTENDING: Final[ContextVar[Attending | None]] = ContextVar(
    "keyonce_attending", default=None
)


def current() -> Attending | None:
    """Give the guarded work that the caller runs inside, or None."""
    return _ATTENDING.get()


class Attendance:
    """The time spent at one guarded work; made by ``attending``."""

    __slots__ = ("_token", "_work")

    def __init__(self, work: Attending) -> None:
        """Say what the work is; nothing is set before the block is entered."""
        self._work = work
        self._token: Token[Attending | None] | None = None

    def __enter__(self) -> Attending:
        """Set the work for this thread or task and those it starts."""
        self._token = _ATTENDING.set(self._work)
        return self._work

    def __exit__(self, *_: object) -> None:
        """Set what was there before."""
        token, self._token = self._token, None
        if token is None:
            return
        try:
            _ATTENDING.reset(token)
        except ValueError:
            # Left in another context than it was entered in, as a framework does
            # that runs both halves of a dependency in a thread pool: that copy of
            # the context dies by itself.
            return


def attend(work: Attending) -> None:
    """Mark the rest of this task, or of this copied context, as part of *work*."""
    _ATTENDING.set(work)


def attending(work: Attending) -> Attendance:
    """Mark everything inside the ``with`` block as part of *work*.

    Tasks and threads started with a copy of the context are marked as well.
    """
    return Attendance(work)
