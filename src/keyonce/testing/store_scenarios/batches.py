# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Many keys claimed at once: each as it would be alone.

A store that cannot claim many is asked one by one, as the guard does.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from keyonce.core.guarantee import Guarantee
from keyonce.core.model import Claimed
from keyonce.core.states import Status
from keyonce.testing.store_scenarios.cases import (
    FIRST,
    HOUR,
    OTHER_PAYLOAD,
    SECOND,
    claim_of,
    completed,
    completion_of,
    named,
    pass_lease,
    record_in,
)
from keyonce.testing.store_scenarios.concurrency import at_once, token

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keyonce.core.model import Claim
    from keyonce.core.protocols import Store
    from keyonce.testing.clock import FakeClock

CROWD = 6
MANY = 40


def claim_all(store: Store, commands: Sequence[Claim]) -> list[Claimed]:
    """Claim many at once where *store* can, else one by one."""
    any_store: Any = store
    if not hasattr(store, "claim_many"):
        return [store.claim(command) for command in commands]
    answers = list(any_store.claim_many(commands))
    assert all(isinstance(answer, Claimed) for answer in answers)
    return answers


class Batches:
    """Scenarios around claim_many."""

    def test_new_keys_are_claimed_together(
        self, store: Store, clock: FakeClock
    ) -> None:
        commands = [claim_of(named(f"{n}"), token(n)) for n in range(MANY)]

        answers = claim_all(store, commands)

        assert [command.identity for command in commands] == [
            answer.record.identity for answer in answers
        ]
        assert [command.owner for command in commands] == [
            answer.record.owner for answer in answers
        ]
        assert {clock()} == {answer.now for answer in answers}
        for answer in answers:
            assert answer.record == record_in(store, answer.record.identity)
            assert (1, Status.IN_PROGRESS, b"field map") == (
                answer.record.executions,
                answer.record.status,
                answer.record.fields,
            )

    def test_nothing_is_claimed_of_nothing(self, store: Store) -> None:
        assert [] == claim_all(store, [])

    def test_each_gets_the_answer_that_it_would_get_alone(
        self, store: Store, clock: FakeClock
    ) -> None:
        again = Guarantee.AT_LEAST_ONCE
        gone = store.claim(claim_of(named("gone"), guarantee=again)).record
        store.claim(claim_of(named("lost")))
        completed(store, named("expired"), retention_for=5.0)
        completed(store, named("late"), retention_for=5.0, late_for=HOUR)
        pass_lease(clock)
        done = completed(store, named("done"))
        running = store.claim(claim_of(named("running"))).record
        store.claim(claim_of(named("free")))
        store.release(named("free"), FIRST, "safe", HOUR)
        witnessed = {"gone": gone.lease_until, "lost": gone.lease_until}
        keys = ["running", "new", "lost", "gone", "free", "late", "expired", "done"]

        answers = claim_all(
            store,
            [
                claim_of(
                    named(key),
                    SECOND,
                    guarantee=again,
                    witnessed=witnessed.get(key),
                )
                for key in keys
            ],
        )

        met = dict(zip(keys, (answer.record for answer in answers), strict=True))
        assert (done, running) == (met["done"], met["running"])
        assert {
            "running": (FIRST, 1, Status.IN_PROGRESS),
            "new": (SECOND, 1, Status.IN_PROGRESS),
            "lost": (FIRST, 1, Status.UNKNOWN),
            "gone": (SECOND, 2, Status.IN_PROGRESS),
            "free": (SECOND, 2, Status.IN_PROGRESS),
            "late": (FIRST, 1, Status.TOMBSTONE),
            "expired": (SECOND, 1, Status.IN_PROGRESS),
            "done": (FIRST, 1, Status.COMPLETED),
        } == {key: (r.owner, r.executions, r.status) for key, r in met.items()}
        for key, record in met.items():
            assert record == record_in(store, named(key))

    def test_a_lease_nobody_witnessed_is_not_ended_in_a_batch(
        self, store: Store, clock: FakeClock
    ) -> None:
        commands = [claim_of(named(key)) for key in ("a", "b")]
        before = claim_all(store, commands)
        pass_lease(clock)

        after = claim_all(store, [each._replace(owner=SECOND) for each in commands])

        assert [each.record for each in before] == [each.record for each in after]

    def test_another_payload_is_seen_in_a_batch(self, store: Store) -> None:
        done = completed(store, named("a"))
        commands = [
            claim_of(named(key), SECOND, fingerprint=OTHER_PAYLOAD)
            for key in ("a", "b")
        ]

        old, new = claim_all(store, commands)

        assert done == old.record
        assert (SECOND, OTHER_PAYLOAD) == (new.record.owner, new.record.fingerprint)

    def test_a_batch_claimed_again_is_the_same(self, store: Store) -> None:
        commands = [claim_of(named(f"{n}"), token(n)) for n in range(10)]
        once = claim_all(store, commands)

        again = claim_all(store, commands)

        assert [each.record for each in once] == [each.record for each in again]

    def test_what_a_batch_claimed_can_be_completed(self, store: Store) -> None:
        claim_all(store, [claim_of(named("a")), claim_of(named("b"), SECOND)])

        first = store.complete(completion_of(named("a")))
        second = store.complete(completion_of(named("b"), SECOND))

        assert first == record_in(store, named("a"))
        assert second == record_in(store, named("b"))

    def test_batches_that_overlap_never_share_a_key(self, store: Store) -> None:
        keys = [named(f"{n:02}") for n in range(MANY)]
        batches = []
        for number in range(CROWD):
            mine = keys[number:] + keys[:number]  # begun at another key, and back
            ordered = mine if number % 2 else mine[::-1]
            batches.append([claim_of(key, token(number)) for key in ordered])

        answers = at_once([partial(claim_all, store, batch) for batch in batches])

        owners: dict[str, set[bytes]] = {}
        for claimed in (each for answer in answers for each in answer):
            record = claimed.record
            owners.setdefault(record.identity.key, set()).add(record.owner)
            assert 1 == record.executions
        assert MANY == len(owners)
        assert all(1 == len(owner) for owner in owners.values())
