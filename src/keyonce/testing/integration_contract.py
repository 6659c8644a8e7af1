# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What every gateway must do, as one suite that any gateway can be held against.

Put your gateway around the known app, reach it through a caller, and subclass the
contract; pytest finds the scenarios::

    from keyonce.testing.integration_contract import IntegrationContract, KnownApp, Lab
    from keyonce.testing.integration_contract import SCOPE, STORE_TIMEOUT
    from keyonce.testing.integration_scenarios.wsgi import WsgiCaller, wsgi_app

    class TestMyGateway(IntegrationContract):
        @pytest.fixture(scope="class")
        @classmethod
        def lab(cls):
            known = KnownApp()
            guarded = MyGateway(
                wsgi_app(known),
                store=known.store(MemoryStore(clock=known.clock)),
                scope=SCOPE,
                rules=known.rules(),
                observer=known,
                store_timeout=STORE_TIMEOUT,
            )
            yield Lab(WsgiCaller(guarded))

An app for another framework performs what ``KnownApp.acts`` gives, as ``wsgi_app``
and ``asgi_app`` do. ``SocketCaller`` reaches a gateway behind a real server; it has
to take 80 requests at once. Call ``pytest.register_assert_rewrite("keyonce.testing")``
in conftest.py to see what an assertion compared.
"""

from __future__ import annotations

from keyonce.testing.integration_scenarios.bounds import Bounds
from keyonce.testing.integration_scenarios.commits import Commits
from keyonce.testing.integration_scenarios.failures import Failures
from keyonce.testing.integration_scenarios.in_flight import InFlight
from keyonce.testing.integration_scenarios.keys import Keys
from keyonce.testing.integration_scenarios.known_app import (
    SCOPE,
    STORE_TIMEOUT,
    KnownApp,
)
from keyonce.testing.integration_scenarios.lab import Lab
from keyonce.testing.integration_scenarios.replays import Replays
from keyonce.testing.integration_scenarios.stages import Stages

__all__ = [
    "SCOPE",
    "STORE_TIMEOUT",
    "CommitContract",
    "IntegrationContract",
    "KnownApp",
    "Lab",
]


class IntegrationContract(Keys, Replays, InFlight, Failures, Bounds, Stages):
    """All scenarios, by theme."""


class CommitContract(Commits):
    """All scenarios of exactly-once, for a gateway on a store that offers it.

    Around ``committing_asgi`` or ``committing_wsgi``, of a ``CommittingApp`` whose
    effects are rows in the store's own database.
    """
