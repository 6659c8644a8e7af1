# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What is kept of a bare server's throughput, round by round."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from benchmarks.table import Line
from benchmarks.timing import median

if TYPE_CHECKING:
    from collections.abc import Iterator

MICRO: Final = 1e6


@dataclass(slots=True)
class Kept:
    """Pairs of loads, bare and guarded, one after the other.

    Processor time is told beside throughput: on a machine that others use too it
    says more.
    """

    group: str
    bare: str
    _pairs: dict[str, list[tuple[dict[str, Any], dict[str, Any]]]] = field(
        default_factory=dict
    )

    def note(self, what: str, bare: dict[str, Any], guarded: dict[str, Any]) -> None:
        """Take note of one pair."""
        self._pairs.setdefault(what, []).append((bare, guarded))

    def lines(self, targets: dict[str, float]) -> Iterator[Line]:
        """Give the bare server's lines, then two for each that was guarded."""
        bares = [bare for pairs in self._pairs.values() for bare, _ in pairs]
        rate = median([bare["per_second"] for bare in bares])
        cpu = median([bare["cpu"] for bare in bares])
        yield Line(group=self.group, what=self.bare, value=rate, unit="requests/s")
        yield self._cpu(self.bare, cpu)
        for what, pairs in self._pairs.items():
            share = median([g["per_second"] / b["per_second"] for b, g in pairs])
            yield self._share(what, share, rate, targets[what])
            yield self._cpu(what, median([g["cpu"] for _, g in pairs]), cpu)

    def _share(self, what: str, share: float, rate: float, target: float) -> Line:
        return Line(
            group=self.group,
            what=what,
            value=share * rate,
            unit="requests/s",
            ratio=share,
            against=f"of the {self.bare}",
            target=f"≥ {target:.0%} kept",
            met=share >= target,
        )

    def _cpu(self, what: str, cpu: float, bare: float | None = None) -> Line:
        return Line(
            group=self.group,
            what=f"{what}: processor time",
            value=cpu * MICRO,
            unit="µs each",
            ratio=bare and cpu / bare,
            against="" if bare is None else f"× {self.bare}",
        )
