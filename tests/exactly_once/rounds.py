# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Orders that are killed or fail at each point on the way, and are tried again.

    python -m tests.exactly_once.rounds KIND URL ROUNDS SEED

Each round is a process of its own, that ends itself with SIGKILL, is ended so at a
moment that nobody chose, or raises. Then all orders are placed again, and again.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module

from keyonce.core.errors import InProgress
from tests.exactly_once.shops import FORMS, KINDS, POINTS, orders

SOON = 60.0
MODULES = (
    *("asyncmy", "asyncpg", "psycopg", "pymysql", "sqlalchemy.ext.asyncio"),
    "tests.exactly_once.django_project",
)
WITHIN = 0.05  # seconds, in which most of the work is done


class Trouble(Exception):
    """Something of the shop's own."""


def in_a_child(work: Callable[[], None], kill_after: float | None = None) -> int:
    """Do *work* in a process of its own; say how that ended, as ``waitpid`` does."""
    ready, done = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(ready)
        ended = 1
        try:
            work_after(done, work)
            ended = 0
        finally:
            os._exit(ended)
    os.close(done)
    os.read(ready, 1)
    os.close(ready)
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1]


def work_after(done: int, work: Callable[[], None]) -> None:
    """Tell the parent by *done*, once *work* is about to begin."""
    global _ready  # noqa: PLW0603 - of this child alone
    _ready = done
    work()


_ready = -1


def first_try(kind: str, url: str, key: str, form: str, point: str, end: str) -> int:
    """Begin an order that comes to its *end* at *point*."""

    def at(now: str) -> None:
        if now == point and end == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if now == point and end == "raise":
            raise Trouble

    def work() -> None:
        shop = KINDS[kind](url)
        os.write(_ready, b".")
        with suppress(Trouble):
            shop.order(key, form, at)
        shop.close()

    after = random.uniform(0.0, WITHIN) if end == "kill any time" else None
    return in_a_child(work, after)


def retry(kind: str, url: str, keys: dict[str, str]) -> int:
    """Place each of the orders until it is placed, and once more."""

    def work() -> None:
        shop = KINDS[kind](url)
        os.write(_ready, b".")
        until = time.monotonic() + SOON
        for key, form in keys.items():
            for _ in range(2):
                placed = None
                while placed is None:
                    try:
                        placed = shop.order(key, form)
                    except InProgress:
                        if time.monotonic() > until:
                            raise
                        time.sleep(0.02)
                if placed != {"order": key}:
                    raise AssertionError(placed)
        shop.close()

    return in_a_child(work)


def play(kind: str, url: str, rounds: int) -> Counter[int]:
    """Play *rounds*; say how many orders have how many effects."""
    for name in MODULES:
        import_module(name)  # here, and not in each of the children
    keys: dict[str, str] = {}
    for number in range(rounds):
        key, form = f"order-{number}", FORMS[number % len(FORMS)]
        end = random.choice(("kill", "kill", "raise", "kill any time"))
        first_try(kind, url, key, form, random.choice(POINTS), end)
        keys[key] = form
    if retry(kind, url, keys) != 0:
        raise SystemExit("An order could not be placed: see above.")
    return Counter(orders(url, key) for key in keys)


if __name__ == "__main__":
    _, kind, url, rounds, seed = sys.argv
    random.seed(int(seed))
    effects = play(kind, url, int(rounds))
    print(  # noqa: T201 - a command
        f"{kind}: {rounds} orders, effects of an order: {dict(effects)}"
    )
    sys.exit(effects != Counter({1: int(rounds)}))
