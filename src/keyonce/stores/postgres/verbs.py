# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The store verbs over a pool, for threads."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

from keyonce.core.errors import StoreError
from keyonce.core.flow import run
from keyonce.core.guarantee import Guarantee
from keyonce.core.model import Traits
from keyonce.stores.postgres import partitions, procedures
from keyonce.stores.postgres.examine import examine, pooler
from keyonce.stores.postgres.hearing import news_name
from keyonce.stores.postgres.joined import PostgresJoined
from keyonce.stores.postgres.lately import Lately
from keyonce.stores.postgres.patience import Patience
from keyonce.stores.postgres.steps import Pause, Prompt, alone
from keyonce.stores.postgres.transaction import transaction_of
from keyonce.stores.postgres.translate import is_passing, is_undone, translation_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from keyonce.core.model import (
        AuditRow,
        Claim,
        Claimed,
        Completion,
        Finding,
        Identity,
        Note,
        Query,
        Record,
        Settlement,
        StoreStats,
    )
    from keyonce.core.protocols import Transaction
    from keyonce.stores.durability import Durability
    from keyonce.stores.news import News, NewsWatch
    from keyonce.stores.postgres.home import Home
    from keyonce.stores.postgres.partitions import Demand
    from keyonce.stores.postgres.pools import Pool
    from keyonce.stores.postgres.steps import Step, Steps
    from keyonce.stores.statement import Row, Statement

R = TypeVar("R")

PROMPT: Final = 0.25
AT_LEISURE: Final = 12  # times the patience of a request, for what reads a whole table

TRAITS: Final = Traits(
    name="postgres",
    guarantees=frozenset(Guarantee),
    durable=True,
    many_processes=True,
    # One value is at most 1 GiB, and so is the message that carries it.
    largest_result=512 * 1024 * 1024,
)


class Verbs:
    """A store over a pool that somebody else makes and closes."""

    def __init__(
        self,
        pool: Pool,
        home: Home,
        *,
        clock: Callable[[], float] | None,
        store_timeout: float,
        news: News,
        demand: Demand | None = None,
        durability: Durability = "checked",
    ) -> None:
        """Speak through *pool*; *clock* stands in for the server's, in tests.

        With *demand* outcomes go to partitions, and `tend` makes them.
        """
        self._pool = pool
        self._news = news
        self._clock = clock
        self._store_timeout = store_timeout
        self._demand = demand
        self._purge_from = procedures.BEGINNING
        self._durability: Durability = durability
        self._lately = Lately()
        self._home = home

    @property
    def traits(self) -> Traits:
        """What PostgreSQL is able to promise."""
        return TRAITS

    def claim(self, command: Claim) -> Claimed:
        known = command.identity in self._lately
        claimed = self._ask(procedures.claim(command, self._at(), known=known))
        self._lately.note(command.identity)
        return claimed

    def claim_many(self, commands: Sequence[Claim]) -> Sequence[Claimed | StoreError]:
        """Claim each; keys that are new or taken by one statement."""
        claimed = self._ask(procedures.claim_many(commands, self._at()))
        for command in commands:
            self._lately.note(command.identity)
        return claimed

    def complete(self, command: Completion) -> Record | None:
        width = None if self._demand is None else self._demand.width
        return self._ask(procedures.complete(command, self._at(), width=width))

    def release(
        self, identity: Identity, owner: bytes, reason: str, retention_for: float | None
    ) -> bool:
        return self._ask(
            procedures.release(identity, owner, reason, retention_for, self._at())
        )

    def abandon(self, identity: Identity, owner: bytes, reason: str) -> bool:
        return self._ask(procedures.abandon(identity, owner, reason, self._at()))

    def renew(self, identity: Identity, owner: bytes) -> Record | None:
        return self._ask(procedures.renew(identity, owner, self._at()))

    def note(self, command: Note) -> bool:
        """Write down how far the work got, in a transaction of its own.

        Note before your own transaction begins. While one is open that has completed
        the record, a note waits, up to the store's timeout; and one that cannot see
        a later note may fail to complete, as after any write that it cannot see.
        """
        return self._ask(procedures.note(command))

    def find(self, identity: Identity) -> Claimed | None:
        return self._ask(procedures.find(identity, self._at()))

    def watch(self, identity: Identity, wake: Callable[[], object]) -> NewsWatch | None:
        """Have *wake* called at news; None behind a pooler."""
        return self._news.watch(news_name(identity), wake)

    def announce(self, identity: Identity) -> bool:
        return self._ask(procedures.announce(identity))

    def settle(self, command: Settlement) -> Record:
        return self._transact(lambda: procedures.settle(command, self._at()))

    def records(self, query: Query) -> Sequence[Record]:
        return self._ask(procedures.records(query, self._at()), AT_LEISURE)

    def audits(self, identity: Identity | None = None) -> Sequence[AuditRow]:
        return self._ask(procedures.audits(identity), AT_LEISURE)

    def stats(self) -> StoreStats:
        return self._ask(procedures.stats(self._at()), AT_LEISURE)

    def purge(self, limit: int = 1000) -> int:
        batch = procedures.purge(limit, self._at(), self._purge_from)
        purged, self._purge_from = self._ask(batch, AT_LEISURE)
        if purged < limit:
            self._drop()
        return purged

    def tend(self) -> None:
        """Make the partitions that will be wanted, unless somebody is in the way."""
        if self._demand is not None:
            self._once(partitions.make(self._demand, self._at()))

    def _drop(self) -> None:
        """Drop partitions that are past; what cannot be now is left for later."""
        with suppress(StoreError):
            for span in self._ask(partitions.past(self._at())):
                self._once(partitions.drop(span, self._at()))

    def joined(self, connection: Any) -> PostgresJoined:
        """Give the verbs inside the open transaction of *connection*.

        It is a ``psycopg.Connection``, a ``Connection`` or ``Session`` of SQLAlchemy,
        or Django's, that leads to the store's own database.
        """
        return PostgresJoined(connection, self._home, self._beside, self._clock)

    def transaction(self, connection: Any) -> Transaction:
        """Say how a transaction on *connection* begins and ends."""
        return transaction_of(connection)

    def _beside(self, statement: Statement) -> list[Row]:
        return self._ask(alone(statement))

    def examine(self) -> Sequence[Finding]:
        findings = self._ask(examine(time.time, self._durability))
        findings += self._ask(partitions.looked_at(self._demand, self._at()))
        pooled = self._pool.is_pooled(Patience(self._store_timeout).deadline)
        return [*findings, pooler(pooled=pooled, hears=self._news.may_tell())]

    def close(self) -> None:
        """Do nothing: the owner of the pool closes it."""

    def _at(self) -> float | None:
        return None if self._clock is None else self._clock()

    def _ask(self, steps: Steps[R], times: int = 1) -> R:
        """Carry out *steps*, each a transaction; again where that may help."""
        patience = Patience(times * self._store_timeout)

        def perform(step: Step) -> list[Row]:
            if isinstance(step, Pause):
                time.sleep(patience.next_pause())
                return []
            if isinstance(step, Prompt):
                return self._promptly(step)
            while True:
                try:
                    return self._pool.rows(step, patience.deadline)
                except self._pool.failures as error:
                    time.sleep(patience.pause_after(error))

        return run(steps, perform)

    def _promptly(self, step: Prompt) -> list[Row]:
        try:
            return self._pool.rows(step.statement, time.monotonic() + PROMPT)
        except self._pool.failures as error:
            if not is_passing(error) and not is_undone(error):
                raise translation_of(error) from error
            return []

    def _once(self, steps: Steps[R]) -> R:
        """Carry out *steps* in one transaction, if that can be done now."""
        deadline = Patience(self._store_timeout).deadline
        try:
            return self._pool.transact(steps, deadline)
        except self._pool.failures as error:
            raise translation_of(error) from error

    def _transact(self, job: Callable[[], Steps[R]]) -> R:
        """Carry out a job in one transaction; again only if it was undone."""
        patience = Patience(self._store_timeout, once=True)
        while True:
            try:
                return self._pool.transact(job(), patience.deadline)
            except self._pool.failures as error:
                time.sleep(patience.pause_after(error))
