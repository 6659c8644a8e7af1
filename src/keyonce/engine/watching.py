# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Whoever watches the work must not break it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, Self

from keyonce.core.errors import IdempotencyError
from keyonce.core.events import LeaseEnded, NoObserver, Observers, StoreCalled
from keyonce.core.model import Claimed
from keyonce.core.states import Status
from keyonce.engine.commands import ClaimKey, ClaimKeys

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyonce.core.events import Observer
    from keyonce.engine.commands import StoreCommand

# As our messages quote it, by repr.
_SCOPE: Final = re.compile(r""" in scope (?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")""")
AT_ONCE: Final = 0.001  # stores round instants to the millisecond at worst


def introduce(store: Any, observer: Observer) -> None:
    """Let a store that has things to tell, such as a tiered one, tell *observer*."""
    observed_by = getattr(store, "observed_by", None)
    if observed_by is not None and not isinstance(observer, NoObserver):
        observed_by(observer)


def harmless(observer: Observer) -> Observer:
    """Give *observer* such that it may raise and nobody suffers."""
    if isinstance(observer, NoObserver | Observers):
        return observer
    return Observers(observer)


def only_once(call: Callable[[], object]) -> Callable[[], object]:
    """Give *call* such that only the first time counts."""
    left = [call]

    def calling() -> object:
        return left.pop()() if left else None

    return calling


class StoreCall:
    """One call of a store, told to an observer when the block ends."""

    __slots__ = ("_clock", "_command", "_observer", "_started", "_store")

    def __init__(
        self,
        store: str,
        command: StoreCommand,
        observer: Observer,
        clock: Callable[[], float],
    ) -> None:
        """Time *command* on the store of that name."""
        self._store = store
        self._command = command
        self._observer = observer
        self._clock = clock
        self._started = 0.0

    def __enter__(self) -> Self:
        """Begin to count."""
        self._started = self._clock()
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _at: object) -> None:
        """Tell how long it took, and why it failed if it did."""
        took = self._clock() - self._started
        verb, failed = self._command.verb, error is not None
        self._observer.notify(
            StoreCalled(self._store, verb, took, failed, reason_of(error))
        )

    def answered(self, answer: Any) -> Any:
        """Look at *answer*, and hand it on."""
        match self._command:
            case ClaimKey():
                self._claimed(answer)
            case ClaimKeys():
                for each in answer:
                    if isinstance(each, Claimed):
                        self._claimed(each)
        return answer

    def _claimed(self, claimed: Claimed) -> None:
        record = claimed.record
        if record.status is not Status.UNKNOWN or record.ended_at is None:
            return
        if abs(claimed.now - record.ended_at) <= AT_ONCE:
            self._observer.notify(LeaseEnded(record.identity))


def reason_of(error: BaseException | None) -> str:
    """Say why a call failed, for a log: no secret, and no scope, which may be one."""
    if error is None:
        return ""
    if not isinstance(error, IdempotencyError):
        return type(error).__name__  # its words are not ours
    return _SCOPE.sub("", " ".join(str(error).split()))
