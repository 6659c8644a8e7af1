# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What one run is about: its policy, its clients, its keys; drawn from its seed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any

from keyonce.core.guarantee import Guarantee
from keyonce.core.policy import AfterExpiry, InFlightAnswer, OnStoreDown, Policy
from keyonce.core.reconcile import UnknownWork
from keyonce.http.operation import Rule, Rules
from tests.simulation.chance import Chance

BOUNDED = "bounded"
UNBOUNDED = "unbounded"
FAILOVER = "failover"
MODES = (BOUNDED, UNBOUNDED, FAILOVER)
DAY = 86_400.0
BOUND = 300


@dataclass(frozen=True, slots=True)
class Terms:
    """The policy of a run in plain numbers."""

    guarantee: Guarantee
    lease: float
    work_limit: float
    retention: float
    late_for: float
    in_flight: InFlightAnswer
    patience: float
    down: OnStoreDown
    reconcile: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """One run before it begins."""

    terms: Terms
    mode: str
    nodes: int
    clients: tuple[tuple[str, str, str, bytes], ...]  # tenant, path, key, payload
    foul_for: float
    trouble: int
    misbehaves: float
    cancels: bool
    tells: bool
    poison: bytes
    short_tempered: float


def draw(chance: Chance, guarantee: Guarantee, mode: str) -> Plan:
    """Draw a run."""
    short_lived = chance.maybe(0.3)
    hook = chance.maybe(0.4)
    lease = chance.among((1.0, 3.0, 6.0))
    terms = Terms(
        guarantee=guarantee,
        lease=lease,
        work_limit=chance.among((lease * 2, 30.0)),
        retention=chance.among((8.0, 15.0)) if short_lived else DAY,
        late_for=20.0 if short_lived and chance.maybe(0.4) else 0.0,
        in_flight=chance.among(tuple(InFlightAnswer)),
        patience=chance.among((1.0, 10.0)),
        down=chance.among((OnStoreDown.REFUSE,) * 5 + (OnStoreDown.PROCEED,)),
        reconcile=hook,
    )
    clients = _clients(chance, reuses=not hook)
    poisoned = not hook and chance.maybe(0.06)
    return Plan(
        terms=terms,
        mode=mode,
        nodes=chance.among((1, 2, 2, 3)),
        clients=clients,
        foul_for=chance.between(3.0, 20.0),
        trouble=chance.below(5),
        misbehaves=chance.among((0.0, 0.2, 0.6)),
        cancels=chance.maybe(0.5),
        tells=chance.maybe(0.5),
        poison=clients[0][3] if poisoned else b"",
        short_tempered=chance.among((0.0, 0.3, 0.8)),
    )


def _clients(
    chance: Chance, *, reuses: bool
) -> tuple[tuple[str, str, str, bytes], ...]:
    """Most share one key; some reuse it for something else, some are other tenants.

    A hook is not told what was asked for, so that keys that are freed after an
    effect, and then reused, are only in runs without one.
    """
    found = [("ann", "/orders", "k1", b"tea")]
    for _ in range(1 + chance.below(3)):
        tenant, path, key, payload = found[0]
        kind = chance.random()
        if kind < 0.12:
            tenant = "bob"
        elif kind < 0.28 and reuses:
            payload = b"rum"
        elif kind < 0.34:
            path = "/refunds"
        elif kind < 0.4:
            key = "k2"
        found.append((tenant, path, key, payload))
    return tuple(found)


class Hook:
    """The reconcile hook of all policies: asks the shop of the run at hand."""

    shop: Any = None

    @classmethod
    async def ask(cls, work: UnknownWork) -> Any:
        return await cls.shop.ask(work)


@lru_cache(4096)
def rules_of(terms: Terms) -> Rules:
    """Give the rules of a run, made once for all runs on these terms."""
    policy = Policy(
        guarantee=terms.guarantee,
        lease=timedelta(seconds=terms.lease),
        work_limit=timedelta(seconds=terms.work_limit),
        retention=timedelta(seconds=terms.retention),
        in_flight=terms.in_flight,
        patience=timedelta(seconds=terms.patience),
        on_store_down=terms.down,
        after_expiry=AfterExpiry.REFUSE if terms.late_for else AfterExpiry.NEW,
        late_for=timedelta(seconds=terms.late_for or 1.0),
        max_response=BOUND,
        reconcile=Hook.ask if terms.reconcile else None,
        reconcile_timeout=timedelta(seconds=1),
    )
    return Rules([Rule("POST /**", policy)])
