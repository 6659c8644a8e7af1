# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The store verbs over one database, for threads."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

from keyonce.core.errors import StoreError
from keyonce.core.guarantee import Guarantee
from keyonce.core.model import Traits
from keyonce.stores.mysql import procedures
from keyonce.stores.mysql.examine import examine, may_write
from keyonce.stores.mysql.joined import Joined
from keyonce.stores.mysql.seats import seat_of
from keyonce.stores.mysql.transaction import transaction_of
from keyonce.stores.mysql.upkeep import Upkeep

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

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
    from keyonce.stores.mysql.database import Database


def traits_of(largest: int) -> Traits:
    """Say what a server is able to promise that keeps outcomes up to *largest*."""
    return Traits(
        name="mysql",
        guarantees=frozenset(Guarantee),
        durable=True,
        many_processes=True,
        largest_result=largest,
    )


class Verbs:
    """A store over a database that somebody else opened and will close."""

    def __init__(
        self,
        database: Database,
        largest: int,
        purge_every: timedelta | None,
        durability: Durability = "checked",
    ) -> None:
        """Speak to *database*, which keeps outcomes of up to *largest* bytes."""
        self.upkeep = Upkeep(self.purge, purge_every)
        self._database = database
        self._largest = largest
        self._durability: Durability = durability
        self._traits = traits_of(largest)

    @property
    def traits(self) -> Traits:
        """What this server is able to promise."""
        return self._traits

    def claim(self, command: Claim) -> Claimed:
        return self._database.run(partial(procedures.claim, command))

    def claim_many(self, commands: Sequence[Claim]) -> Sequence[Claimed | StoreError]:
        """Claim each, in two trips where keys are new or taken."""
        return self._database.run(partial(procedures.claim_many, commands))

    def complete(self, command: Completion) -> Record | None:
        self.upkeep.begin()
        return self._database.run(partial(procedures.complete, command, self._largest))

    def release(
        self, identity: Identity, owner: bytes, reason: str, retention_for: float | None
    ) -> bool:
        return self._database.run(
            partial(procedures.release, identity, owner, reason, retention_for)
        )

    def abandon(self, identity: Identity, owner: bytes, reason: str) -> bool:
        return self._database.run(partial(procedures.abandon, identity, owner, reason))

    def renew(self, identity: Identity, owner: bytes) -> Record | None:
        return self._database.run(partial(procedures.renew, identity, owner))

    def note(self, command: Note) -> bool:
        """Write down how far the work got, in a transaction of its own.

        Note before your own transaction begins. While one is open that has completed
        the record, a note waits, up to the store's timeout; and one that cannot see
        a later note may fail to complete, as after any write that it cannot see.
        """
        return self._database.run(partial(procedures.note, command, self._largest))

    def find(self, identity: Identity) -> Claimed | None:
        return self._database.run(partial(procedures.find, identity))

    def settle(self, command: Settlement) -> Record:
        work = partial(procedures.settle, command, self._largest)
        return self._database.run(work, whole=True)

    def records(self, query: Query) -> Sequence[Record]:
        return self._database.run(partial(procedures.records, query))

    def audits(self, identity: Identity | None = None) -> Sequence[AuditRow]:
        return self._database.run(partial(procedures.audits, identity))

    def stats(self) -> StoreStats:
        return self._database.run(procedures.stats)

    def purge(self, limit: int = 1000) -> int:
        return self._database.run(partial(procedures.purge, limit))

    def joined(self, connection: Any) -> Joined:
        """Give the verbs inside the open transaction of *connection*.

        It is PyMySQL's, a Connection or Session of SQLAlchemy over PyMySQL, or
        Django's.

        Raises:
            ConfigurationError: it is no connection that this store can join.
        """
        begin = self.upkeep.begin
        return Joined(seat_of(connection), self._database, self._largest, begin)

    def transaction(self, connection: Any) -> Transaction:
        """Say how a transaction on *connection* begins and ends."""
        return transaction_of(connection)

    def examine(self) -> Sequence[Finding]:
        refusal = None
        try:
            self._database.run(may_write)
        except StoreError as error:
            refusal = error
        look = partial(examine, self._largest, self._durability, time.time, refusal)
        return self._database.run(look)

    def close(self) -> None:
        """Do nothing: the owner of the database closes it."""
