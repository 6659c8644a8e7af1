# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What both kinds of store know of their table: its place, its time, its keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

from keyonce.stores.dynamodb.drift import Drift
from keyonce.stores.dynamodb.met import Met
from keyonce.stores.dynamodb.procedures import Instant

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from keyonce.stores.dynamodb.address import Address
    from keyonce.stores.dynamodb.calls import Call, Item


class Setup:
    """One table as one store sees it."""

    def __init__(
        self, address: Address, clock: Callable[[], float], store_timeout: timedelta
    ) -> None:
        """Speak of the table at *address*, by *clock*."""
        self.address = address
        self.table = address.table
        self.clock = clock
        self.store_timeout = store_timeout
        self.timeout = store_timeout.total_seconds()
        self.margin = address.skew.total_seconds()
        self.drift = Drift(clock, self.margin)
        self.met = Met()
        self.purged_to: Item | None = None

    def at(self) -> Instant:
        """Read the clock, and say what the slowest of all clocks may show."""
        now = self.clock()
        return Instant(now, now - self.margin)

    def parameters(self, call: Call) -> dict[str, Any]:
        """Give what is sent for *call*: a transaction's tries share one token."""
        if call.operation == "transact_write_items":
            return call.parameters | {"ClientRequestToken": str(uuid4())}
        return call.parameters
