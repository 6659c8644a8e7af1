# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The plan of faults of one run, drawn from its seed."""

from __future__ import annotations

from tests.simulation.chance import Chance
from tests.simulation.history import History

MISHAPS = ("lost-request", "lost-reply", "doubled", "late", "slow")


class Weather:
    """How bad the lines are; after *clears_at* they are good, if they ever are."""

    def __init__(self, chance: Chance, history: History) -> None:
        self.chance = chance
        self._history = history
        self.is_foul = True
        self.unheard = history.unheard
        self._share = chance.among((0.0, 0.05, 0.15, 0.4))
        self._reads_stale = chance.among((0.0, 0.0, 0.5))
        self._cut: dict[str, bool] = {}
        # Some runs meet one kind alone, so that nothing else hides what it does.
        self._kinds = MISHAPS if chance.maybe(0.6) else (chance.among(MISHAPS),)
        self._verb = chance.among(("", "", "", "claim", "complete", "renew", "note"))

    def clear(self) -> None:
        self.is_foul = False
        self._cut.clear()

    def cut(self, name: str, off: bool) -> None:
        """Cut a node off from the store, or join it again."""
        self._cut[name] = off

    def mishap(self, name: str, verb: str) -> str | None:
        """What becomes of one call."""
        if self._cut.get(name):
            self._history.faults += 1
            return "lost-request"
        if self._verb and verb != self._verb:
            return None
        if not self.chance.maybe(self._share):
            return None
        self._history.faults += 1
        kind = self.chance.among(self._kinds)
        self._history.reached[f"fault:{kind}"] += 1
        return kind

    def purges(self) -> bool:
        """Whether a purge comes just before a claim."""
        return self.chance.maybe(0.2)

    def staleness(self) -> float:
        """How old an answer to a look is."""
        if not self.chance.maybe(self._reads_stale):
            return 0.0
        self._history.faults += 1
        self._history.reached["fault:stale-read"] += 1
        return self.chance.between(0.01, 2.0)
