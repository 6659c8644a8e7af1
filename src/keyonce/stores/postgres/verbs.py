# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The store verbs over a pool, for threads."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, TypeVar

from keyonce.core.flow import run
from keyonce.core.guarantee import Guarantee
from keyonce.core.model import Traits
from keyonce.stores.postgres import procedures
from keyonce.stores.postgres.examine import examine, pooler
from keyonce.stores.postgres.lately import Lately
from keyonce.stores.postgres.patience import Patience
from keyonce.stores.postgres.steps import Pause, Prompt
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
        Query,
        Record,
        Settlement,
        StoreStats,
    )
    from keyonce.stores.postgres.pools import Pool
    from keyonce.stores.postgres.steps import Step, Steps
    from keyonce.stores.statement import Row

R = TypeVar("R")

PROMPT: Final = 0.25
AT_LEISURE: Final = 12  # times the patience of a request, for what reads a whole table

TRAITS: Final = Traits(
    name="postgres",
    # Exactly-once needs a way to join the effect's own transaction.
    guarantees=frozenset(Guarantee) - {Guarantee.EXACTLY_ONCE},
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
        *,
        clock: Callable[[], float] | None,
        store_timeout: float,
    ) -> None:
        """Speak through *pool*; *clock* stands in for the server's, in tests."""
        self._pool = pool
        self._clock = clock
        self._store_timeout = store_timeout
        self._lately = Lately()

    @property
    def traits(self) -> Traits:
        """What PostgreSQL is able to promise."""
        return TRAITS

    def claim(self, command: Claim) -> Claimed:
        known = command.identity in self._lately
        claimed = self._ask(procedures.claim(command, self._at(), known=known))
        self._lately.note(command.identity)
        return claimed

    def complete(self, command: Completion) -> Record | None:
        return self._ask(procedures.complete(command, self._at()))

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

    def find(self, identity: Identity) -> Claimed | None:
        return self._ask(procedures.find(identity, self._at()))

    def settle(self, command: Settlement) -> Record:
        return self._transact(lambda: procedures.settle(command, self._at()))

    def records(self, query: Query) -> Sequence[Record]:
        return self._ask(procedures.records(query, self._at()), AT_LEISURE)

    def audits(self, identity: Identity | None = None) -> Sequence[AuditRow]:
        return self._ask(procedures.audits(identity), AT_LEISURE)

    def stats(self) -> StoreStats:
        return self._ask(procedures.stats(self._at()), AT_LEISURE)

    def purge(self, limit: int = 1000) -> int:
        return self._ask(procedures.purge(limit, self._at()), AT_LEISURE)

    def examine(self) -> Sequence[Finding]:
        findings = self._ask(examine(time.time))
        pooled = self._pool.is_pooled(Patience(self._store_timeout).deadline)
        return [*findings, pooler(pooled=pooled)]

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

    def _transact(self, job: Callable[[], Steps[R]]) -> R:
        """Carry out a job in one transaction; again only if it was undone."""
        patience = Patience(self._store_timeout, once=True)
        while True:
            try:
                return self._pool.transact(job(), patience.deadline)
            except self._pool.failures as error:
                time.sleep(patience.pause_after(error))
