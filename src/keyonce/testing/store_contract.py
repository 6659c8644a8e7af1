# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What every store must do, as one suite that any store can be held against.

Subclass the contract and give it two fixtures; pytest finds the scenarios::

    from keyonce.testing.clock import FakeClock
    from keyonce.testing.store_contract import StoreContract

    class TestMyStore(StoreContract):
        @pytest.fixture
        def clock(self):
            return FakeClock()

        @pytest.fixture
        def store(self, clock):
            store = MyStore(clock=clock)
            yield store
            store.close()

An async store is wrapped: ``StorePortal(MyAsyncStore(clock=clock))`` of
``keyonce.testing.portal``. The clock is what the scenarios turn: a store that
asks its server for the time adds what ``clock() - started`` says in tests. Call
``pytest.register_assert_rewrite("keyonce.testing")`` in conftest.py to see what
an assertion compared.

The scenarios keep to whole seconds and compare instants exactly: a store keeps
milliseconds or better.
"""

from __future__ import annotations

from keyonce.testing.store_scenarios.batches import Batches
from keyonce.testing.store_scenarios.bodies import Bodies
from keyonce.testing.store_scenarios.claims import Claims
from keyonce.testing.store_scenarios.concurrency import Concurrency
from keyonce.testing.store_scenarios.endings import Endings
from keyonce.testing.store_scenarios.forgetting import Forgetting
from keyonce.testing.store_scenarios.identities import Identities
from keyonce.testing.store_scenarios.leases import Leases
from keyonce.testing.store_scenarios.notes import Notes
from keyonce.testing.store_scenarios.operators import Operators
from keyonce.testing.store_scenarios.retention import Retention
from keyonce.testing.store_scenarios.table import Table


class StoreContract(
    Claims,
    Batches,
    Leases,
    Endings,
    Notes,
    Retention,
    Identities,
    Bodies,
    Operators,
    Forgetting,
    Concurrency,
    Table,
):
    """All scenarios, by theme."""
