# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The thread that keeps leases alive while the work lasts.

It has its own way to the store, so that a handler that blocks an event loop
does not starve it. A store that is busy or gone is not a lost lease: only the
store's own word that another owner has the key is.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from keyonce.core.errors import RecordUnreadable, StoreError
from keyonce.core.events import LeaseGone, LeaseRenewed, Recorded
from keyonce.core.states import Status
from keyonce.engine import flows
from keyonce.engine.finished import Lost
from keyonce.engine.tokens import jittered
from keyonce.engine.watching import harmless

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyonce.core.events import Observer
    from keyonce.core.model import Lease
    from keyonce.core.protocols import Store
    from keyonce.engine.commands import LateCommand

SOON: Final = 0.1
LONGEST_PAUSE: Final = 2.0
log: Final = logging.getLogger("keyonce")


@dataclass(slots=True, eq=False)
class Watch:
    """One lease under watch. *due_at* and *limit_at* are on the monotonic clock.

    *late* is to be carried out after the fact; with *quiet* nobody is told.
    """

    lease: Lease
    on_gone: Callable[[str], None] | None
    due_at: float
    limit_at: float
    late: LateCommand | None = None
    on_renewed: Callable[[float], None] | None = None
    ending: bool = False
    quiet: bool = False
    pause: float = SOON


class Heartbeat:
    """Renews every lease under watch when a third of it has passed."""

    def __init__(
        self,
        store: Callable[[], Store],
        observer: Observer,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Reach the store by calling *store* inside the thread, once."""
        self._open = store
        self._observer = harmless(observer)
        self._clock = clock
        self._resets: dict[int, threading.Lock] = {}
        self._reset()

    def _reset(self) -> None:
        self._watches: dict[bytes, Watch] = {}
        self._condition = threading.Condition()
        self._thread: threading.Thread | None = None
        self._wakes_at = float("inf")
        self._shortest = 60.0
        self._stopping = False
        self._process = os.getpid()  # last: who sees it finds the rest new

    def _after_fork(self) -> None:
        # The first of many threads gives all of them the same lock, a new one.
        with self._resets.setdefault(os.getpid(), threading.Lock()):
            if self._process != os.getpid():
                self._reset()

    def watch(
        self,
        lease: Lease,
        work_limit: float,
        on_gone: Callable[[str], None] | None,
        on_renewed: Callable[[float], None] | None = None,
    ) -> None:
        """Keep *lease* alive for at most *work_limit* seconds.

        *on_gone* is called in the heartbeat's thread with ``lost``, ``parked`` or
        ``work-limit``, at most once; *on_renewed* with each new end of the lease.
        """
        now = self._clock()
        limit_at = now + work_limit
        due_at = now + lease.lasts_for / 3
        watch = Watch(lease, on_gone, min(due_at, limit_at), limit_at)
        watch.on_renewed = on_renewed
        self._add(watch)

    def ending(self, lease: Lease) -> None:
        """Expect the record of *lease* to be closed by its owner any moment."""
        watch = self._watches.get(lease.owner)
        if watch is not None:
            watch.ending = True

    def unwatch(self, lease: Lease) -> None:
        """Leave *lease* alone from now on."""
        self._watches.pop(lease.owner, None)

    def record_late(self, lease: Lease, ending: LateCommand, *, within: float) -> None:
        """Go on trying to carry *ending* out, for at most *within* seconds."""
        now = self._clock()
        watch = Watch(lease, None, now + SOON, now + within, ending)
        self._add(watch)

    def let_go(self, lease: Lease, release: LateCommand, *, within: float) -> None:
        """Carry *release* out like ``record_late``, without a word: nothing has run."""
        now = self._clock()
        self._add(Watch(lease, None, now + SOON, now + within, release, quiet=True))

    def close(self) -> None:
        """Try what is late once more, and end the thread."""
        with self._condition:
            self._stopping = True
            thread = self._thread
            self._condition.notify()
        if thread is not None and self._process == os.getpid():
            thread.join(timeout=10)

    def _add(self, watch: Watch) -> None:
        if self._process != os.getpid():
            self._after_fork()
        self._watches[watch.lease.owner] = watch
        every = watch.lease.lasts_for / 3
        # The thread may be on its way to a rest that is too long for this one.
        shorter = every < self._shortest
        if shorter:
            self._shortest = every
        if self._thread is None or shorter or watch.due_at < self._wakes_at:
            with self._condition:
                self._start()
                self._condition.notify()

    def _start(self) -> None:
        if self._thread is None and not self._stopping:
            self._thread = threading.Thread(
                target=self._run, name="keyonce-heartbeat", daemon=True
            )
            self._thread.start()

    def _run(self) -> None:
        store: Store | None = None
        while not self._stopping:
            now = self._clock()
            due = [watch for watch in self._all() if watch.due_at <= now]
            if due and store is None:
                store = self._reach()
            for watch in due:
                self._beat_on(store, watch)
            self._rest()
        self._last_try(store)

    def _last_try(self, store: Store | None) -> None:
        late = [(watch, watch.late) for watch in self._all() if watch.late is not None]
        if late and store is None:
            store = self._reach()
        if store is not None:
            for watch, command in late:
                self._carry_out(store, watch, command)

    def _all(self) -> list[Watch]:
        return list(self._watches.values())

    def _reach(self) -> Store | None:
        try:
            return self._open()
        except StoreError:
            return None
        except Exception:
            log.exception("The heartbeat cannot reach the store; it tries again.")
            return None

    def _rest(self) -> None:
        with self._condition:
            now = self._clock()
            next_due = min((w.due_at for w in self._all()), default=float("inf"))
            # Idle, it still looks round as often as the shortest lease asks, so
            # that adding one seldom has to wake it.
            self._wakes_at = min(next_due, now + self._shortest)
            if not self._stopping:
                self._condition.wait(max(0.0, self._wakes_at - now))

    def _beat_on(self, store: Store | None, watch: Watch) -> None:
        """Beat, and go on whatever happens: other leases depend on this thread."""
        try:
            self._beat(store, watch)
        except Exception:
            pause = min(1.0, watch.lease.lasts_for / 6)
            watch.due_at = max(watch.due_at, self._clock() + pause)
            log.exception("The heartbeat of a lease failed; it is tried again.")

    def _beat(self, store: Store | None, watch: Watch) -> None:
        if self._watches.get(watch.lease.owner) is not watch:
            return
        if watch.late is not None:
            self._beat_late(store, watch, watch.late)
        elif self._clock() >= watch.limit_at:
            self._end_of_limit(store, watch)
        elif store is None:
            watch.due_at = self._clock() + jittered(SOON)
        else:
            self._renew(store, watch)

    def _renew(self, store: Store, watch: Watch) -> None:
        lease = watch.lease
        sent_at = self._clock()
        try:
            record = store.renew(lease.identity, lease.owner)
        except StoreError:
            watch.due_at = self._clock() + jittered(SOON)
            return
        if record is None:
            self._gone(watch, "lost")
        elif record.status is Status.UNKNOWN:
            self._gone(watch, "parked")
        else:
            watch.due_at = min(sent_at + lease.lasts_for / 3, watch.limit_at)
            if watch.on_renewed is not None:
                watch.on_renewed(record.lease_until)
            self._observer.notify(LeaseRenewed(lease.identity))

    def _end_of_limit(self, store: Store | None, watch: Watch) -> None:
        lease = watch.lease
        if not lease.guarantee.runs_again and store is not None:
            try:
                store.abandon(lease.identity, lease.owner, "work-limit")
            except StoreError:
                watch.due_at = self._clock() + SOON
                return
        self._gone(watch, "work-limit")

    def _gone(self, watch: Watch, reason: str) -> None:
        if self._watches.get(watch.lease.owner) is not watch:
            return
        self.unwatch(watch.lease)
        if watch.ending:
            return
        self._observer.notify(LeaseGone(watch.lease.identity, reason))
        if watch.on_gone is not None:
            watch.on_gone(reason)

    def _beat_late(self, store: Store | None, watch: Watch, late: LateCommand) -> None:
        now = self._clock()
        watch.due_at = now + watch.pause
        watch.pause = min(2 * watch.pause, LONGEST_PAUSE)
        if now >= watch.limit_at:
            self.unwatch(watch.lease)
        elif store is not None:
            self._carry_out(store, watch, late)

    def _carry_out(self, store: Store, watch: Watch, late: LateCommand) -> None:
        try:
            answer = late.on(store)
        except RecordUnreadable:  # written or not, repeating it changes nothing
            self.unwatch(watch.lease)
            return
        except StoreError:
            return
        self.unwatch(watch.lease)
        lost = isinstance(flows.ended(watch.lease, late, answer), Lost)
        if not lost and not watch.quiet:
            self._observer.notify(Recorded(watch.lease.identity))
