# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A broker that delivers at least once, and workers that are killed at it.

    python -m tests.inbox.storm sqlite|postgres MESSAGES KILLS SEED

Each message is one row of the table `charges` where it was handled once. The broker
delivers some messages twice, and again whatever is not acknowledged in time: because
the worker is killed, refuses, or takes too long. Without an inbox beside it the same
worker shows what that does.
"""

from __future__ import annotations

import heapq
import os
import random
import select
import signal
import socket
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from keyonce.core.errors import DeliveryInProgress, SafeToRetry, StoreUnavailable
from keyonce.inbox.sync import Inbox
from keyonce.stores.url import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator

WORKERS = 4
DOUBLED = 0.2  # of the messages are delivered twice at once
VISIBLE_AFTER = 0.25  # seconds until a delivery without an answer is repeated
KILLED_WITHIN = 0.006  # seconds after the delivery, in which most of the work is done
LEASE = timedelta(seconds=0.5)
ANSWERED, REFUSED = b"1", b"0"


def connect(url: str) -> Any:
    """Connect as a consumer does; a transaction begins when it is begun."""
    if url.startswith("sqlite:"):
        path = url.removeprefix("sqlite:///")
        return closing(sqlite3.connect(path, isolation_level=None, timeout=30))
    return psycopg.connect(url, autocommit=True)


def charge(connection: Any, message: str) -> None:
    """Do what may be done once for each message."""
    connection.execute(f"INSERT INTO charges (name) VALUES ('{message}')")


@contextmanager
def own_transaction(connection: Any) -> Iterator[None]:
    """Begin a transaction that the inbox joins, and commit it."""
    connection.execute("BEGIN")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def handle(inbox: Inbox | None, connection: Any, message: str) -> None:
    """Charge for one message; every other time the transaction is the consumer's."""
    if inbox is None:
        charge(connection, message)
        return
    joins = int(message.removeprefix("m")) % 2
    with (
        own_transaction(connection) if joins else nullcontext(),
        inbox.receive(message, connection=connection) as delivery,
    ):
        if delivery.first:
            charge(connection, message)


def work(url: str, answers: socket.socket, *, guarded: bool) -> None:
    """Handle what is delivered, message by message."""
    kept_for = timedelta(days=1)
    inbox = None
    if guarded:
        inbox = Inbox(
            open_store(url),
            consumer="billing",
            retention=kept_for,
            lease=LEASE,
            max_executions=99,
        )
    with connect(url) as connection:
        while message := answers.recv(100).decode():
            try:
                handle(inbox, connection, message)
            except (DeliveryInProgress, SafeToRetry, StoreUnavailable):
                answers.send(REFUSED)
            else:
                answers.send(ANSWERED)


@dataclass
class Worker:
    """A process, and the delivery that it is at."""

    process: int
    channel: socket.socket
    message: str = ""
    repeat_at: float = 0.0
    kill_at: float = float("inf")


@dataclass
class Figures:
    """What a storm came to."""

    messages: int
    deliveries: int = 0
    refusals: int = 0
    kills: int = 0
    took: float = 0.0
    charges: Counter[str] = field(default_factory=Counter)

    @property
    def lost(self) -> int:
        """How many messages were never handled."""
        return self.messages - len(self.charges)

    @property
    def doubles(self) -> int:
        """How often one was handled once too often."""
        return sum(self.charges.values()) - len(self.charges)

    def __str__(self) -> str:
        """Say it in one line."""
        return (
            f"{self.messages} messages, {self.deliveries} deliveries, "
            f"{self.refusals} refused, {self.kills} workers killed, "
            f"{self.took:.1f} s: {self.lost} lost, {self.doubles} doubled"
        )


class Broker:
    """Delivers every message at least once."""

    def __init__(self, url: str, figures: Figures, *, kills: int, guarded: bool):
        self.url = url
        self.figures = figures
        self.guarded = guarded
        self.queue: list[tuple[float, str]] = []
        self.doomed: set[int] = set()
        for number in range(figures.messages):
            copies = 2 if random.random() < DOUBLED else 1
            self.queue += [(number * 1e-9, f"m{number}")] * copies
        self.doomed |= set(random.sample(range(len(self.queue)), kills))
        heapq.heapify(self.queue)
        self.workers = [self.hire() for _ in range(WORKERS)]

    def hire(self) -> Worker:
        """Fork a worker."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        process = os.fork()
        if process == 0:
            try:
                ours.close()
                work(self.url, theirs, guarded=self.guarded)
            finally:
                os._exit(0)
        theirs.close()
        return Worker(process, ours)

    def run(self) -> None:
        """Deliver until all is acknowledged."""
        while self.queue or any(worker.message for worker in self.workers):
            now = time.monotonic()
            for worker in self.workers:
                self.look_after(worker, now)
            channels = {worker.channel: worker for worker in self.workers}
            heard, _, _ = select.select(channels, [], [], 0.001)
            for channel in heard:
                self.hear(channels[channel])

    def look_after(self, worker: Worker, now: float) -> None:
        """Deliver to a worker that is idle; kill it, or repeat what it is late with."""
        if not worker.message:
            self.deliver(worker, now)
        elif now >= worker.kill_at:
            self.kill(worker, now)
        elif now >= worker.repeat_at:
            worker.repeat_at = float("inf")
            heapq.heappush(self.queue, (now, worker.message))

    def deliver(self, worker: Worker, now: float) -> None:
        if not self.queue or self.queue[0][0] > now:
            return
        _, worker.message = heapq.heappop(self.queue)
        worker.repeat_at = now + VISIBLE_AFTER
        doomed = self.figures.deliveries in self.doomed
        delay = random.uniform(0, KILLED_WITHIN)
        worker.kill_at = now + delay if doomed else float("inf")
        self.figures.deliveries += 1
        worker.channel.send(worker.message.encode())

    def hear(self, worker: Worker) -> None:
        answer = worker.channel.recv(1)
        assert answer, f"a worker died by itself at {worker.message}"
        if answer == REFUSED:
            self.figures.refusals += 1
            again_at = time.monotonic() + random.uniform(0, VISIBLE_AFTER)
            heapq.heappush(self.queue, (again_at, worker.message))
        worker.message = ""
        if worker.kill_at != float("inf"):
            self.kill(worker, time.monotonic())  # it was quicker: between two messages

    def kill(self, worker: Worker, now: float) -> None:
        os.kill(worker.process, signal.SIGKILL)
        os.waitpid(worker.process, 0)
        worker.channel.close()
        self.figures.kills += 1
        if worker.message:
            heapq.heappush(self.queue, (now + VISIBLE_AFTER, worker.message))
        self.workers[self.workers.index(worker)] = self.hire()

    def close(self) -> None:
        """Send the workers home."""
        for worker in self.workers:
            os.kill(worker.process, signal.SIGKILL)
            os.waitpid(worker.process, 0)
            worker.channel.close()


def storm(url: str, *, messages: int, kills: int, seed: int, guarded: bool) -> Figures:
    """Let the broker deliver *messages*, and count what became of them."""
    random.seed(seed)
    figures = Figures(messages)
    open_store(url).close()
    with connect(url) as connection:
        connection.execute("CREATE TABLE charges (name VARCHAR(20))")
    began = time.monotonic()
    broker = Broker(url, figures, kills=kills, guarded=guarded)
    try:
        broker.run()
    finally:
        broker.close()
    figures.took = time.monotonic() - began
    with connect(url) as connection:
        rows = connection.execute("SELECT name FROM charges").fetchall()
    figures.charges.update(name for (name,) in rows)
    return figures


@contextmanager
def databases(kind: str) -> Iterator[list[str]]:
    """Give two empty databases of *kind*."""
    if kind == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
            paths = [Path(folder) / name for name in ("guarded.db", "bare.db")]
            yield [f"sqlite:///{path}" for path in paths]
        return
    from tests.servers.postgres import PostgresServer, newest

    server = PostgresServer(newest()).start()
    try:
        yield [server.url(server.new_database()) for _ in range(2)]
    finally:
        server.close()


def main(kind: str, messages: str, kills: str, seed: str) -> int:
    """Print the figures, with the inbox and without; say whether it kept its word."""
    with databases(kind) as (guarded, bare):
        amount = {"messages": int(messages), "kills": int(kills), "seed": int(seed)}
        kept = storm(guarded, guarded=True, **amount)
        sys.stdout.write(f"{kind}, with the inbox:    {kept}\n")
        sys.stdout.flush()
        beside = storm(bare, guarded=False, **amount)
        sys.stdout.write(f"{kind}, without the inbox: {beside}\n")
    return 1 if kept.lost or kept.doubles else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
