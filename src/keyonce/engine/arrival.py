# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""One call of a guarded function, as observers and log lines hear of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from keyonce.core.attending import Attendance, Attending, attending
from keyonce.core.errors import RecordUnreadable
from keyonce.core.events import Arrived, Ended, Outcome, Started
from keyonce.core.outcomes import outcome_of
from keyonce.engine.finished import Stored, outcome_of_end

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyonce.core.events import Observer
    from keyonce.core.model import Identity, Lease
    from keyonce.core.outcomes import Answerable
    from keyonce.engine.finished import Finished


class Arrival:
    """From the call to its one outcome. *rule* is the name of the function.

    *hears* is told, once there is work, why its lease is gone.
    """

    _execution = 0
    _key_age: float | None = None
    _reference: str | None = None
    _told = False
    _would: Outcome | None = None
    hears: Callable[[str], object] | None = None

    def __init__(self, observer: Observer, rule: str, identity: Identity) -> None:
        """Arrive."""
        self._observer = observer
        self._rule = rule
        self._identity = identity
        self._came_at = time.monotonic()
        observer.notify(Arrived(rule, identity))

    def at_work(self, lease: Lease) -> Attendance:
        """Say that the work starts; the block of this is marked as being at it."""
        self._execution = lease.execution
        started = Started(self._rule, self._identity, lease.execution)
        self._observer.notify(started)
        first = lease.execution == 1
        return attending(Attending(self._identity, self._rule, lease.execution, first))

    def gone(self, reason: str) -> None:
        """Pass on that the lease is gone."""
        if self.hears is not None:
            self.hears(reason)

    def met(self, decision: Answerable) -> None:
        """Tell what became of a call that did not run."""
        self._key_age = max(0.0, time.time() - decision.record.created_at)
        self._reference = decision.record.reference
        self.ended(outcome_of(decision))

    def finished(self, finished: Finished, *, failed: bool) -> None:
        """Tell what became of the work."""
        if isinstance(finished, Stored):
            self._reference = finished.record.reference
        self.ended(outcome_of_end(finished, failed=failed))

    def observed(self, would: Outcome | None = None) -> None:
        """Tell that the work ran without protection; *would* if that was counted."""
        self._would = would or self._would
        self.ended(Outcome.OBSERVED)

    def ended(self, outcome: Outcome) -> None:
        """Tell the one outcome of this call; later ones are not told."""
        if self._told:
            return
        self._told = True
        self._observer.notify(
            Ended(
                rule=self._rule,
                identity=self._identity,
                outcome=outcome,
                took=time.monotonic() - self._came_at,
                execution=self._execution,
                would=self._would,
                key_age=self._key_age,
                reference=self._reference,
            )
        )


def outcome_of_silence(error: BaseException) -> Outcome:
    """Name the outcome of a call that *error* kept from being decided."""
    if isinstance(error, RecordUnreadable):
        return Outcome.UNREADABLE
    return Outcome.STORE_UNAVAILABLE if isinstance(error, Exception) else Outcome.GONE
