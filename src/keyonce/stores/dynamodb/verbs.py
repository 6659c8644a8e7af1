# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The store verbs over one connection, for threads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from keyonce.core.guarantee import Guarantee
from keyonce.core.model import Traits
from keyonce.stores.dynamodb import operators, procedures
from keyonce.stores.dynamodb.examine import examine

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    from keyonce.stores.dynamodb.connection import Connection

TRAITS: Final = Traits(
    name="dynamodb",
    # Exactly-once needs effect and record in one transaction of one database.
    guarantees=frozenset(Guarantee) - {Guarantee.EXACTLY_ONCE},
    durable=True,
    many_processes=True,
    largest_result=procedures.LARGEST_RESULT,
)


class Verbs:
    """A store over a connection."""

    def __init__(self, connection: Connection) -> None:
        """Speak over *connection*."""
        self._connection = connection
        self._setup = connection.setup
        self._table = connection.setup.table

    @property
    def traits(self) -> Traits:
        """What a DynamoDB table is able to promise."""
        return TRAITS

    def claim(self, command: Claim) -> Claimed:
        met = self._setup.met.before(command.identity)
        at = self._setup.at()
        return self._connection.run(procedures.claim(self._table, command, at, met=met))

    def complete(self, command: Completion) -> Record | None:
        at = self._setup.at()
        return self._connection.run(procedures.complete(self._table, command, at))

    def release(
        self, identity: Identity, owner: bytes, reason: str, retention_for: float | None
    ) -> bool:
        at = self._setup.at()
        return self._connection.run(
            procedures.release(self._table, identity, owner, reason, retention_for, at)
        )

    def abandon(self, identity: Identity, owner: bytes, reason: str) -> bool:
        at = self._setup.at()
        return self._connection.run(
            procedures.abandon(self._table, identity, owner, reason, at)
        )

    def renew(self, identity: Identity, owner: bytes) -> Record | None:
        at = self._setup.at()
        return self._connection.run(procedures.renew(self._table, identity, owner, at))

    def note(self, command: Note) -> bool:
        return self._connection.run(procedures.note(self._table, command))

    def find(self, identity: Identity) -> Claimed | None:
        at = self._setup.at()
        return self._connection.run(procedures.find(self._table, identity, at))

    def settle(self, command: Settlement) -> Record:
        at = self._setup.at()
        return self._connection.run(procedures.settle(self._table, command, at))

    def records(self, query: Query) -> Sequence[Record]:
        at = self._setup.at()
        return self._connection.run(operators.records(self._table, query, at))

    def audits(self, identity: Identity | None = None) -> Sequence[AuditRow]:
        return self._connection.run(operators.audits(self._table, identity))

    def stats(self) -> StoreStats:
        at = self._setup.at()
        return self._connection.run(operators.stats(self._table, at))

    def purge(self, limit: int = 1000) -> int:
        at, start = self._setup.at(), self._setup.purged_to
        purged, self._setup.purged_to = self._connection.run(
            operators.purge(self._table, limit, start, at)
        )
        return purged

    def examine(self) -> Sequence[Finding]:
        setup = self._setup
        return self._connection.run(examine(self._table, setup.clock, setup.margin))

    def close(self) -> None:
        """Close the connections, unless the client was handed in."""
        self._connection.close()
