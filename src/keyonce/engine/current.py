# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Which work this thread or task is at: for HTTP clients, producers and logs."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from keyonce.core.downstream import derived_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keyonce.core.model import Identity, Lease
    from keyonce.engine.aio_work import AsyncWork
    from keyonce.engine.work import Work


@dataclass(frozen=True, slots=True)
class Place:
    """Where in guarded work the code is: under which lease, and in which step."""

    lease: Lease
    work: Work | AsyncWork | None = None
    step: str = ""
    outer: Place | None = None


_PLACE: Final[ContextVar[Place | None]] = ContextVar("keyonce_place", default=None)


@contextmanager
def at(place: Place) -> Iterator[None]:
    """Be at *place* for as long as the block lasts."""
    token = _PLACE.set(place)
    try:
        yield
    finally:
        _PLACE.reset(token)


def enter(place: Place) -> None:
    """Be at *place* for the rest of this task, or of this copied context."""
    _PLACE.set(place)


def entered(lease: Lease, work: Work | AsyncWork) -> Place:
    """Give the place of new *work* under *lease*, inside whatever this code is at."""
    return Place(lease, work, outer=_PLACE.get())


def in_step(lease: Lease, name: str) -> Place:
    """Give the place of the step *name* of the work under *lease*."""
    place = _PLACE.get()
    if place is None:
        return Place(lease, step=name)
    return replace(place, step=name)


def is_inside(identity: Identity) -> bool:
    """Whether this code is at work under *identity* already."""
    place = _PLACE.get()
    while place is not None:
        if place.lease.identity == identity:
            return True
        place = place.outer
    return False


def current_place() -> Place | None:
    """Say where in guarded work this code runs; None outside of any."""
    return _PLACE.get()


def current_downstream_key() -> str | None:
    """Give the key that a call made here should carry; None outside guarded work.

    Inside a step it is the step's own; a client that makes several calls in one
    place tells them apart itself.
    """
    place = _PLACE.get()
    return None if place is None else downstream_key(place.lease, place.step)


def downstream_key(lease: Lease, name: str) -> str:
    """Give the key of one outside call of the work under *lease*."""
    return derived_key(lease.identity, lease.born_at, name)
