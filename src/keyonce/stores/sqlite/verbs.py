# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The store verbs over one database, for threads."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from keyonce.core.guarantee import Guarantee
from keyonce.core.model import Traits
from keyonce.stores.shell import answered, unanswered
from keyonce.stores.sqlite import procedures
from keyonce.stores.sqlite.claiming import claiming, claiming_many
from keyonce.stores.sqlite.examine import examine
from keyonce.stores.sqlite.joined import SQLiteJoined
from keyonce.stores.sqlite.transaction import transaction_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from keyonce.core.errors import StoreError
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
    from keyonce.stores.sqlite.database import Database

TRAITS: Final = Traits(
    name="sqlite",
    guarantees=frozenset(Guarantee),
    durable=True,
    many_processes=True,
    largest_result=999_000_000,
)


PAGE_BITS: Final = 12  # a page of body fills the log as a commit does


class Verbs:
    """A store over a database that somebody else opened and will close."""

    def __init__(self, database: Database) -> None:
        """Speak to *database*."""
        self._database = database

    @property
    def traits(self) -> Traits:
        """What an SQLite file is able to promise."""
        return TRAITS

    @property
    def folder(self) -> Path:
        """Where the file is, and where large bodies may wait beside it."""
        return self._database.path.parent

    def claim(self, command: Claim) -> Claimed:
        database = self._database
        rows = database.find(command.identity)
        seen = procedures.first_look(rows, command, database.now())
        if seen is not None:
            return seen
        return database.write(claiming(command))

    def claim_many(self, commands: Sequence[Claim]) -> Sequence[Claimed | StoreError]:
        """Claim each; what has to be written is one transaction."""
        database = self._database
        found = [database.find(command.identity) for command in commands]
        seen = procedures.first_look_each(found, commands, database.now())
        left = unanswered(commands, seen)
        written = database.write(claiming_many(left)) if left else []
        return answered(seen, written)

    def complete(self, command: Completion) -> Record | None:
        done = self._database.write(partial(procedures.complete, command))
        self._database.upkeep.count(len(command.result.body) >> PAGE_BITS)
        return done

    def release(
        self, identity: Identity, owner: bytes, reason: str, retention_for: float | None
    ) -> bool:
        return self._database.write(
            partial(procedures.release, identity, owner, reason, retention_for)
        )

    def abandon(self, identity: Identity, owner: bytes, reason: str) -> bool:
        return self._database.write(
            partial(procedures.abandon, identity, owner, reason)
        )

    def renew(self, identity: Identity, owner: bytes) -> Record | None:
        return self._database.write(partial(procedures.renew, identity, owner))

    def note(self, command: Note) -> bool:
        return self._database.write(partial(procedures.note, command))

    def find(self, identity: Identity) -> Claimed | None:
        database = self._database
        rows = database.find(identity)
        return procedures.found(rows, identity, database.now())

    def settle(self, command: Settlement) -> Record:
        return self._database.write(partial(procedures.settle, command))

    def records(self, query: Query) -> Sequence[Record]:
        return self._database.read(procedures.records(query, self._database.now()))

    def audits(self, identity: Identity | None = None) -> Sequence[AuditRow]:
        return self._database.read(procedures.audits(identity))

    def stats(self) -> StoreStats:
        return self._database.read(procedures.stats(self._database.now()))

    def purge(self, limit: int = 1000) -> int:
        return self._database.write(partial(procedures.purge, limit))

    def joined(self, connection: Any) -> SQLiteJoined:
        """Give the verbs inside the open transaction of *connection*.

        It is a ``sqlite3.Connection``, a ``Connection`` or ``Session`` of SQLAlchemy
        over one, or Django's, whose main database is the file of the store.
        """
        return SQLiteJoined(connection, self._database)

    def transaction(self, connection: Any) -> Transaction:
        """Say how a transaction on *connection* begins and ends."""
        return transaction_of(connection)

    def examine(self) -> Sequence[Finding]:
        return examine(self._database)

    def close(self) -> None:
        """Do nothing: the owner of the database closes it."""
