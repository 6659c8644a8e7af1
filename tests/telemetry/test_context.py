# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Who is being served, as threads and tasks see it."""

from __future__ import annotations

import asyncio
from contextvars import copy_context

from keyonce.core.model import Identity
from keyonce.telemetry.context import Attending, attending, current, scope_digest

FIRST = Attending(Identity("acme", "POST /orders", "k1"), "orders", 1, first=True)
INNER = Attending(Identity("acme", "send-receipt", "4711"), "receipt", 2, first=False)


def test_outside_there_is_nobody():
    assert current() is None


def test_inside_the_work_is_known_and_outside_it_is_over():
    with attending(FIRST) as work:
        inside = current()

    assert FIRST == work == inside
    assert current() is None


def test_an_inner_guard_hands_back_to_the_outer():
    with attending(FIRST):
        with attending(INNER):
            inner = current()
        outer = current()

    assert (INNER, FIRST) == (inner, outer)


async def test_tasks_do_not_see_each_other():
    async def serve(work):
        with attending(work):
            await asyncio.sleep(0)
            return current()

    first, inner = await asyncio.gather(serve(FIRST), serve(INNER))

    assert (FIRST, INNER) == (first, inner)


async def test_a_task_started_inside_is_part_of_the_work():
    async def detached():
        await asyncio.sleep(0)
        return current()

    with attending(FIRST):
        task = asyncio.create_task(detached())

    assert await task == FIRST


def test_leaving_in_another_context_does_not_raise():
    attendance = attending(FIRST)
    copy_context().run(attendance.__enter__)

    attendance.__exit__(None, None, None)

    assert current() is None


def test_the_scope_is_named_without_being_told():
    assert "acme" not in scope_digest(FIRST.identity)
    assert scope_digest(FIRST.identity) == scope_digest(INNER.identity)
