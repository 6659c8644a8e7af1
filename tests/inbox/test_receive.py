# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What a consumer hears of a message, delivery by delivery."""

from __future__ import annotations

import asyncio
import os
from contextvars import Context
from datetime import timedelta

import pytest

from keyonce.core.errors import (
    ConfigurationError,
    DeliveryDead,
    DeliveryInProgress,
    MessageReused,
    OutcomeUnknown,
    ResultNotEncodable,
    SafeToRetry,
)
from keyonce.core.events import Ended, Outcome
from keyonce.core.guarantee import Guarantee
from keyonce.core.model import Claim, Query, Settlement
from keyonce.core.rollout import Rollout, Stage
from keyonce.core.states import Status
from keyonce.engine.current import current_downstream_key
from keyonce.inbox.message import Message

SHORT = timedelta(seconds=0.3)


async def handled(inbox, message_id="m1", **given):
    """Deliver a message and say whether it ran."""
    async with inbox.receive(message_id, **given) as delivery:
        return delivery.first


async def elsewhere(doing):
    """Let another worker do it: one that is not inside the work of this task."""
    return await asyncio.create_task(doing, context=Context())


async def raising(inbox, error, message_id="m1"):
    with pytest.raises(type(error)):
        async with inbox.receive(message_id):
            raise error


async def only_record(inbox):
    (record,) = await inbox.records(Query())
    return record


async def test_the_first_delivery_runs_and_the_next_is_skipped(opened):
    inbox = opened()

    assert [True, False] == [await handled(inbox), await handled(inbox)]


async def test_a_duplicate_gets_what_the_work_left(opened):
    inbox = opened()
    async with inbox.receive("m1") as delivery:
        delivery.result = {"charge": "ch_1"}

    async with inbox.receive("m1") as duplicate:
        pass

    assert {"charge": "ch_1"} == duplicate.result
    assert (1, 0) == (delivery.execution, duplicate.execution)


async def test_a_result_that_cannot_be_stored_is_refused_inside_the_block(opened):
    inbox = opened()

    with pytest.raises(ResultNotEncodable):
        async with inbox.receive("m1") as delivery:
            delivery.result = object()

    assert await handled(inbox)


async def test_each_consumer_and_each_source_handles_a_message_once(opened):
    billing, mail = opened(), opened(consumer="mail")
    other = opened(source="orders-topic")

    firsts = [await handled(each) for each in (billing, mail, other, mail)]

    assert [True, True, True, False] == firsts


async def test_a_redelivery_while_a_worker_is_at_it_is_not_to_be_acknowledged(opened):
    """F-72."""
    inbox, another = opened(), opened()

    async with inbox.receive("m1"):
        with pytest.raises(DeliveryInProgress) as refused:
            await elsewhere(handled(another))

    assert 0 < refused.value.retry_after <= 1
    assert not await handled(another)


async def test_the_business_key_finds_what_a_producer_sent_twice(opened):
    """F-75."""
    inbox = opened()

    first = await handled(inbox, "delivery-1", key="order-7")
    again = await handled(inbox, "delivery-2", key="order-7")

    assert (True, False) == (first, again)


@pytest.mark.parametrize("message_id", ["", "x" * 256, None], ids=repr)
async def test_a_message_without_an_id_is_refused(opened, message_id):
    """F-75."""
    with pytest.raises(ConfigurationError, match="identifies the message"):
        await handled(opened(), message_id)


@pytest.mark.parametrize("payload", [b"1", "1", {"total": 1}], ids=repr)
async def test_the_same_id_with_another_payload_is_never_skipped(opened, payload):
    """R-25."""
    inbox = opened()
    await handled(inbox, payload=payload)

    with pytest.raises(MessageReused, match="Dead-letter"):
        await handled(inbox, payload=b"other")

    assert not await handled(inbox, payload=payload)


async def test_the_order_of_json_members_is_no_other_payload(opened):
    inbox = opened()
    await handled(inbox, payload={"a": 1, "b": 2})

    assert not await handled(inbox, payload={"b": 2, "a": 1})


async def test_a_payload_that_was_never_seen_before_does_not_count(opened):
    inbox = opened()
    await handled(inbox)

    assert not await handled(inbox, payload=b"now we look")


async def test_a_payload_that_is_not_looked_at_any_more_is_no_equal(opened):
    inbox = opened()
    await handled(inbox, payload=b"seen")

    with pytest.raises(MessageReused, match="in every receive"):
        await handled(inbox)


async def test_work_that_raises_runs_again_at_the_next_delivery(opened):
    inbox = opened()

    await raising(inbox, ValueError("no"))

    assert await handled(inbox)


async def test_a_poison_message_is_dead_after_its_last_execution(opened):
    """F-76."""
    inbox = opened(max_executions=2)
    await raising(inbox, ValueError("no"))
    await raising(inbox, ValueError("no"))

    with pytest.raises(DeliveryDead, match="begun 2 times"):
        await handled(inbox)

    record = await only_record(inbox)
    assert (Status.UNKNOWN, "dead", 2) == (
        record.status,
        record.reason,
        record.executions,
    )


async def test_a_dead_message_runs_again_once_an_operator_has_released_it(opened):
    inbox = opened(max_executions=1)
    await raising(inbox, ValueError("no"))
    identity = (await only_record(inbox)).identity

    await inbox.settle(Settlement(identity, reason="mended", actor="ops"))

    assert await handled(inbox)


async def test_a_message_that_kills_its_workers_is_dead_as_well(opened, clock):
    """F-76."""
    inbox = opened(max_executions=2, lease=SHORT)
    attempt = Message("m1").attempt("billing", "inbox")
    for _ in range(2):
        await vanish(inbox, attempt, clock)

    with pytest.raises(DeliveryDead):
        await handled(inbox)

    assert "dead" == (await only_record(inbox)).reason


async def vanish(inbox, attempt, clock, guarantee=Guarantee.AT_LEAST_ONCE):
    """Claim as a worker that dies at once, and let its lease end."""
    fingerprint, witnessed = attempt.fingerprint, None
    found = await inbox.records(Query())
    if found:
        witnessed = found[0].lease_until
    owner = os.urandom(16)
    await inbox.claim(
        Claim(attempt.identity, owner, fingerprint, guarantee, 0.3, 9, witnessed)
    )
    clock.advance(1)


async def test_safe_to_retry_frees_a_message_under_every_guarantee(opened):
    inbox = opened(guarantee="at-most-once", max_executions=1)

    await raising(inbox, SafeToRetry("the provider is closed"))

    assert await handled(inbox)


async def test_at_most_once_does_not_run_again_after_an_unclear_end(opened):
    inbox = opened(guarantee="at-most-once")
    await raising(inbox, ValueError("no"))

    with pytest.raises(OutcomeUnknown, match="Dead-letter"):
        await handled(inbox)


async def test_at_least_once_runs_again_when_the_lease_of_a_dead_worker_ends(
    opened, clock
):
    inbox = opened(lease=SHORT)
    await vanish(inbox, Message("m1").attempt("billing", "inbox"), clock)

    async with inbox.receive("m1") as delivery:
        pass

    assert (True, 2) == (delivery.first, delivery.execution)


async def test_calls_inside_the_block_carry_the_key_of_the_message(opened):
    inbox = opened(guarantee="resume")
    seen = []

    for _ in range(2):
        with pytest.raises(ValueError, match="again"):
            async with inbox.receive("m1"):
                seen.append(current_downstream_key())
                raise ValueError("again")

    assert seen[0] is not None
    assert seen[0] == seen[1]
    assert current_downstream_key() is None


async def test_a_message_is_forgotten_after_its_retention(opened, clock):
    inbox = opened(retention=timedelta(days=1))
    await handled(inbox)

    clock.advance(timedelta(days=1, seconds=1))

    assert await handled(inbox)


async def test_a_retention_shorter_than_the_replay_window_is_refused(opened):
    with pytest.raises(ConfigurationError, match="at least as long"):
        opened(retention=timedelta(days=1), replay_window=timedelta(days=4))

    opened(retention="forever", replay_window=timedelta(days=4))


@pytest.mark.parametrize("name", ["consumer", "source"])
async def test_an_inbox_without_a_name_is_refused(opened, name):
    with pytest.raises(ConfigurationError, match="name"):
        opened(**{name: ""})


async def test_a_store_that_joins_nothing_refuses_exactly_once(opened):
    """F-74."""
    with pytest.raises(ConfigurationError, match="exactly-once"):
        opened(guarantee="exactly-once")
    with pytest.raises(ConfigurationError, match="transaction"):
        await handled(opened(), connection=object())


async def test_a_message_received_inside_its_own_work_is_refused(opened):
    inbox = opened()

    async with inbox.receive("m1"):
        with pytest.raises(ConfigurationError, match="wait for itself"):
            await handled(inbox)


async def test_a_batch_skips_what_is_done_and_names_what_is_refused(opened):
    inbox, another = opened(), opened()
    await handled(inbox, "done")
    await handled(inbox, "reused", payload=b"1")

    batch = ["new", "done", "busy", "new", Message("reused", payload=b"2")]

    async def taken():
        async with inbox.receive_many(batch) as deliveries:
            return deliveries

    async with another.receive("busy"):
        deliveries = await elsewhere(taken())

    assert [True, False, False, False, False] == [each.first for each in deliveries]
    refusals = [type(each.refusal) for each in deliveries]
    none = type(None)
    assert [none, none, DeliveryInProgress, none, MessageReused] == refusals
    assert not await handled(inbox, "new")


async def test_a_batch_that_raises_leaves_all_of_it_to_redelivery(opened):
    inbox = opened()

    with pytest.raises(ValueError, match="no"):
        async with inbox.receive_many(["a", "b"]):
            raise ValueError("no")

    assert [True, True] == [await handled(inbox, each) for each in ("a", "b")]


async def test_a_twin_with_another_payload_is_dead_lettered(opened):
    inbox = opened()
    batch = [Message("a", payload=each) for each in (b"1", b"1", b"2")]

    async with inbox.receive_many(batch) as deliveries:
        pass

    assert [True, False, False] == [each.first for each in deliveries]
    assert [None, None, MessageReused] == [
        each.refusal and type(each.refusal) for each in deliveries
    ]


async def test_a_twin_of_what_is_done_is_done(opened):
    inbox = opened()
    await handled(inbox, "a")

    async with inbox.receive_many(["a", "a"]) as deliveries:
        pass

    assert [(False, None)] * 2 == [(each.first, each.refusal) for each in deliveries]


async def test_a_batch_with_a_wrong_id_claims_nothing(opened):
    inbox = opened()

    with pytest.raises(ConfigurationError):
        async with inbox.receive_many(["a", ""]):
            pass

    assert [] == list(await inbox.records(Query()))


async def test_an_empty_batch_is_fine(opened):
    async with opened().receive_many([]) as deliveries:
        assert [] == deliveries


async def test_a_message_that_died_is_refused_in_its_batch(opened):
    inbox = opened(max_executions=1)
    with pytest.raises(ValueError, match="no"):
        async with inbox.receive("dead"):
            raise ValueError("no")

    async with inbox.receive_many(["dead", "new"]) as deliveries:
        pass

    assert [False, True] == [each.first for each in deliveries]
    assert isinstance(deliveries[0].refusal, DeliveryDead)


class Heard:
    def __init__(self):
        self.ended = []

    def notify(self, event):
        if isinstance(event, Ended):
            self.ended.append((event.outcome, event.would))


@pytest.mark.parametrize(
    ("mode", "outcomes"),
    [
        ("off", []),
        (
            "observe",
            [
                (Outcome.OBSERVED, Outcome.EXECUTED),
                (Outcome.OBSERVED, Outcome.REPLAYED),
            ],
        ),
        (
            "validate",
            [
                (Outcome.OBSERVED, Outcome.EXECUTED),
                (Outcome.OBSERVED, Outcome.REPLAYED),
            ],
        ),
    ],
)
async def test_before_it_is_enforced_every_delivery_runs(opened, mode, outcomes):
    heard = Heard()
    inbox = opened(mode=mode, observer=heard)

    firsts = [await handled(inbox), await handled(inbox)]

    assert [True, True] == firsts
    assert outcomes == heard.ended


async def test_what_was_observed_is_not_taken_for_done(opened):
    await handled(opened(mode="observe"))

    assert await handled(opened())


async def test_only_validating_insists_on_an_id(opened):
    assert await handled(opened(mode="observe"), "")
    with pytest.raises(ConfigurationError, match="identifies"):
        await handled(opened(mode="validate"), "")


async def test_outside_of_the_share_a_record_is_honoured_all_the_same(opened):
    await handled(opened())
    partly = opened(mode=Rollout(Stage.ENFORCE, 0))

    assert not await handled(partly)
    assert [True, True] == [await handled(partly, "m2"), await handled(partly, "m2")]


async def test_an_observer_hears_one_outcome_of_each_delivery(opened):
    heard = Heard()
    inbox = opened(observer=heard)
    await handled(inbox)
    await handled(inbox)
    await raising(inbox, ValueError("no"), "m2")

    outcomes = [outcome for outcome, _ in heard.ended]

    assert [Outcome.EXECUTED, Outcome.REPLAYED, Outcome.RELEASED] == outcomes
