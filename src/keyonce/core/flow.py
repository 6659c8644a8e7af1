# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The two drivers that carry out what a flow or a procedure asks for.

A flow is a generator: it yields a command, gets the answer sent in (or the
failure thrown in), and returns its result. Logic is written once; only these
drivers know whether an answer must be awaited.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

C = TypeVar("C")
A = TypeVar("A")
R = TypeVar("R")


def run(flow: Generator[C, A, R], perform: Callable[[C], A]) -> R:
    """Drive *flow* to its end, answering each command by *perform*."""
    try:
        command = next(flow)
        while True:
            try:
                answer = perform(command)
            except BaseException as failure:  # noqa: BLE001 - the flow decides
                command = flow.throw(failure)
            else:
                command = flow.send(answer)
    except StopIteration as end:
        result: R = end.value
        return result


async def arun(
    flow: Generator[C, A, R],
    perform: Callable[[C], Awaitable[A]],
    know: Callable[[C], A] | None = None,
) -> R:
    """Drive *flow* to its end, awaiting *perform* for each command.

    A command whose ``waits`` is false is answered by *know*, at once.
    """
    try:
        command = next(flow)
        while True:
            try:
                if know is None or getattr(command, "waits", True):
                    answer = await perform(command)
                else:
                    answer = know(command)
            except BaseException as failure:  # noqa: BLE001 - the flow decides
                command = flow.throw(failure)
            else:
                command = flow.send(answer)
    except StopIteration as end:
        result: R = end.value
        return result
