# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What is sent, how often, and what becomes of it when the wire fails."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from botocore.exceptions import NoCredentialsError

from keyonce.core.errors import SettlementRefused, StoreError, StoreUnavailable
from keyonce.core.guarantee import Guarantee
from keyonce.core.model import Note, Query
from keyonce.core.states import Status
from keyonce.stores.dynamodb import DynamoDBStore
from keyonce.testing.store_scenarios.cases import (
    ANSWER,
    FIRST,
    HOUR,
    ORDER,
    SECOND,
    claim_of,
    completed,
    completion_of,
    named,
    pass_lease,
    record_in,
    settlement_of,
)
from tests.stores.dynamodb.wires import counted, deaf, refusing, stammering, wired

READS = ("get_item", "scan", "query")
QUERY = Query()
UNKNOWN = Query(status=Status.UNKNOWN)


@pytest.fixture
def over(table, clock):
    """Make a store that speaks over a given client."""

    def make(client, **settings):
        settings = {"skew": timedelta(0), **settings}
        return DynamoDBStore(table, client=client, clock=clock, **settings)

    return make


def test_a_first_request_is_two_trips_and_a_replay_one(client, over):
    wire, sent = counted(client)
    owner = over(wire)
    owner.claim(claim_of())
    owner.complete(completion_of())

    first = [name for name, _ in sent]
    sent.clear()
    here = owner.claim(claim_of(owner=SECOND)).record
    replay_here = [name for name, _ in sent]
    sent.clear()
    elsewhere = over(wire).claim(claim_of(owner=SECOND)).record
    replay_elsewhere = [name for name, _ in sent]

    assert ["put_item", "update_item"] == first
    assert ["get_item"] == replay_here
    assert ["put_item"] == replay_elsewhere
    assert ANSWER == here.result == elsewhere.result


def test_a_replay_writes_nothing(client, table, over):
    completed(over(client))
    before = client.scan(TableName=table)["Items"]

    for _ in range(3):
        over(client).claim(claim_of(owner=SECOND))

    assert before == client.scan(TableName=table)["Items"]


def test_every_verb_of_the_owner_is_one_trip(client, over):
    wire, sent = counted(client)
    store = over(wire)
    for key in ("a", "b"):
        store.claim(claim_of(named(key)))
    sent.clear()

    store.renew(named("a"), FIRST)
    store.note(Note(named("a"), FIRST, b"halfway", "ch_1"))
    store.release(named("a"), FIRST, "safe", None)
    store.abandon(named("b"), FIRST, "crashed")
    store.renew(named("b"), FIRST)
    store.complete(completion_of(named("b")))
    store.complete(completion_of(named("b")))

    assert ["update_item"] * 7 == [name for name, _ in sent]


def test_every_read_is_consistent_but_that_of_the_index(client, over, clock):
    wire, sent = counted(client)
    store = over(wire)
    store.claim(claim_of())
    store.find(ORDER)
    store.claim(claim_of(owner=SECOND))
    store.stats()
    store.records(QUERY)
    store.records(UNKNOWN)
    store.audits()
    store.audits(ORDER)
    store.purge()

    reads = [(name, given) for name, given in sent if name in READS]
    lax = [given for _, given in reads if not given["ConsistentRead"]]
    assert len(reads) >= 8
    assert {"open"} == {given["IndexName"] for given in lax}


def test_a_command_that_arrives_twice_is_carried_out_once(client, over, clock):
    store = over(stammering(client))

    claimed = store.claim(claim_of()).record
    renewed = store.renew(ORDER, FIRST)
    done = store.complete(completion_of())

    assert (FIRST, 1) == (claimed.owner, claimed.executions)
    assert renewed is not None
    assert done is not None
    assert (Status.COMPLETED, FIRST, ANSWER) == (done.status, done.owner, done.result)
    assert store.abandon(ORDER, FIRST, "crashed") is False


def test_a_release_and_an_abandon_that_arrive_twice_say_yes(client, over):
    store = over(stammering(client))
    store.claim(claim_of(named("a")))
    store.claim(claim_of(named("b")))

    assert store.release(named("a"), FIRST, "safe", HOUR) is True
    assert store.abandon(named("b"), FIRST, "crashed") is True


def test_a_takeover_that_arrives_twice_counts_once(client, over, clock):
    store = over(stammering(client))
    again = Guarantee.AT_LEAST_ONCE
    first = store.claim(claim_of(guarantee=again)).record
    pass_lease(clock)

    after = store.claim(
        claim_of(owner=SECOND, guarantee=again, witnessed=first.lease_until)
    ).record

    assert (SECOND, 2, 1) == (after.owner, after.executions, after.crashes)


def test_a_note_that_arrives_twice_says_yes(client, over):
    store = over(stammering(client))
    store.claim(claim_of())

    assert store.note(Note(ORDER, FIRST, b"halfway", "ch_1")) is True
    noted = record_in(store)
    assert (b"halfway", "ch_1") == (noted.steps, noted.reference)


def test_a_takeover_writes_nothing_over_a_note_that_it_has_not_seen(
    client, over, clock
):
    plain = over(client)
    resume = Guarantee.RESUME
    first = plain.claim(claim_of(guarantee=resume)).record
    plain.note(Note(ORDER, FIRST, b"a"))
    pass_lease(clock)
    late = [Note(ORDER, FIRST, b"ab")]

    def around(name, parameters, send):
        if name == "put_item" and late:
            plain.note(late.pop())
        return send()

    after = (
        over(wired(client, around))
        .claim(claim_of(owner=SECOND, guarantee=resume, witnessed=first.lease_until))
        .record
    )

    assert (SECOND, b"ab") == (after.owner, after.steps)
    assert after == record_in(plain)


def test_a_listing_reads_no_steps(client, over):
    wire, sent = counted(client)
    store = over(wire)
    store.claim(claim_of())
    store.note(Note(ORDER, FIRST, b"halfway"))
    sent.clear()

    listed = [*store.records(QUERY), *store.records(Query(status=Status.IN_PROGRESS))]

    asked = [str(given) for name, given in sent if name in ("scan", "batch_get_item")]
    assert [b"", b""] == [record.steps for record in listed]
    assert 2 == len(asked)
    assert [] == [each for each in asked if "steps" in each]


def test_no_acknowledged_word_is_needed_to_know_what_was_done(client, over, clock):
    store = over(deaf(client))

    claimed = store.claim(claim_of()).record
    store.renew(ORDER, FIRST)
    done = store.complete(completion_of())
    store.claim(claim_of(named("lost")))
    abandoned = store.abandon(named("lost"), FIRST, "crashed")
    store.claim(claim_of(named("free")))
    freed = store.release(named("free"), FIRST, "safe", None)

    assert FIRST == claimed.owner
    assert done is not None
    assert Status.COMPLETED is done.status
    assert (True, True) == (abandoned, freed)


def test_a_decision_that_arrives_twice_is_told_to_be_settled(client, over):
    plain = over(client)
    plain.claim(claim_of())
    plain.abandon(ORDER, FIRST, "crashed")

    # Real DynamoDB knows the transaction by its token and says yes again.
    with pytest.raises(SettlementRefused):
        over(stammering(client)).settle(settlement_of())

    assert Status.RELEASED is record_in(plain).status
    assert 1 == len(plain.audits(ORDER))


def test_the_tries_of_one_decision_share_a_token(client, over):
    store = over(client)
    store.claim(claim_of())
    store.abandon(ORDER, FIRST, "crashed")
    tokens = []

    def around(name, parameters, send):
        if name == "transact_write_items":
            tokens.append(parameters["ClientRequestToken"])
            if len(tokens) < 3:
                return refusing(client, "ThrottlingException", times=1).put_item()
        return send()

    settled = over(wired(client, around)).settle(settlement_of())

    assert Status.RELEASED is settled.status
    assert 3 == len(tokens)
    assert 1 == len(set(tokens))


@pytest.mark.parametrize(
    "code",
    [
        "ProvisionedThroughputExceededException",
        "ThrottlingException",
        "RequestLimitExceeded",
        "InternalServerError",
        "TransactionConflictException",
    ],
)
def test_a_busy_table_is_tried_again(client, over, code):
    store = over(refusing(client, code, times=3))

    assert FIRST == store.claim(claim_of()).record.owner


def test_a_table_that_stays_busy_is_given_up_in_time(client, over):
    wire = refusing(client, "ThrottlingException", times=10_000)
    store = over(wire, store_timeout=timedelta(seconds=1))
    begun = time.monotonic()

    with pytest.raises(StoreUnavailable, match="busy or gone"):
        store.claim(claim_of())

    assert time.monotonic() - begun < 1.5
    assert over(client).find(ORDER) is None


def test_a_transaction_in_conflict_is_tried_again(client, over):
    store = over(client)
    store.claim(claim_of())
    store.abandon(ORDER, FIRST, "crashed")
    reasons = [{"Code": "TransactionConflict"}, {"Code": "None"}]

    def around(name, parameters, send):
        if name == "transact_write_items" and reasons:
            code = "TransactionCanceledException"
            wire = refusing(client, code, times=1, reasons=reasons.copy())
            reasons.clear()
            return wire.transact_write_items()
        return send()

    settled = over(wired(client, around)).settle(settlement_of())

    assert Status.RELEASED is settled.status


@pytest.mark.parametrize(
    ("code", "meaning"),
    [
        ("AccessDeniedException", "may not do that: no"),
        ("ExpiredTokenException", "credentials have expired"),
        ("UnrecognizedClientException", "does not know these credentials"),
        ("ResourceNotFoundException", "create_table"),
        ("SomethingNew", "SomethingNew: no"),
    ],
)
def test_what_does_not_pass_is_said_at_once(client, over, code, meaning):
    wire, sent = counted(refusing(client, code, times=1))
    store = over(wire)

    with pytest.raises(StoreUnavailable, match=meaning):
        store.claim(claim_of())

    assert 1 == len(sent)


def test_missing_credentials_are_told(client, over):
    def around(name, parameters, send):
        raise NoCredentialsError

    with pytest.raises(StoreUnavailable, match="AWS_ACCESS_KEY_ID"):
        over(wired(client, around)).claim(claim_of())


def test_a_table_that_is_not_there_is_told_with_its_mend(client, clock):
    store = DynamoDBStore("nowhere", client=client, clock=clock)

    for verb in (lambda: store.claim(claim_of()), lambda: store.renew(ORDER, FIRST)):
        with pytest.raises(StoreUnavailable, match=r"no table 'nowhere'.*create_table"):
            verb()


def test_what_no_text_can_hold_is_refused(store):
    with pytest.raises(StoreError, match="UTF-8"):
        store.claim(claim_of(named("\ud800")))
