# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The two drivers that carry out what a flow or a procedure asks for.

A flow is a generator: it yields a command, gets the answer sent in (or the
failure thrown in), and returns its result. Logic is written once; only these
drivers know whether an answer must be awaited.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Mapping

C = TypeVar("C")
A = TypeVar("A")
R = TypeVar("R")

NOTHING: Final[Mapping[Any, Any]] = MappingProxyType({})


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
    at_once: Mapping[type[C], Callable[[C], A]] = NOTHING,
) -> R:
    """Drive *flow* to its end, awaiting *perform* for each command.

    A command of a class that is in *at_once* is answered by what stands there,
    without waiting.
    """
    try:
        command = next(flow)
        while True:
            try:
                know = at_once.get(type(command))
                answer = await perform(command) if know is None else know(command)
            except BaseException as failure:  # noqa: BLE001 - the flow decides
                command = flow.throw(failure)
            else:
                command = flow.send(answer)
    except StopIteration as end:
        result: R = end.value
        return result
