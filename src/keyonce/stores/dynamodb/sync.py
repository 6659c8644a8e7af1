# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The DynamoDB store for threads."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from keyonce.stores.dynamodb import clients
from keyonce.stores.dynamodb.address import address_of
from keyonce.stores.dynamodb.connection import Connection
from keyonce.stores.dynamodb.setup import Setup
from keyonce.stores.dynamodb.verbs import Verbs

if TYPE_CHECKING:
    from collections.abc import Callable

STORE_TIMEOUT: Final = timedelta(seconds=5)


class DynamoDBStore(Verbs):
    """Records in a DynamoDB table of one Region, shared by any number of machines.

    *table* is a name or a ``dynamodb://`` URL. *client* is a client of boto3 to
    speak with; without one, a client of *region* and *endpoint* is made. DynamoDB
    has no clock: *skew* is the most by which the clocks of two machines may
    differ, and a lease or a retention ends that much later. *clock* gives the time
    in seconds since the epoch. A verb tries for *store_timeout* while the table is
    busy; a client that is handed in keeps its own timeouts.

    Raises:
        ConfigurationError: the table, the region or the client cannot be.
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
        """Make a client; nothing is asked of the table until it is used."""
        address = address_of(table, region=region, endpoint=endpoint, skew=skew)
        if client is not None:
            clients.check(client, address, waits=False)
        setup = Setup(address, clock, store_timeout)
        super().__init__(Connection(setup, client))
