# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The store verbs over one server, for threads."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from keyonce.core.guarantee import Guarantee
from keyonce.core.model import Traits
from keyonce.stores.redis import procedures, survey
from keyonce.stores.redis.findings import findings_of, rights
from keyonce.stores.redis.met import Met

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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
    from keyonce.stores.news import News, NewsWatch
    from keyonce.stores.redis.keys import Names
    from keyonce.stores.redis.server import Server
    from keyonce.stores.redis.words import Position

TRAITS: Final = Traits(
    name="redis",
    # No effect can join a Redis script.
    guarantees=frozenset(Guarantee) - {Guarantee.EXACTLY_ONCE},
    durable=True,
    many_processes=True,
    largest_result=procedures.LARGEST_RESULT,
)


class Verbs:
    """A store over a server that somebody else opened and will close."""

    def __init__(self, server: Server, names: Names, news: News) -> None:
        """Speak to *server* of keys with these *names*; hear others by *news*."""
        self._server = server
        self._news = news
        self._names = names
        self._met = Met()
        self._purging = threading.Lock()
        self._purge_from = survey.START

    def only_look(self, warn: Callable[[str], None]) -> None:
        """Tell *warn* why the server would be refused, and look at it all the same."""
        self._server.warn = warn

    @property
    def traits(self) -> Traits:
        """What a Redis server is able to promise."""
        return TRAITS

    def claim(self, command: Claim) -> Claimed:
        server = self._server
        met = self._met.again(command.identity)
        return server.run(procedures.claim(self._names, command, server.now(), met=met))

    def claim_many(self, commands: Sequence[Claim]) -> Sequence[Claimed | StoreError]:
        """Claim each, by one pipeline of scripts."""
        server = self._server
        for command in commands:
            self._met.again(command.identity)
        return server.run(procedures.claim_many(self._names, commands, server.now()))

    def complete(self, command: Completion) -> Record | None:
        server = self._server
        return server.run(procedures.complete(self._names, command, server.now()))

    def release(
        self, identity: Identity, owner: bytes, reason: str, retention_for: float | None
    ) -> bool:
        server, names = self._server, self._names
        return server.run(
            procedures.release(
                names, identity, owner, reason, retention_for, server.now()
            )
        )

    def abandon(self, identity: Identity, owner: bytes, reason: str) -> bool:
        server, names = self._server, self._names
        return server.run(
            procedures.abandon(names, identity, owner, reason, server.now())
        )

    def renew(self, identity: Identity, owner: bytes) -> Record | None:
        server = self._server
        return server.run(procedures.renew(self._names, identity, owner, server.now()))

    def note(self, command: Note) -> bool:
        return self._server.run(procedures.note(self._names, command))

    def find(self, identity: Identity) -> Claimed | None:
        server = self._server
        return server.run(procedures.find(self._names, identity, server.now()))

    def watch(self, identity: Identity, wake: Callable[[], object]) -> NewsWatch | None:
        """Have *wake* called at news; None where no second client can be made."""
        return self._news.watch(self._names.news_name(identity), wake)

    def announce(self, identity: Identity) -> bool:
        return self._server.run(procedures.announce(self._names, identity))

    def settle(self, command: Settlement) -> Record:
        server = self._server
        return server.run(procedures.settle(self._names, command, server.now()))

    def records(self, query: Query) -> Sequence[Record]:
        return self._server.run(survey.records(self._names, query))

    def audits(self, identity: Identity | None = None) -> Sequence[AuditRow]:
        return self._server.run(survey.audits(self._names, identity))

    def stats(self) -> StoreStats:
        return self._server.run(survey.stats(self._names))

    def purge(self, limit: int = 1000) -> int:
        with self._purging:
            start = self._purge_from
            return self._server.run(
                survey.purge(self._names, limit, start, self._remember)
            )

    def _remember(self, position: Position) -> None:
        self._purge_from = position

    def examine(self) -> Sequence[Finding]:
        found = findings_of(self._server.facts(), self._server.durability)
        # No record has this name.
        not_allowed = self._server.not_allowed(self._names.records + b"{}")
        return [*found, rights(not_allowed)]

    def close(self) -> None:
        """Do nothing: the owner of the server closes it."""
