# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What a store needs for a rate of requests and a retention: the arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import ceil, inf
from typing import TYPE_CHECKING, Final

from keyonce.cli.measured import SECONDS_A_TRIP, Shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from keyonce.cli.measured import Measured

KIB: Final = 1024
GIB: Final = 1024**3
ROOMY: Final = 0.5  # of what was measured, as other work is done as well
LARGE_MEMORY: Final = 64 * GIB


@dataclass(frozen=True, slots=True)
class Demand:
    """What is asked of a store.

    *rate* counts requests a second, of which *duplicates* (0 to 1) bring a key that
    was there already. *retention* is in seconds; an answer has *headers* and *body*
    bytes.
    """

    rate: float
    retention: float
    body: int
    headers: int
    duplicates: float

    @property
    def fresh(self) -> float:
        """How many new keys come each second."""
        return self.rate * (1 - self.duplicates)

    @property
    def answer(self) -> int:
        """How many bytes an answer has."""
        return self.body + self.headers

    @property
    def rows(self) -> int:
        """How many records there are once as many expire as come."""
        return ceil(self.fresh * self.retention)


@dataclass(frozen=True, slots=True)
class Need:
    """What one store needs.

    *memory* is what is best held there; None where that is nobody's worry. *purge*
    counts the records that have to go each second. *remarks* say what to look out
    for; *fits* is false where the store cannot do it.
    """

    store: str
    rows: int
    disk: int
    memory: int | None
    writes: float
    trips: float
    purge: float
    connections: int | None
    write_units: float | None
    read_units: float | None
    remarks: tuple[str, ...]
    fits: bool


def need_of(demand: Demand, store: Measured) -> Need:
    """Reckon what *store* needs for *demand*."""
    kept = demand.answer if demand.answer <= (store.largest or inf) else 0
    key = at(kept, store.room)
    disk = round(demand.rows * key)
    hot = disk if store.all_hot else round(demand.rows * store.hot)
    repeated = demand.rate * demand.duplicates
    trips = demand.fresh * store.trips + repeated
    write_units, read_units = _units(demand, store, key)
    faults = tuple(_faults(demand, store, hot))
    return Need(
        store=store.name,
        rows=demand.rows,
        disk=disk,
        memory=hot or None,
        writes=demand.fresh * store.writes,
        trips=trips,
        purge=0.0 if store.expires_itself else demand.fresh,
        connections=ceil(trips * SECONDS_A_TRIP) if store.connects else None,
        write_units=write_units,
        read_units=read_units,
        remarks=(*faults, *_hints(demand, store, hot)),
        fits=not faults,
    )


def at(size: int, room: Sequence[Shown]) -> float:
    """Give the bytes that a key with an answer of *size* takes.

    Between what was measured, and above it, along the straight line.
    """
    steps = [*pairwise(room)]
    lower, upper = next((step for step in steps if size <= step[1].size), steps[-1])
    slope = (upper.value - lower.value) / (upper.size - lower.size)
    return lower.value + (size - lower.size) * slope


def _slowest(purged: Sequence[Shown], size: int) -> float:
    """Give how many were purged a second, of the next larger size."""
    if not purged:
        return inf
    return next((each.value for each in purged if size <= each.size), purged[-1].value)


def _units(
    demand: Demand, store: Measured, key: float
) -> tuple[float | None, float | None]:
    """Reckon DynamoDB's units: a write of each KiB, a read of each four.

    The claim and the outcome each also write the index of open records.
    """
    if store.claimed is None:
        return None, None
    item = key - store.overhead
    first = ceil(store.claimed / KIB) + 1
    last = ceil(item / KIB) + 1
    read = demand.rate * demand.duplicates * ceil(item / (4 * KIB))
    return demand.fresh * (first + last), read


def _faults(demand: Demand, store: Measured, hot: int) -> Iterator[str]:
    """Say what cannot be."""
    if store.most_keys is not None and demand.fresh > store.most_keys:
        yield (
            f"{demand.fresh:,.0f} new keys a second are too many: "
            f"{store.most_keys:,.0f} {store.most_by}."
        )
    if store.largest is not None and demand.answer > store.largest:
        yield (
            f"An answer of {demand.answer:,} bytes is not kept: {store.largest:,} are "
            f"the most {store.largest_by}."
        )
    purged = _slowest(store.purged, demand.answer)
    if demand.fresh > purged:
        yield (
            f"{demand.fresh:,.0f} records expire a second, and {purged:,.0f} were "
            "purged where it was measured."
        )
    if store.all_in_memory and hot > LARGE_MEMORY:
        yield "More memory than one server has: use a Cluster, or a shorter retention."


def _hints(demand: Demand, store: Measured, hot: int) -> Iterator[str]:
    """Say what is to be looked at before."""
    if store.most_keys is not None and (
        store.most_keys * ROOMY < demand.fresh <= store.most_keys
    ):
        yield (
            f"{demand.fresh:,.0f} new keys a second is over half of the "
            f"{store.most_keys:,.0f} {store.most_by}: try it on your disk."
        )
    if store.all_hot and not store.all_in_memory and hot > LARGE_MEMORY:
        yield (
            "With less memory than that a claim reads from the disk first: new keys "
            "fall anywhere in the table."
        )
    if store.all_in_memory and hot <= LARGE_MEMORY:
        yield "Set maxmemory above that, with room for a fork: half as much again."
