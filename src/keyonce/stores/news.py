# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Who in this process waits for news of which record, and the thread that hears it.

News is a hint to look again. After a gap in the listening everybody is woken, since
any of it may have been missed.
"""

from __future__ import annotations

import os
import random
import threading
import time
from typing import TYPE_CHECKING, Final, Protocol

from keyonce.core.errors import ConfigurationError
from keyonce.stores.rounds import Rounds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

SLICE: Final = 0.25  # seconds: how soon the thread sees that it is to end
IDLE_FOR: Final = 60.0  # seconds without anybody who waits, until it hangs up
FIRST_PAUSE: Final = 0.05
LONGEST_PAUSE: Final = 5.0


class Wakes:
    """Whom to wake at news of which name. Safe to use from any thread."""

    def __init__(self) -> None:
        """Begin with nobody."""
        self._lock = threading.Lock()
        self._by_name: dict[object, dict[object, Callable[[], object]]] = {}
        self._waking = Rounds("waking who waits for news")

    def __bool__(self) -> bool:
        """Whether anybody waits."""
        return bool(self._by_name)

    def add(self, name: object, who: object, wake: Callable[[], object]) -> None:
        """Have *wake* called at news of *name*, until *who* is removed."""
        with self._lock:
            self._by_name.setdefault(name, {})[who] = wake

    def remove(self, name: object, who: object) -> None:
        """Forget *who*; once more is fine."""
        with self._lock:
            waiting = self._by_name.get(name, {})
            waiting.pop(who, None)
            if not waiting:
                self._by_name.pop(name, None)

    def wake(self, name: object) -> None:
        """Wake everybody who waits for *name*."""
        if name not in self._by_name:
            return
        with self._lock:
            woken = list(self._by_name.get(name, {}).values())
        self._wake_each(woken)

    def wake_all(self) -> None:
        """Wake everybody."""
        with self._lock:
            woken = [wake for them in self._by_name.values() for wake in them.values()]
        self._wake_each(woken)

    def _wake_each(self, woken: Iterable[Callable[[], object]]) -> None:
        for wake in woken:
            with self._waking:  # the loop of one may have ended: the others wait
                wake()


class Line(Protocol):
    """A connection on which news comes in."""

    def hear(self, seconds: float) -> Iterable[object | None]:
        """Give the names that news comes of within *seconds*; None: any may have.

        Raises:
            Exception: the line is broken.
        """

    def close(self) -> None:
        """Hang up; never raises."""


class News:
    """What one store hears in this process: one thread, when somebody waits.

    The thread has a line of its own. It opens another when that breaks, ends when
    nobody waits for a minute, and is another one after a fork.
    """

    def __init__(self, open_line: Callable[[], Line | None]) -> None:
        """Listen on what *open_line* gives; None or a refusal: nothing will tell."""
        self._open_line = open_line
        self._hanging_up = Rounds("hanging up")
        self._closed = False
        self._inherited: list[object] = []
        self._resets: dict[int, threading.Lock] = {}
        self._reset()

    def _reset(self) -> None:
        self._wakes = Wakes()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._deaf = False
        self._line: Line | None = None
        self._pid = os.getpid()  # last: who sees it finds the rest new

    def _after_fork(self) -> None:
        with self._resets.setdefault(os.getpid(), threading.Lock()):
            if self._pid != os.getpid():
                self._inherited.append(self._line)  # the parent's: never touched
                self._reset()

    @property
    def in_force(self) -> bool:
        """Whether news would be heard now."""
        return self._line is not None

    def may_tell(self) -> bool:
        """Try whether there is a line here at all; a broken one is one."""
        if self._line is not None:
            return True
        try:
            line = self._open_line()
        except ConfigurationError:
            return False
        except Exception:  # noqa: BLE001 - a driver's: there is one, but not now
            return True
        if line is not None:
            line.close()
        return line is not None

    def watch(self, name: object, wake: Callable[[], object]) -> NewsWatch | None:
        """Have *wake* called at news of *name*; None: nothing will tell here."""
        if self._pid != os.getpid():
            self._after_fork()
        if self._deaf or self._closed:
            return None
        watch = NewsWatch(self, self._wakes, name)
        self._wakes.add(name, watch, wake)
        with self._lock:
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(
                    target=self._run, name="keyonce-news", daemon=True
                )
                self._thread.start()
        return watch

    def close(self) -> None:
        """End the thread and hang up. Closing twice is fine."""
        with self._lock:
            self._closed = True
        self._stopping.set()
        thread = self._thread
        if thread is not None and self._pid == os.getpid():
            thread.join(timeout=10)

    def _run(self) -> None:
        pause = FIRST_PAUSE
        while not self._stopping.is_set():
            try:
                line = self._open_line()
            except ConfigurationError:
                line = None
            except Exception:  # noqa: BLE001 - a driver's; whatever it is, try again
                if self._is_left(0.0):
                    return
                self._stopping.wait(pause * random.uniform(0.5, 1.5))
                pause = min(2 * pause, LONGEST_PAUSE)
                continue
            if line is None:
                self._deaf = True
                return
            pause = FIRST_PAUSE
            if not self._listen(line):
                return
            self._stopping.wait(FIRST_PAUSE * random.uniform(0.5, 1.5))

    def _listen(self, line: Line) -> bool:
        """Pass on what is heard; say whether to open another line."""
        self._line = line
        self._wakes.wake_all()  # those who came before, and those who missed some
        idle_since = time.monotonic()
        try:
            while not self._stopping.is_set():
                for name in line.hear(SLICE):
                    self._tell(name)
                if self._wakes:
                    idle_since = time.monotonic()
                elif self._is_left(idle_since + IDLE_FOR - time.monotonic()):
                    return False
        except Exception:  # noqa: BLE001 - a driver's: the line is broken
            return not self._stopping.is_set()
        finally:
            self._line = None
            with self._hanging_up:
                line.close()
            self._wakes.wake_all()  # to look oftener for a while
        return False

    def _tell(self, name: object | None) -> None:
        if name is None:
            self._wakes.wake_all()
        else:
            self._wakes.wake(name)

    def _is_left(self, idle_for: float) -> bool:
        """Whether the thread may end; whoever waits next starts another."""
        if idle_for > 0:
            return False
        with self._lock:
            if self._wakes:
                return False
            self._thread = None
            return True


class NewsWatch:
    """One ear at one name."""

    __slots__ = ("_name", "_news", "_wakes")

    def __init__(self, news: News, wakes: Wakes, name: object) -> None:
        """Listen to *news* of *name*."""
        self._news = news
        self._wakes = wakes
        self._name = name

    @property
    def in_force(self) -> bool:
        """Whether news would be heard now."""
        return self._news.in_force

    def close(self) -> None:
        """Listen no more."""
        self._wakes.remove(self._name, self)
