# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Every trouble at every call, for one store, guarantee and face."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count, takewhile
from typing import Any, Final

from keyonce.core.guarantee import Guarantee
from tests.nth_call.faults import Trouble, plan_of
from tests.nth_call.life import Life
from tests.nth_call.places import Places

AT_ONCE: Final = 24  # lives: most of one is waiting
WAVE: Final = 6  # calls of one sweep


def swept(
    places: Places,
    kind: str,
    guarantee: Guarantee,
    *,
    aio: bool,
    troubles: Iterable[Trouble],
) -> dict[str, int]:
    """Sweep each trouble over all calls; how many lives met it, by its name."""

    def live(trouble: Trouble, nth: int) -> bool:
        place = places.place(kind)
        plan = plan_of(trouble, nth, place.line)
        name = f"{guarantee} {trouble} {nth}{' aio' if aio else ''}"
        try:
            Life(place, guarantee, plan, name, aio=aio).lives()
        except BaseException as error:
            error.add_note(f"{kind} {name}: {plan.calls}")
            raise
        return plan.met > 0

    before = set(threading.enumerate())
    found: dict[str, int] = {}
    with ThreadPoolExecutor(AT_ONCE) as pool, ThreadPoolExecutor(8) as sweeps:
        under_way = {
            str(trouble): sweeps.submit(_sweep, pool, live, trouble)
            for trouble in troubles
            if not trouble.cut
        }
        found = {name: sweep.result() for name, sweep in under_way.items()}
    for trouble in (each for each in troubles if each.cut):
        # There is one line to cut, and so one life at a time.
        lives = takewhile(partial(live, trouble), count(1))
        found[str(trouble)] = sum(1 for _ in lives)
    assert [] == left_since(before)
    return found


def _sweep(
    pool: ThreadPoolExecutor, live: Callable[[Trouble, int], bool], trouble: Trouble
) -> int:
    """Live with the first call failing, the second, and so on, until none is met."""
    for first in count(1, WAVE):
        wave = pool.map(lambda nth: live(trouble, nth), range(first, first + WAVE))
        met = list(wave)
        if not all(met):
            return first - 1 + sum(met)
    raise AssertionError


def left_since(before: set[Any]) -> list[str]:
    """Name the threads of ours that have come and not gone."""
    there = set(threading.enumerate()) - before
    return [thread.name for thread in there if "keyonce" in thread.name]
