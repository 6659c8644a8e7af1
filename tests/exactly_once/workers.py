# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Processes that place orders, several at once, and are replaced when they die.

They are forked from one that has imported everything and opened nothing.
"""

from __future__ import annotations

import json
import os
import random
import select
import signal
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple, Self

from keyonce.core.errors import InProgress, SafeToRetry
from keyonce.core.guarantee import Guarantee
from keyonce.core.policy import Policy
from tests.exactly_once.shops import (
    FORMS,
    KINDS,
    Hook,
    Sqlite3,
    effect,
    nothing,
    second,
)

AT_ONCE = 3
PATIENCE = 90.0
WITHIN = 0.05  # seconds, in which most of the work is done
PAUSE = 0.02
LEAST = Policy(guarantee=Guarantee.AT_LEAST_ONCE, lease=timedelta(seconds=1))


class Trouble(Exception):
    """Something of the shop's own."""


class Job(NamedTuple):
    """One order, and how its first try ends."""

    key: str
    form: str
    point: str = ""
    end: str = ""

    @property
    def any_time(self) -> bool:
        return self.point == "any time"


class Apart(Sqlite3):
    """A shop that commits its effect by itself: what the rounds have to find out."""

    def order(self, key: str, form: str = FORMS[0], at: Hook = nothing) -> Any:
        @self.guard.once("order", key=lambda: key, policy=LEAST)
        def place() -> dict[str, str]:
            at("called")
            with self.connect() as connection:
                at("begun")
                for sql in (effect(key), effect(second(key))):
                    connection.execute(sql)
                connection.commit()
                for point in ("effect", "effects", "completed", "committed"):
                    at(point)
            return {"order": key}

        return place()


@dataclass
class Tally:
    """How the first tries ended."""

    kills: int = 0
    raises: int = 0


class Worker:
    """One process, with a shop of its own; it has one job at a time."""

    def __init__(self, kind: str, url: str, others: Iterable[Worker]) -> None:
        jobs, self._jobs = os.pipe()
        self.answers, answers = os.pipe()
        self.job: Job | None = None
        self.kill_at = float("inf")
        self._said = b""
        self.pid = os.fork()
        if self.pid == 0:
            for fd in (self._jobs, self.answers):
                os.close(fd)
            for other in others:
                other.forget()
            _work(kind, url, jobs, answers)
        os.close(jobs)
        os.close(answers)

    def takes(self, job: Job) -> None:
        self.job = job
        if job.any_time:
            self.kill_at = time.monotonic() + random.uniform(0.0, WITHIN)
        with suppress(BrokenPipeError):  # it has just died: nobody answers
            os.write(self._jobs, json.dumps(job).encode() + b"\n")

    def hears(self) -> str | None:
        """Give its next word; empty when it has not said all, None when it died."""
        piece = os.read(self.answers, 4096)
        if not piece:
            return None
        self._said += piece
        if not self._said.endswith(b"\n"):
            return ""
        word, self._said = self._said.decode().strip(), b""
        return word

    def dies(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def ends(self) -> int:
        """Wait until it has ended, as it is told to; say how."""
        self.forget()
        return os.waitpid(self.pid, 0)[1]

    def forget(self) -> None:
        """Close what leads to it: of these, a child keeps none."""
        os.close(self._jobs)
        os.close(self.answers)


class Workers:
    """All that play for one driver at one time."""

    def __init__(self, kind: str, url: str) -> None:
        self._make: Callable[[], Worker] = lambda: Worker(kind, url, self._all)
        self._all: list[Worker] = []

    def __enter__(self) -> Self:
        for _ in range(AT_ONCE):
            self._all.append(self._make())
        return self

    def __exit__(self, *_raised: object) -> None:
        for worker in self._all:
            worker.ends()

    def first_tries(self, jobs: list[Job]) -> Tally:
        """Have each of *jobs* come to its end."""
        tally = Tally()

        def done(_job: Job, word: str | None) -> Job | None:
            tally.kills += word is None
            tally.raises += word == "raised"
            return None

        self._carry_out(jobs, done)
        return tally

    def retry(self, jobs: list[Job]) -> None:
        """Have each order placed twice, by two workers in a race.

        Raises:
            AssertionError: one could not be placed, or its answer is another one.
        """

        def done(job: Job, word: str | None) -> Job | None:
            if word == "again":
                return job
            assert {"order": job.key} == json.loads(word or "null"), (job, word)
            return None

        again = [Job(job.key, job.form) for job in jobs]
        self._carry_out([job for job in again for _ in range(2)], done)

    def _carry_out(
        self, jobs: list[Job], done: Callable[[Job, str | None], Job | None]
    ) -> None:
        """Give out *jobs* until all are done; *done* may give one to be done again."""
        todo, until = deque(jobs), time.monotonic() + PATIENCE + len(jobs)
        while todo or any(worker.job for worker in self._all):
            assert time.monotonic() < until, f"{len(todo)} orders are stuck"
            for worker in self._all:
                if worker.job is None and todo:
                    worker.takes(todo.popleft())
            for worker in self._ready():
                word = worker.hears()
                if word == "" or worker.job is None:
                    continue
                job, worker.job, worker.kill_at = worker.job, None, float("inf")
                if word is None:
                    self._replace(worker)
                again = done(job, word)
                if again is not None:
                    todo.append(again)

    def _ready(self) -> list[Worker]:
        """Wait for answers, and kill who is to be killed meanwhile."""
        now = time.monotonic()
        for worker in self._all:
            if worker.kill_at <= now:
                worker.dies()
                worker.kill_at = float("inf")
        first = min(worker.kill_at for worker in self._all)
        busy = {worker.answers: worker for worker in self._all if worker.job}
        wait = min(1.0, max(0.0, first - now))
        return [busy[fd] for fd in select.select(list(busy), [], [], wait)[0]]

    def _replace(self, worker: Worker) -> None:
        self._all.remove(worker)
        ended = worker.ends()
        assert os.WTERMSIG(ended) == signal.SIGKILL, f"a worker ended with {ended}"
        self._all.append(self._make())


def _work(kind: str, url: str, jobs: int, answers: int) -> None:
    """Be a worker, until there are no more jobs."""
    ended = 1
    try:
        shop = Apart(url) if kind == Apart.__name__ else KINDS[kind](url)
        with os.fdopen(jobs) as lines:
            for line in lines:
                word = _done(shop, Job(*json.loads(line)))
                os.write(answers, word.encode() + b"\n")
        shop.close()
        ended = 0
    except BaseException:  # noqa: BLE001 - the process ends here
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(ended)


def _done(shop: Any, job: Job) -> str:
    def at(point: str) -> None:
        if point == job.point and job.end == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if point == job.point and job.end == "raise":
            raise Trouble

    try:
        return json.dumps(shop.order(job.key, job.form, at))
    except Trouble:
        return "raised"
    except (InProgress, SafeToRetry):
        time.sleep(PAUSE)
        return "again"
