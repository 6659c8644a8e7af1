# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Effect and record in one transaction, whoever began it."""

from __future__ import annotations

import time

import pytest

from keyonce.core.errors import (
    ConfigurationError,
    DeliveryDead,
    DeliveryInProgress,
    OutcomeUnknown,
    RecordUnreadable,
)
from keyonce.core.model import Query
from keyonce.core.states import Status
from tests.inbox.faces import charge, connected, effects

PATIENCE = 20  # seconds that a rollback may take to be seen


async def handled(inbox, path, message_id="m1"):
    """Deliver a message over a connection of its own; say whether it ran."""
    with connected(path) as connection:
        async with inbox.receive(message_id, connection=connection) as delivery:
            if delivery.first:
                charge(connection, message_id)
        return delivery.first


async def handled_soon(inbox, path):
    """Redeliver until the inbox takes the message, as a broker does."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return await handled(inbox, path)
        except DeliveryInProgress:
            assert time.monotonic() < until


async def test_the_block_commits_effect_and_record_where_it_began_the_transaction(
    beside, path
):
    """F-73, F-74."""
    with connected(path) as connection:
        async with beside.receive("m1", connection=connection) as delivery:
            charge(connection, "m1")
            delivery.result = {"charge": 1}
            assert [] == effects(path)
        assert not connection.in_transaction

    async with beside.receive("m1") as duplicate:
        pass
    assert ["m1"] == effects(path)
    assert (False, {"charge": 1}) == (duplicate.first, duplicate.result)


async def test_what_raises_is_rolled_back_and_runs_again_at_once(beside, path):
    with connected(path) as connection:
        with pytest.raises(ValueError, match="no"):
            async with beside.receive("m1", connection=connection):
                charge(connection, "m1")
                raise ValueError("no")
        assert not connection.in_transaction

    assert await handled(beside, path)
    assert ["m1"] == effects(path)


async def test_a_transaction_of_the_callers_is_the_callers_to_commit(beside, path):
    with connected(path) as connection:
        connection.execute("BEGIN")
        async with beside.receive("m1", connection=connection):
            charge(connection, "m1")
        assert connection.in_transaction
        assert [] == effects(path)
        connection.execute("COMMIT")

    assert not await handled(beside, path)
    assert ["m1"] == effects(path)


async def test_a_rollback_by_the_caller_leaves_the_message_to_redelivery(beside, path):
    with connected(path) as connection:
        connection.execute("BEGIN")
        with pytest.raises(ValueError, match="no"):
            async with beside.receive("m1", connection=connection):
                charge(connection, "m1")
                raise ValueError("no")
        connection.execute("ROLLBACK")

    assert await handled_soon(beside, path)
    assert ["m1"] == effects(path)


async def test_a_rollback_after_the_block_is_told_by_the_caller(beside, path):
    with connected(path) as connection:
        connection.execute("BEGIN")
        async with beside.receive("m1", connection=connection) as delivery:
            charge(connection, "m1")
        connection.execute("ROLLBACK")
        delivery.rolled_back()

    assert await handled_soon(beside, path)
    assert ["m1"] == effects(path)


async def test_a_rollback_that_is_told_of_after_a_commit_changes_nothing(beside, path):
    with connected(path) as connection:
        connection.execute("BEGIN")
        async with beside.receive("m1", connection=connection) as delivery:
            charge(connection, "m1")
        connection.execute("COMMIT")
        delivery.rolled_back()

    await beside.close()  # carries out what is late

    assert not await handled(beside, path)


async def test_a_commit_of_what_had_raised_neither_runs_again_nor_passes_for_done(
    beside, path
):
    with connected(path) as connection:
        connection.execute("BEGIN")
        with pytest.raises(ValueError, match="no"):
            async with beside.receive("m1", connection=connection):
                charge(connection, "half")
                raise ValueError("no")
        connection.execute("COMMIT")

    with pytest.raises(DeliveryDead, match="committed all the same"):
        await handled_soon(beside, path)
    assert ["half"] == effects(path)


async def test_a_commit_inside_the_block_parks_the_message(beside, path):
    """F-73."""
    with connected(path) as connection:
        with pytest.raises(ConfigurationError, match="ended inside the block"):
            async with beside.receive("m1", connection=connection):
                charge(connection, "m1")
                connection.execute("COMMIT")

    with pytest.raises(OutcomeUnknown):
        await handled(beside, path)
    (record,) = await beside.records(Query())
    assert (Status.UNKNOWN, "transaction-ended") == (record.status, record.reason)


async def test_a_connection_to_another_database_commits_nothing(beside, path, tmp_path):
    """F-74."""
    other = tmp_path / "other.db"
    with connected(other) as connection:
        connection.execute("CREATE TABLE charges (name TEXT)")

    with pytest.raises(ConfigurationError, match="would not commit together"):
        await handled(beside, other)

    assert [] == effects(other)
    assert await handled(beside, path)


async def test_misuse_does_not_use_up_the_executions_of_a_message(
    face, beside, path, tmp_path
):
    other = tmp_path / "other.db"
    with connected(other) as connection:
        connection.execute("CREATE TABLE charges (name TEXT)")
    strict = face(beside.store, max_executions=1)

    with pytest.raises(ConfigurationError):
        await handled(strict, other)

    assert await handled(strict, path)
    await strict.close()


async def test_exactly_once_insists_on_a_connection(face, beside, path):
    """F-74."""
    strict = face(beside.store, guarantee="exactly-once")

    with pytest.raises(ConfigurationError, match="give receive"):
        async with strict.receive("m1"):
            pass

    assert await handled(strict, path)
    await strict.close()


@pytest.mark.parametrize("begun", [False, True], ids=["ours", "theirs"])
async def test_a_batch_commits_as_one(beside, path, begun):
    batch = ["a", "b", "a", "c"]
    with connected(path) as connection:
        if begun:
            connection.execute("BEGIN")
        async with beside.receive_many(batch, connection=connection) as deliveries:
            for delivery in deliveries:
                if delivery.first:
                    charge(connection, delivery.message.id)
        assert begun == connection.in_transaction
        if begun:
            connection.execute("COMMIT")

    assert ["a", "b", "c"] == effects(path)
    assert [False] * 3 == [await handled(beside, path, each) for each in "abc"]


async def test_a_batch_that_raises_is_undone_as_one(beside, path):
    with connected(path) as connection:
        with pytest.raises(ValueError, match="no"):
            async with beside.receive_many(list("ab"), connection=connection):
                charge(connection, "a")
                raise ValueError("no")

    assert [] == effects(path)
    assert [True, True] == [await handled(beside, path, each) for each in "ab"]


async def test_an_unreadable_record_is_refused_in_its_batch(beside, path):
    async with beside.receive("torn"):
        pass
    with connected(path) as connection:
        connection.execute("DELETE FROM keyonce_results")

    async with beside.receive_many(["new", "torn", "newer"]) as deliveries:
        pass

    assert [True, False, True] == [each.first for each in deliveries]
    assert isinstance(deliveries[1].refusal, RecordUnreadable)
    assert [None, None] == [deliveries[0].refusal, deliveries[2].refusal]


async def test_a_batch_on_a_wrong_connection_leaves_no_claim(beside, tmp_path):
    with connected(tmp_path / "another.db") as connection:
        with pytest.raises(ConfigurationError):
            async with beside.receive_many(["a", "b", "c"], connection=connection):
                pass

    assert {Status.RELEASED} == {each.status for each in await beside.records(Query())}
