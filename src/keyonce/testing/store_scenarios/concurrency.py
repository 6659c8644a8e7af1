# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Many at once: one owner for each key, and no key waits for another."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from keyonce.core.guarantee import Guarantee
from keyonce.core.model import StoredResult
from keyonce.testing.store_scenarios.cases import (
    FIRST,
    HOUR,
    ORDER,
    claim_of,
    completed,
    completion_of,
    named,
    pass_lease,
    record_in,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyonce.core.protocols import Store
    from keyonce.testing.clock import FakeClock

R = TypeVar("R")

CROWD = 16


def at_once(works: list[Callable[[], R]]) -> list[R]:
    """Start all *works* together, each in a thread, and give their answers."""
    ready = threading.Barrier(len(works))

    def begin(work: Callable[[], R]) -> R:
        ready.wait(timeout=30)
        return work()

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(begin, works))


def token(number: int) -> bytes:
    """Give the token of one of a crowd."""
    return b"crowd-%010d" % number


class Concurrency:
    """Scenarios with threads."""

    def test_of_a_crowd_one_gets_the_key(self, store: Store) -> None:
        for key in ("a", "b", "c"):
            claims = [claim_of(named(key), token(number)) for number in range(CROWD)]

            answers = at_once([partial(store.claim, each) for each in claims])

            owners = {answer.record.owner for answer in answers}
            assert len(owners) == 1
            assert owners == {record_in(store, named(key)).owner}
            assert {1} == {answer.record.executions for answer in answers}

    def test_sixty_keys_at_once_have_sixty_owners(self, store: Store) -> None:
        claims = [claim_of(named(str(n)), token(n)) for n in range(60)]

        answers = at_once([partial(store.claim, each) for each in claims])

        assert [each.owner for each in claims] == [
            answer.record.owner for answer in answers
        ]

    def test_of_a_crowd_one_takes_over(self, store: Store, clock: FakeClock) -> None:
        again = Guarantee.AT_LEAST_ONCE
        first = store.claim(claim_of(guarantee=again)).record
        pass_lease(clock)
        claims = [
            claim_of(owner=token(number), guarantee=again, witnessed=first.lease_until)
            for number in range(CROWD)
        ]

        answers = at_once([partial(store.claim, each) for each in claims])

        assert len({answer.record.owner for answer in answers}) == 1
        assert {2} == {answer.record.executions for answer in answers}
        assert {1} == {answer.record.crashes for answer in answers}

    def test_of_many_outcomes_one_is_kept(self, store: Store) -> None:
        store.claim(claim_of())
        completions = [
            completion_of(result=StoredResult(200, (), token(number), size=16))
            for number in range(CROWD)
        ]

        answers = at_once([partial(store.complete, each) for each in completions])

        kept = record_in(store)
        assert all(kept == answer for answer in answers)

    def test_a_completion_and_a_decision_do_not_both_win(self, store: Store) -> None:
        for key in map(str, range(10)):
            store.claim(claim_of(named(key)))

            works: list[Callable[[], object]] = [
                partial(store.release, named(key), FIRST, "safe", None),
                partial(store.complete, completion_of(named(key))),
            ]
            freed, done = at_once(works)

            record = record_in(store, named(key))
            assert record == done
            assert freed is (record.result is None)

    def test_purging_never_takes_a_live_key(
        self, store: Store, clock: FakeClock
    ) -> None:
        for number in range(20):
            completed(store, named(str(number)))
        clock.advance(2 * HOUR)
        claims = [claim_of(named(str(n)), token(n)) for n in range(20)]
        works: list[Callable[[], object]] = [
            partial(store.claim, each) for each in claims
        ]
        works += [partial(store.purge, 3)] * 6

        at_once(works)

        owners = [record_in(store, named(str(n))).owner for n in range(20)]
        assert [each.owner for each in claims] == owners

    def test_readers_see_all_of_an_outcome_or_none(self, store: Store) -> None:
        store.claim(claim_of())

        def look() -> bool:
            for _ in range(50):
                record = record_in(store)
                if (record.ended_at is None) is not (record.result is None):
                    return False
            return True

        def end() -> bool:
            return store.complete(completion_of(ORDER)) is not None

        assert all(at_once([*[look] * 4, end]))
