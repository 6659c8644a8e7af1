# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The DynamoDB store for event loops."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session

from keyonce.core.flow import arun
from keyonce.stores.dynamodb import clients, operators, procedures
from keyonce.stores.dynamodb.address import address_of
from keyonce.stores.dynamodb.calls import Answer
from keyonce.stores.dynamodb.connection import Connection
from keyonce.stores.dynamodb.examine import examine
from keyonce.stores.dynamodb.patience import Patience
from keyonce.stores.dynamodb.setup import Setup
from keyonce.stores.dynamodb.translate import FAILURES
from keyonce.stores.dynamodb.verbs import TRAITS, Verbs

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
        Traits,
    )
    from keyonce.core.protocols import Store
    from keyonce.stores.dynamodb.calls import Call, Procedure

R = TypeVar("R")

STORE_TIMEOUT: Final = timedelta(seconds=5)


class AsyncDynamoDBStore:
    """DynamoDBStore for one event loop at a time, over aiobotocore.

    *client* is a client of aiobotocore that somebody else entered and will leave.
    Heartbeats speak over a client of boto3 that this store makes for them.
    """

    def __init__(
        self,
        table: str,
        *,
        client: Any = None,
        region: str | None = None,
        endpoint: str | None = None,
        skew: timedelta | None = None,
        clock: Callable[[], float] = time.time,
        store_timeout: timedelta = STORE_TIMEOUT,
    ) -> None:
        """Connect to nothing until a verb is used."""
        address = address_of(table, region=region, endpoint=endpoint, skew=skew)
        if client is not None:
            clients.check(client, address, waits=True)
        self._setup = Setup(address, clock, store_timeout)
        self._table = address.table
        self._given = client
        self._client: Any = None
        self._home: tuple[int, Any] | None = None
        self._lock = asyncio.Lock()
        self._exit = AsyncExitStack()
        self._verbs: Verbs | None = None

    @property
    def traits(self) -> Traits:
        """What a DynamoDB table is able to promise."""
        return TRAITS

    def blocking(self) -> Store:
        """Give the same records to other threads; closed with this store."""
        if self._verbs is None:
            setup = self._setup
            if self._given is not None:
                # Its place, not its credentials: those are found anew.
                meta = self._given.meta
                address = setup.address._replace(
                    region=meta.region_name, endpoint=meta.endpoint_url
                )
                setup = Setup(address, setup.clock, setup.store_timeout)
            self._verbs = Verbs(Connection(setup))
        return self._verbs

    async def claim(self, command: Claim) -> Claimed:
        met = self._setup.met.before(command.identity)
        at = self._setup.at()
        return await self._run(procedures.claim(self._table, command, at, met=met))

    async def complete(self, command: Completion) -> Record | None:
        at = self._setup.at()
        return await self._run(procedures.complete(self._table, command, at))

    async def release(
        self, identity: Identity, owner: bytes, reason: str, retention_for: float | None
    ) -> bool:
        at = self._setup.at()
        return await self._run(
            procedures.release(self._table, identity, owner, reason, retention_for, at)
        )

    async def abandon(self, identity: Identity, owner: bytes, reason: str) -> bool:
        at = self._setup.at()
        return await self._run(
            procedures.abandon(self._table, identity, owner, reason, at)
        )

    async def renew(self, identity: Identity, owner: bytes) -> Record | None:
        at = self._setup.at()
        return await self._run(procedures.renew(self._table, identity, owner, at))

    async def note(self, command: Note) -> bool:
        return await self._run(procedures.note(self._table, command))

    async def find(self, identity: Identity) -> Claimed | None:
        at = self._setup.at()
        return await self._run(procedures.find(self._table, identity, at))

    async def settle(self, command: Settlement) -> Record:
        at = self._setup.at()
        return await self._run(procedures.settle(self._table, command, at))

    async def records(self, query: Query) -> Sequence[Record]:
        at = self._setup.at()
        return await self._run(operators.records(self._table, query, at))

    async def audits(self, identity: Identity | None = None) -> Sequence[AuditRow]:
        return await self._run(operators.audits(self._table, identity))

    async def stats(self) -> StoreStats:
        at = self._setup.at()
        return await self._run(operators.stats(self._table, at))

    async def purge(self, limit: int = 1000) -> int:
        at, start = self._setup.at(), self._setup.purged_to
        purged, self._setup.purged_to = await self._run(
            operators.purge(self._table, limit, start, at)
        )
        return purged

    async def examine(self) -> Sequence[Finding]:
        setup = self._setup
        return await self._run(examine(self._table, setup.clock, setup.margin))

    async def close(self) -> None:
        """Close the connections, but not a client that was handed in."""
        if self._verbs is not None:
            self._verbs.close()
        self._home = self._client = None
        await self._exit.aclose()

    async def _run(self, procedure: Procedure[R]) -> R:
        return await arun(procedure, self._perform)

    async def _perform(self, call: Call) -> Answer:
        """Carry out *call*, again and again while the table is busy."""
        setup = self._setup
        operation = getattr(await self._mine(), call.operation)
        parameters = setup.parameters(call)
        patience = Patience(call, setup.table, setup.timeout)
        while True:
            sent_at = setup.clock()
            try:
                response = await operation(**parameters)
            except FAILURES as error:
                told = patience.after(error)
            else:
                setup.drift.look(response, sent_at)
                return Answer(response)
            if isinstance(told, Answer):
                return told
            await asyncio.sleep(told)

    async def _mine(self) -> Any:
        """Give the client of this loop, in this process."""
        if self._given is not None:
            return self._given
        here = (os.getpid(), asyncio.get_running_loop())
        if self._home != here:
            self._home, self._client, self._lock = here, None, asyncio.Lock()
        if self._client is None:
            async with self._lock:
                if self._client is None:
                    self._client = await self._connect()
        return self._client

    async def _connect(self) -> Any:
        config = AioConfig(**clients.settings(self._setup.timeout))
        where = clients.place(self._setup.address)
        # What another loop has left behind cannot be closed from here.
        self._exit = AsyncExitStack()
        try:
            return await self._exit.enter_async_context(
                get_session().create_client(clients.SERVICE, config=config, **where)
            )
        except (*FAILURES, ValueError) as error:
            raise clients.unusable(error) from error
