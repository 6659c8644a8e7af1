# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What is special about memory: one process, and nothing piles up."""

from __future__ import annotations

import os
import signal

import pytest

from keyonce.core.errors import ConfigurationError
from keyonce.stores.memory import AsyncMemoryStore, MemoryStore
from keyonce.testing.clock import FakeClock
from keyonce.testing.store_scenarios.cases import (
    FIRST,
    HOUR,
    ORDER,
    claim_of,
    completed,
    completion_of,
    named,
    record_in,
)
from tests.stores.programs import run


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def store(clock):
    return MemoryStore(clock=clock)


def test_a_forked_process_is_refused():
    said = run(
        """
        store = MemoryStore()
        store.claim(claim_of())
        child = os.fork()
        calls = (
            lambda: store.claim(claim_of(owner=SECOND)),
            lambda: store.find(ORDER),
            lambda: store.renew(ORDER, FIRST),
            lambda: store.complete(completion_of()),
            lambda: store.stats(),
        )
        if child == 0:
            for call in calls:
                try:
                    call()
                    say("answered")
                except ConfigurationError as refusal:
                    say(refusal)
            os._exit(0)
        os.waitpid(child, 0)
        say("parent", record_in(store).owner == FIRST)
        """
    )

    assert 6 == len(said)
    assert all("sqlite:///keyonce.db" in line for line in said[:5])
    assert "parent True" == said[5]


def test_a_fork_while_another_thread_is_inside_does_not_hang():
    said = run(
        """
        import threading
        inside, leave = threading.Event(), threading.Event()
        def slow_field_map(digest):
            inside.set()
            leave.wait(20)
            return b""
        store = MemoryStore()
        command = claim_of(field_map=slow_field_map)
        thread = threading.Thread(target=store.claim, args=(command,))
        thread.start()
        inside.wait()
        child = os.fork()
        if child == 0:
            try:
                store.claim(claim_of(named("other")))
            except ConfigurationError:
                say("refused")
            os._exit(0)
        os.waitpid(child, 0)
        leave.set()
        thread.join()
        """
    )

    assert ["refused"] == said


def test_expired_records_do_not_pile_up_while_others_are_written(store, clock):
    for number in range(200):
        completed(store, named(str(number)))
        clock.advance(HOUR / 10)

    assert sum(store.stats().counts.values()) < 20


def test_one_purge_looks_at_a_bounded_number_of_records(store, clock):
    for number in range(1000):
        completed(store, named(str(number)))
    clock.advance(2 * HOUR)

    assert 10 == store.purge(10)
    assert 990 == sum(store.stats().counts.values())


def test_a_key_that_was_released_and_claimed_again_and_again_is_still_purged(
    store, clock
):
    for number in range(10):
        owner = b"%016d" % number
        store.claim(claim_of(owner=owner))
        store.release(ORDER, owner, "safe", HOUR)
    clock.advance(2 * HOUR)

    assert 1 == store.purge()
    assert {} == store.stats().counts


def test_two_faces_see_the_same_records(store, clock):
    other = MemoryStore(store)

    store.claim(claim_of())

    assert FIRST == record_in(other).owner
    clock.advance(1)
    assert store.find(ORDER) == other.find(ORDER)


async def test_the_async_store_stands_on_the_store_it_was_given(store):
    face = AsyncMemoryStore(store)

    await face.claim(claim_of())
    done = store.complete(completion_of())

    assert store is face.blocking()
    assert done == record_in(store)


def test_memory_promises_nothing_that_it_cannot_keep(store):
    assert not store.traits.durable
    assert not store.traits.many_processes
    assert "exactly-once" not in store.traits.guarantees


def test_an_interrupt_does_not_leave_the_store_locked(store):
    def interrupt(_digest):
        signal.raise_signal(signal.SIGINT)
        return b""

    with pytest.raises(KeyboardInterrupt):
        store.claim(claim_of(field_map=interrupt))

    assert FIRST == store.claim(claim_of()).record.owner


def test_the_refusal_says_what_to_do(monkeypatch, store):
    monkeypatch.setattr(os, "getpid", lambda: -1)

    with pytest.raises(ConfigurationError, match="Run one worker"):
        store.purge()
