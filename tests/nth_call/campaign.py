# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Every trouble at every call, for one store, guarantee and face."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from keyonce.core.guarantee import Guarantee
from keyonce.testing.faults import FaultPlan
from tests.nth_call.faults import Trouble, plan_of
from tests.nth_call.life import Life, sweep
from tests.nth_call.places import Places

AT_ONCE: Final = 8  # most of a life is waiting


def swept(
    places: Places,
    kind: str,
    guarantee: Guarantee,
    *,
    aio: bool,
    troubles: Iterable[Trouble],
) -> dict[str, int]:
    """Sweep each trouble over all calls; how many lives met it, by its name."""

    def one(trouble: Trouble) -> tuple[str, int]:
        def live(nth: int) -> FaultPlan:
            place = places.place(kind)
            plan = plan_of(trouble, nth, place.line)
            name = f"{guarantee} {trouble} {nth} {'aio' if aio else ''}"
            try:
                Life(place, guarantee, plan, name, aio=aio).lives()
            except BaseException as error:
                error.add_note(f"{kind} {name}: {plan.calls}")
                raise
            return plan

        return str(trouble), sweep(live)

    before = set(threading.enumerate())
    cuts = [each for each in troubles if each.cut]
    said = [each for each in troubles if not each.cut]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = dict(pool.map(one, said))
    found |= dict(map(one, cuts))  # one line, and so one after the other
    assert [] == left_since(before)
    return found


def left_since(before: set[Any]) -> list[str]:
    """Name the threads of ours that have come and not gone."""
    there = set(threading.enumerate()) - before
    return [thread.name for thread in there if "keyonce" in thread.name]
