# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What whoever waits may rely on, on every store that tells of ends.

A class of tests that gives `store` (one that others write to), `clock` and `hearer`
(another store on the same records, as another process has) inherits from Announcing.
"""

from __future__ import annotations

import random
import threading
import time
from typing import Any

from keyonce.core.guarantee import Guarantee
from keyonce.core.states import Status
from keyonce.testing.store_scenarios.cases import (
    FIRST,
    HOUR,
    ORDER,
    SECOND,
    claim_of,
    completed,
    completion_of,
    named,
    record_in,
    settlement_of,
    taken_over,
)

SOON = 20.0


class Listener:
    """One watch that counts how often it is woken."""

    def __init__(self, store: Any, identity: Any = ORDER) -> None:
        self.woken = threading.Event()
        self.watch = store.watch(identity, self.woken.set)
        assert self.watch is not None

    def in_force(self) -> Listener:
        """Wait until news would be heard."""
        until = time.monotonic() + SOON
        while not self.watch.in_force:
            assert time.monotonic() < until, "it never came into force"
            self.woken.wait(0.01)
        return self.forget()

    def forget(self) -> Listener:
        self.woken.clear()
        return self

    def heard(self, within: float = SOON) -> bool:
        heard = self.woken.wait(within)
        self.woken.clear()
        return heard

    def close(self) -> None:
        self.watch.close()


def waits_for(store: Any, identity: Any = ORDER) -> Listener:
    """Have the end of *identity* be announced, as whoever waits does."""
    listener = Listener(store, identity).in_force()
    assert store.announce(identity)
    return listener.forget()


def hears_nothing(listener: Listener, store: Any, hearer: Any) -> bool:
    """Whether *listener* was told nothing before another that is told something."""
    store.claim(claim_of(named("witness")))
    witness = waits_for(hearer, named("witness"))
    store.release(named("witness"), FIRST, "safe", HOUR)
    assert witness.heard()
    witness.close()
    return not listener.woken.is_set()


class Announcing:
    """The scenarios."""

    def test_every_end_is_told(self, store, hearer):
        ends = {
            "done": lambda name: store.complete(completion_of(name)),
            "free": lambda name: store.release(name, FIRST, "safe", HOUR),
            "lost": lambda name: store.abandon(name, FIRST, "crashed"),
        }
        told = {}
        for key, end in ends.items():
            store.claim(claim_of(named(key)))
            listener = waits_for(hearer, named(key))
            end(named(key))
            told[key] = listener.heard()
            listener.close()

        assert dict.fromkeys(ends, True) == told

    def test_the_end_of_a_lease_is_told(self, store, hearer, clock):
        store.claim(claim_of())
        listener = waits_for(hearer)

        unknown = taken_over(store, clock, guarantee=Guarantee.AT_MOST_ONCE)

        assert Status.UNKNOWN is unknown.status
        assert listener.heard()
        listener.close()

    def test_what_an_operator_decides_is_told(self, store, hearer, clock):
        store.claim(claim_of())
        listener = waits_for(hearer)
        clock.advance(HOUR)

        store.settle(settlement_of())

        assert listener.heard()
        listener.close()

    def test_who_takes_over_is_waited_for_as_the_first_was(self, store, hearer, clock):
        again = Guarantee.AT_LEAST_ONCE
        store.claim(claim_of(guarantee=again))
        listener = waits_for(hearer)
        assert SECOND == taken_over(store, clock).owner
        listener.forget()

        store.complete(completion_of(owner=SECOND))

        assert listener.heard()
        listener.close()

    def test_only_work_under_way_is_announced(self, store, hearer):
        assert not hearer.announce(ORDER)

        store.claim(claim_of())
        first, second = hearer.announce(ORDER), hearer.announce(ORDER)
        completed(store)

        assert (True, True, False) == (first, second, hearer.announce(ORDER))

    def test_an_announcement_changes_nothing_else(self, store, hearer):
        store.claim(claim_of())
        before = record_in(store)

        hearer.announce(ORDER)

        assert before == record_in(store)
        assert before.lease_until == store.renew(ORDER, FIRST).lease_until
        assert Status.COMPLETED is store.complete(completion_of()).status

    def test_nobody_hears_of_another_key_or_after_closing(self, store, hearer):
        store.claim(claim_of())
        store.claim(claim_of(named("other")))
        other, gone = waits_for(hearer, named("other")), waits_for(hearer)
        gone.close()
        gone.close()

        store.complete(completion_of())

        assert hears_nothing(other, store, hearer)
        assert not gone.woken.is_set()
        other.close()

    def test_many_who_wait_for_one_key_are_all_told(self, store, hearer):
        store.claim(claim_of())
        listeners = [waits_for(hearer) for _ in range(20)]

        store.complete(completion_of())

        assert [True] * 20 == [listener.heard() for listener in listeners]
        for listener in listeners:
            listener.close()

    def test_no_news_is_lost_between_the_look_and_the_listening(self, store, hearer):
        names = [named(f"race-{number}") for number in range(100)]
        for name in names:
            store.claim(claim_of(name))
        warm = waits_for(hearer, names[0])

        def owner() -> None:
            for name in names:
                time.sleep(random.uniform(0.0, 0.004))
                store.complete(completion_of(name))

        working = threading.Thread(target=owner)
        working.start()
        missed = []
        for name in names:
            listener = Listener(hearer, name)
            if hearer.announce(name) and not listener.heard():
                missed.append(name)
            assert Status.COMPLETED is self.end_of(hearer, name)
            listener.close()
        working.join()
        warm.close()

        assert [] == missed

    def end_of(self, store, name):
        """The status of *name* once it is not in progress: a lock may have hidden it."""
        until = time.monotonic() + SOON
        while (status := record_in(store, name).status) is Status.IN_PROGRESS:
            assert time.monotonic() < until
            time.sleep(0.002)
        return status
