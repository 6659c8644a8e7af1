# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""How soon whoever waits for another process has its answer: by news, and by asking.

The servers are those of the tests, started here; what is not installed is left out.
"""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from shutil import which
from statistics import median
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from benchmarks.table import Line
from keyonce.core.decide import Proceed, Replay
from keyonce.core.ending import Keep
from keyonce.core.model import Attempt, Fingerprint, Identity, StoredResult
from keyonce.core.policy import Policy
from keyonce.engine.sync import Guard
from keyonce.stores.postgres import PostgresStore
from keyonce.stores.redis import RedisStore
from tests.servers.postgres import PostgresServer, installed
from tests.servers.redis import RedisServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from benchmarks.plan import Plan

GROUP: Final = "waiting for another process"
AT_ONCE: Final = 8
POLICY: Final = Policy()
PATIENCE: Final = timedelta(seconds=60)
ANSWER: Final = Keep(StoredResult(201, (), b"done", size=4))


class Deaf:
    """A store that tells nothing: whoever waits asks again and again."""

    def __init__(self, store: Any) -> None:
        """Hide what *store* tells."""
        self._store = store

    def __getattr__(self, name: str) -> Any:
        """Give what the store has, but no ear."""
        if name == "watch":
            raise AttributeError(name)
        return getattr(self._store, name)


def measure(plan: Plan) -> Iterator[Line]:
    """Time both ways on each server that is here."""
    rounds = plan.either(2, 6)
    for name, serve in (("PostgreSQL", _postgres), ("Redis", _redis)):
        with serve(plan.folder) as open_store:
            if open_store is None:
                continue
            asking = median(_delays(open_store, Deaf, rounds))
            told = median(_delays(open_store, lambda store: store, rounds))
        yield Line(group=GROUP, what=f"{name}, asking", value=asking * 1e3, unit="ms")
        yield Line(
            group=GROUP,
            what=f"{name}, woken by news",
            value=told * 1e3,
            unit="ms",
            ratio=asking / told,
            against="× sooner",
        )


@contextmanager
def _postgres(_: Path) -> Iterator[Callable[[], Any] | None]:
    find: Any = installed
    versions = find()
    if not versions:
        yield None
        return
    server: Any = _server(PostgresServer, versions[max(versions, key=int)])
    try:
        url = server.url(server.new_database())
        yield lambda: PostgresStore(url, pool_size=2 * AT_ONCE)
    finally:
        server.close()


@contextmanager
def _redis(folder: Path) -> Iterator[Callable[[], Any] | None]:
    program = which("redis-server")
    if program is None:
        yield None
        return
    server: Any = _server(RedisServer, program, folder / "redis")
    try:
        yield lambda: RedisStore(server.url)
    finally:
        server.stop()


def _server(kind: Any, *where: Any) -> Any:
    return kind(*where).start()


def _delays(
    open_store: Callable[[], Any], heard_by: Callable[[Any], Any], rounds: int
) -> list[float]:
    """Have pairs of an owner and one who waits; the seconds between their answers."""
    working, waiting = open_store(), open_store()
    owner, waiter = Guard(working), Guard(heard_by(waiting))
    try:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            pairs = range(rounds * AT_ONCE)
            return list(pool.map(lambda _: _delay(owner, waiter), pairs))
    finally:
        for each in (owner, waiter, working, waiting):
            each.close()


def _delay(owner: Guard, waiter: Guard) -> float:
    identity = Identity("bench", "wait", str(uuid4()))
    attempt = Attempt(identity, Fingerprint("1", b"same"), lambda _: None)
    begun = owner.begin(attempt, POLICY)
    assert isinstance(begun, Proceed)
    waits, answered = threading.Event(), []

    def wait() -> None:
        decision = waiter.begin(attempt, POLICY, wait_for=PATIENCE, on_wait=waits.set)
        assert isinstance(decision, Replay)
        answered.append(time.monotonic())

    thread = threading.Thread(target=wait)
    thread.start()
    waits.wait()
    time.sleep(random.uniform(0.5, 2.0))
    owner.finish(begun.lease, ANSWER, POLICY)
    finished = time.monotonic()
    thread.join()
    return max(0.0, answered[0] - finished)
