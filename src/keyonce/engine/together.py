# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Several flows carried side by side, so that their claims travel as one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from keyonce.core.errors import IdempotencyError
from keyonce.engine.commands import AwaitNews, ClaimKey, ClaimKeys, Sleep

if TYPE_CHECKING:
    from collections.abc import Generator

    from keyonce.engine.commands import Command

R = TypeVar("R")


def together(
    flows: list[Generator[Command, Any, R]],
    ends: list[R | IdempotencyError | None],
    *,
    batches: bool,
) -> Generator[Command, Any, None]:
    """Carry *flows* to their ends, and put these into *ends*, errors as well.

    What is known at once goes first. Then all claims that are asked for go as one,
    where the store *batches* them; then who sleeps sleeps together. Who waits for
    news waits last, and so never for one of the others. When this is interrupted,
    each flow is, and *ends* has what had ended before.
    """
    asked: dict[int, Command] = {}
    try:
        for place, flow in enumerate(flows):
            _go_on(asked, ends, place, flow)
        while asked:
            yield from _round(flows, asked, ends, batches=batches)
    except IdempotencyError:
        raise
    except GeneratorExit:
        raise
    except BaseException as interruption:
        yield from _interrupted(flows, asked, interruption)
        raise


def _round(
    flows: list[Generator[Command, Any, R]],
    asked: dict[int, Command],
    ends: list[R | IdempotencyError | None],
    *,
    batches: bool,
) -> Generator[Command, Any, None]:
    later = (ClaimKey, Sleep, AwaitNews)
    soon = [at for at, command in asked.items() if not isinstance(command, later)]
    claims = [at for at, command in asked.items() if isinstance(command, ClaimKey)]
    sleeps = {at: each for at, each in asked.items() if isinstance(each, Sleep)}
    if soon:
        yield from _each(flows, asked, ends, soon)
    elif len(claims) > 1 and batches:
        yield from _claims(flows, asked, ends, claims)
    elif claims:
        yield from _each(flows, asked, ends, claims)
    elif sleeps:
        yield Sleep(max(each.seconds for each in sleeps.values()))
        for at in sleeps:
            _go_on(asked, ends, at, flows[at])
    else:
        yield from _each(flows, asked, ends, list(asked)[:1])


def _each(
    flows: list[Generator[Command, Any, R]],
    asked: dict[int, Command],
    ends: list[R | IdempotencyError | None],
    places: list[int],
) -> Generator[Command, Any, None]:
    for at in places:
        try:
            answer = yield asked[at]
        except IdempotencyError as failure:
            answer = failure
        _go_on(asked, ends, at, flows[at], answer)


def _claims(
    flows: list[Generator[Command, Any, R]],
    asked: dict[int, Command],
    ends: list[R | IdempotencyError | None],
    places: list[int],
) -> Generator[Command, Any, None]:
    claims = tuple(
        command.claim for at in places if isinstance(command := asked[at], ClaimKey)
    )
    try:
        answers = yield ClaimKeys(claims)
    except IdempotencyError as failure:
        answers = [failure] * len(places)
    for at, answer in zip(places, answers, strict=True):
        _go_on(asked, ends, at, flows[at], answer)


def _go_on(
    asked: dict[int, Command],
    ends: list[R | IdempotencyError | None],
    place: int,
    flow: Generator[Command, Any, R],
    answer: Any = None,
) -> None:
    """Hand a flow its answer, or throw it in; note what it asks next, or its end."""
    try:
        failed = isinstance(answer, IdempotencyError)
        asked[place] = flow.throw(answer) if failed else flow.send(answer)
    except StopIteration as end:
        asked.pop(place, None)
        ends[place] = end.value
    except IdempotencyError as failure:
        asked.pop(place, None)
        ends[place] = failure


def _interrupted(
    flows: list[Generator[Command, Any, R]],
    asked: dict[int, Command],
    interruption: BaseException,
) -> Generator[Command, Any, None]:
    """Let every flow that is under way hear of it: it lets go of what it claimed."""
    for at in asked:
        try:
            command = flows[at].throw(interruption)
            while True:
                command = flows[at].send((yield command))
        except StopIteration:
            continue
        except BaseException as raised:
            if raised is not interruption:
                raise
