# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Round trips, counted on the wire, and answers that get lost there."""

from __future__ import annotations

import pytest

from keyonce.core.errors import RecordUnreadable, StoreError, StoreUnavailable
from keyonce.core.guarantee import Guarantee
from keyonce.core.model import Note
from keyonce.core.protocols import Store
from keyonce.core.states import Status
from keyonce.stores.mysql import AsyncMySQLStore, MySQLStore
from keyonce.testing.portal import StorePortal
from keyonce.testing.store_scenarios.cases import (
    ANSWER,
    FIRST,
    ORDER,
    SECOND,
    claim_of,
    completed,
    completion_of,
    named,
    record_in,
    settlement_of,
)
from tests.servers.mysql_relay import Relay


@pytest.fixture
def relay(server):
    relay = Relay(server.port)
    yield relay
    relay.close()


@pytest.fixture(params=["sync", "async"])
def store(request, relay, server, used_url):
    url = used_url.replace(str(server.port), str(relay.port))
    store: Store = (
        MySQLStore(url, purge_every=None)
        if request.param == "sync"
        else StorePortal(AsyncMySQLStore(url, purge_every=None))
    )
    store.find(ORDER)  # opens a connection
    relay.queries.clear()
    yield store
    store.close()


def trips(relay, step):
    relay.queries.clear()
    step()
    return len(relay.queries)


def writes(server):
    """How many rows the server has written since it started."""
    rows = server.ask(
        "SHOW GLOBAL STATUS WHERE Variable_name IN "
        "('Handler_write', 'Handler_update', 'Handler_delete')"
    )
    return sum(int(count) for _, count in rows)


def test_a_first_request_takes_three_trips_and_a_replay_one(store, relay):
    assert 2 == trips(relay, lambda: store.claim(claim_of()))
    assert 1 == trips(relay, lambda: store.renew(ORDER, FIRST))
    assert 1 == trips(relay, lambda: store.note(Note(ORDER, FIRST, b"halfway")))
    assert 1 == trips(relay, lambda: store.complete(completion_of()))
    assert 1 == trips(relay, lambda: store.claim(claim_of(owner=SECOND)))
    assert 1 == trips(relay, lambda: store.find(ORDER))


def test_other_ends_take_one_trip(store, relay):
    store.claim(claim_of(named("a")))
    store.claim(claim_of(named("b")))

    assert 1 == trips(relay, lambda: store.release(named("a"), FIRST, "safe", None))
    assert 1 == trips(relay, lambda: store.abandon(named("b"), FIRST, "crashed"))


def test_a_replay_and_a_refusal_write_nothing_and_lock_nothing(store, relay, server):
    completed(store)
    store.claim(claim_of(named("running")))
    before = writes(server)
    other = server.locking("used", "SELECT status FROM keyonce_records FOR UPDATE")

    replay = store.claim(claim_of(owner=SECOND)).record
    refusal = store.claim(claim_of(named("running"), SECOND)).record
    between = writes(server)
    new = store.claim(claim_of(named("new"), SECOND)).record

    other.rollback()
    other.close()
    assert (ANSWER, FIRST, SECOND) == (replay.result, refusal.owner, new.owner)
    assert (before, before + 1) == (between, writes(server))


@pytest.mark.parametrize("lost", [b"INSERT", b"SELECT"])
def test_a_claim_whose_answer_is_lost_is_made_once(store, relay, lost):
    relay.lose_answer_to(lost)

    claimed = store.claim(claim_of()).record

    assert 1 == relay.lost
    assert (FIRST, 1) == (claimed.owner, claimed.executions)


def test_an_outcome_whose_acknowledgement_is_lost_is_stored_once(store, relay):
    store.claim(claim_of())
    relay.lose_answer_to(b"UPDATE")

    done = store.complete(completion_of(reference="charge-1"))

    assert 1 == relay.lost
    assert (Status.COMPLETED, ANSWER) == (done.status, done.result)
    assert done == record_in(store)


def test_a_release_whose_answer_is_lost_says_yes(store, relay):
    store.claim(claim_of())
    relay.lose_answer_to(b"UPDATE")

    assert store.release(ORDER, FIRST, "safe", None) is True
    assert 1 == relay.lost


def test_a_note_whose_answer_is_lost_says_yes(store, relay):
    store.claim(claim_of())
    relay.lose_answer_to(b"UPDATE")

    assert store.note(Note(ORDER, FIRST, b"halfway", "ch_1")) is True
    assert 1 == relay.lost
    noted = record_in(store)
    assert (b"halfway", "ch_1") == (noted.steps, noted.reference)


def test_steps_larger_than_a_packet_are_refused_and_harm_nothing(store):
    store.claim(claim_of())
    store.note(Note(ORDER, FIRST, b"halfway"))
    large = bytes(store.traits.largest_result + 1)

    with pytest.raises(StoreError, match="max_allowed_packet"):
        store.note(Note(ORDER, FIRST, large))

    assert b"halfway" == record_in(store).steps


def test_an_abandonment_whose_answer_is_lost_says_yes(store, relay):
    store.claim(claim_of())
    relay.lose_answer_to(b"UPDATE")

    assert store.abandon(ORDER, FIRST, "crashed") is True
    assert 1 == relay.lost


def test_a_takeover_takes_two_trips(store, relay, server):
    store.claim(claim_of(guarantee=Guarantee.AT_LEAST_ONCE))
    server.ask(
        "UPDATE keyonce_records SET lease_until = lease_until - 3600000000", "used"
    )
    command = claim_of(
        owner=SECOND,
        guarantee=Guarantee.AT_LEAST_ONCE,
        witnessed=record_in(store).lease_until,
    )

    assert 2 == trips(relay, lambda: store.claim(command))
    assert SECOND == record_in(store).owner


def test_a_takeover_whose_answer_is_lost_is_made_once(store, relay, server):
    first = store.claim(claim_of(guarantee=Guarantee.AT_LEAST_ONCE)).record
    server.ask(
        "UPDATE keyonce_records SET lease_until = lease_until - 3600000000", "used"
    )
    seen = record_in(store).lease_until
    relay.lose_answer_to(b"UPDATE")

    again = store.claim(
        claim_of(owner=SECOND, guarantee=Guarantee.AT_LEAST_ONCE, witnessed=seen)
    ).record

    assert 1 == relay.lost
    assert (SECOND, 2, first.created_at) == (
        again.owner,
        again.executions,
        again.created_at,
    )


def test_a_decision_whose_commit_is_unclear_is_not_repeated(store, relay):
    store.claim(claim_of())
    store.abandon(ORDER, FIRST, "crashed")
    relay.lose_answer_to(b"\x03COMMIT")

    with pytest.raises(StoreUnavailable):
        store.settle(settlement_of())

    assert Status.RELEASED is record_in(store).status
    assert 1 == len(store.audits(ORDER))


def test_a_batch_of_new_claims_is_two_trips_and_of_taken_ones_one(store, relay):
    commands = [claim_of(named(f"{n}")) for n in range(100)]
    others = [command._replace(owner=SECOND) for command in commands]

    assert 2 == trips(relay, lambda: store.claim_many(commands))
    assert 1 == trips(relay, lambda: store.claim_many(others))


def test_a_torn_record_spoils_no_other_of_a_batch(store, server):
    completed(store, named("torn"))
    server.ask("UPDATE used.keyonce_records SET result = 'torn'")

    one, torn, two = store.claim_many(
        [claim_of(named(key), SECOND) for key in ("one", "torn", "two")]
    )

    assert isinstance(torn, RecordUnreadable)
    assert {SECOND} == {one.record.owner, two.record.owner}
