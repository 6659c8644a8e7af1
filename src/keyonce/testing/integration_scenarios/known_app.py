# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The app behind the gateway under test: it does what its path says, and counts.

``/{policy}/{behaviour}/{arguments}``: the first part chooses the rule, of
``rules``; the rest is what the handler does, of ``behaviours``. Paths under
``/-/`` are the test's own way in, over the same line: they tell what was counted,
open gates, plan faults of the store and turn its clock.
"""

from __future__ import annotations

import json
import threading
from collections import Counter, defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from keyonce.core.events import Ended, LeaseGone
from keyonce.core.guarantee import Guarantee
from keyonce.core.model import Identity
from keyonce.core.policy import (
    AfterExpiry,
    InFlightAnswer,
    KeyFormat,
    OnStoreDown,
    Policy,
)
from keyonce.core.rollout import Rollout, Stage
from keyonce.http.operation import Rule
from keyonce.http.scope import by_header
from keyonce.testing.clock import FakeClock
from keyonce.testing.faults import (
    AsyncFaultyStore,
    Fault,
    FaultPlan,
    FaultyStore,
    Mishap,
)
from keyonce.testing.integration_scenarios.behaviours import TEXT, Head, Piece, behave

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from keyonce.core.events import Event
    from keyonce.core.model import Claimed
    from keyonce.core.protocols import AsyncStore, Store
    from keyonce.testing.integration_scenarios.behaviours import Act

SCOPE: Final = by_header("X-Api-Key")
STORE_TIMEOUT: Final = timedelta(seconds=0.3)
PATIENCE: Final = timedelta(seconds=20)
WORK_LIMIT: Final = timedelta(seconds=0.3)
LEASE: Final = timedelta(seconds=0.6)
BRIEF: Final = timedelta(seconds=60)
SMALL: Final = 1000
NARROW: Final = 400_000


class KnownApp:
    """What the guarded app does and remembers. It is the gateway's observer too."""

    def __init__(self, clock: FakeClock | None = None) -> None:
        """Begin with nothing counted."""
        self.clock = clock or FakeClock()
        self.plan = FaultPlan()
        self._lock = threading.Lock()
        self._runs: Counter[str] = Counter()
        self._ended: defaultdict[str, list[Ended]] = defaultdict(list)
        self._gates: defaultdict[str, threading.Event] = defaultdict(threading.Event)
        self._arrived: Counter[str] = Counter()
        self._left: Counter[str] = Counter()
        self._gone: dict[str, str] = {}
        self._share = Rollout()

    def rules(self) -> list[Rule]:
        """The rules that the gateway under test is to be given."""
        policies = {name: Policy(**terms) for name, terms in TERMS.items()}
        policies["share"] = Policy(mode=lambda: self._share)
        rules = [Rule(f"/{name}/**", policy) for name, policy in policies.items()]
        return [Rule("PUT,DELETE /any/**", Policy()), *rules]

    def store(self, store: Store) -> Store:
        """Put the faults that scenarios plan in front of *store*."""
        return FaultyStore(store, self.plan)

    def async_store(self, store: AsyncStore) -> AsyncStore:
        """Put the faults that scenarios plan in front of *store*."""
        return _GlancingFaultyStore(store, self.plan)

    def notify(self, event: Event, /) -> None:
        """Remember how each arrival ended, and which leases were given up."""
        match event:
            case Ended(identity=Identity(key=key)):
                with self._lock:
                    self._ended[key].append(event)
            case LeaseGone(identity=Identity(key=key), reason=reason):
                self._gone[key] = reason

    def acts(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> Generator[Act, None, None]:
        """Give what the handler does, one act after the other."""
        parts = path.strip("/").split("/")
        if parts[0] == "-":
            yield from self._tell(parts[1:])
            return
        run = headers.get("x-run", "")
        with self._lock:
            self._runs[run] += 1
            count = self._runs[run]
        if method in {"GET", "HEAD"}:
            yield Head(200, TEXT)
            yield Piece(b"looked", last=True)
            return
        yield from behave(self, parts[1:], count, headers, body)

    def begun(self, run: str) -> int:
        """How often the handler was begun for *run*."""
        with self._lock:
            return self._runs[run]

    def arrive(self, gate: str) -> threading.Event:
        """Stand before *gate*."""
        with self._lock:
            self._arrived[gate] += 1
            return self._gates[gate]

    def leave(self, gate: str) -> None:
        """Say that whoever stood before *gate* has ended, one way or the other."""
        with self._lock:
            self._left[gate] += 1

    def _tell(self, parts: list[str]) -> Iterator[Act]:
        told = json.dumps(self._asked(*parts)).encode()
        yield Head(200, ((b"content-type", b"application/json"),))
        yield Piece(told, last=True)

    def _asked(self, word: str, *about: str) -> Any:
        match word, about:
            case "runs", (run,):
                return self.begun(run)
            case "outcomes", (key,):
                with self._lock:
                    return [_words(ended) for ended in self._ended[key]]
            case "gone", (key,):
                return self._gone.get(key)
            case "arrived", (gate,):
                return self._arrived[gate]
            case "left", (gate,):
                return self._left[gate]
            case "open", (gate,):
                return self._gates[gate].set()
            case "fault", (verb, mishap, times):
                self._fault(verb, Mishap(mishap), int(times) or None)
            case "heal", ():
                self.plan.heal()
            case "turn", (seconds,):
                return self.clock.advance(float(seconds))
            case "share", (stage, percent):
                self._share = Rollout(Stage(stage), float(percent))
            case _:
                raise LookupError(word)
        return None

    def _fault(self, verb: str, mishap: Mishap, times: int | None) -> None:
        nth = self.plan.calls.count(verb) + 1
        self.plan.faults.append(Fault(mishap, verb, nth, times))


class _GlancingFaultyStore(AsyncFaultyStore):
    """Glances where the store behind does, but not while it fails."""

    def __init__(self, store: AsyncStore, plan: FaultPlan) -> None:
        super().__init__(store, plan)
        self._glance = getattr(store, "glance", None)

    def glance(self, identity: Identity) -> Claimed | None:
        """Read one record at once, or give None."""
        if self._glance is None or self._plan.faults:
            return None
        found: Claimed | None = self._glance(identity)
        return found


def _words(ended: Ended) -> list[str | None]:
    return [ended.outcome, ended.would]


TERMS: Final[dict[str, dict[str, Any]]] = {
    "plain": {},
    "any": {},
    "required": {"required": True},
    "uuid": {"key_format": KeyFormat.UUID},
    "wait": {"in_flight": InFlightAnswer.WAIT, "patience": PATIENCE},
    "impatient": {
        "in_flight": InFlightAnswer.WAIT,
        "patience": timedelta(seconds=0.2),
    },
    "accept": {"in_flight": InFlightAnswer.ACCEPT},
    "again": {"guarantee": Guarantee.AT_LEAST_ONCE},
    "resume": {"guarantee": Guarantee.RESUME},
    "small": {"max_request": SMALL, "max_response": SMALL},
    "narrow": {"max_response": NARROW},
    "limited": {"work_limit": WORK_LIMIT, "lease": LEASE},
    "limited-again": {
        "guarantee": Guarantee.AT_LEAST_ONCE,
        "work_limit": WORK_LIMIT,
        "lease": LEASE,
    },
    "proceed": {"on_store_down": OnStoreDown.PROCEED},
    "brief": {"retention": BRIEF},
    "tombstone": {
        "retention": BRIEF,
        "after_expiry": AfterExpiry.REFUSE,
        "late_for": BRIEF,
    },
    "conflict": {"mismatch_status": 409},
    "off": {"mode": Rollout(Stage.OFF), "required": True},
    "observe": {"mode": Rollout(Stage.OBSERVE), "required": True},
    "validate": {
        "mode": Rollout(Stage.VALIDATE),
        "required": True,
        "max_request": SMALL,
    },
}
