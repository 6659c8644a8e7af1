# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The logic of asking a reconcile hook, written once.

The hook is the author's code and runs between two flows, never inside one: look,
then the hook, then carry its answer out. An answer holds for the execution that was
looked at, so that a late one never settles another.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from keyonce.core.errors import SettlementRefused
from keyonce.core.model import Query, Settlement, StoredResult
from keyonce.core.reconcile import (
    CompletedWith,
    NeverHappened,
    StillUnknown,
    unknown_work,
)
from keyonce.core.states import Status
from keyonce.core.transitions import effective_status
from keyonce.engine.commands import FindKey, ListKeys, SettleKey

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from keyonce.core.model import Claimed, Identity, Record
    from keyonce.core.policy import Policy
    from keyonce.core.reconcile import ReconcileAnswer, UnknownWork
    from keyonce.engine.commands import OperatorCommand

ACTOR: Final = "reconcile"
COMPLETED: Final = "completed"
NEVER: Final = "never-happened"
STILL: Final = "still-unknown"
FAILED: Final = "failed"
OVERTAKEN: Final = "overtaken"
DECIDED: Final = frozenset({COMPLETED, NEVER, OVERTAKEN})
PAGE: Final = 500
PAGES: Final = 20


def look(
    identity: Identity, works_here: Callable[[bytes], bool]
) -> Generator[OperatorCommand, Any, UnknownWork | str]:
    """Give what there is to ask about *identity*, or the word for what came of it.

    Nothing is asked while this very process is still at the work: it may end well.
    """
    found: Claimed | None = yield FindKey(identity)
    if found is None or effective_status(found.record, found.now) is not Status.UNKNOWN:
        return OVERTAKEN
    if works_here(found.record.owner):
        return STILL
    return unknown_work(found.record, found.now)


def carry_out(
    work: UnknownWork, answer: ReconcileAnswer, policy: Policy
) -> Generator[OperatorCommand, Any, str]:
    """Settle the key of *work* as *answer* says; give the word for what came of it.

    Raises:
        TypeError: it is no answer that can be carried out.
    """
    match answer:
        case CompletedWith(StoredResult() as result):
            whole = replace(result, size=max(result.size, len(result.body)))
            settled = yield from _settled(work, policy, "it was done", whole)
            return COMPLETED if settled else OVERTAKEN
        case NeverHappened():
            settled = yield from _settled(work, policy, "it never happened", None)
            return NEVER if settled else OVERTAKEN
        case StillUnknown():
            return STILL
        case CompletedWith(other):
            message = (
                "CompletedWith of a request takes a StoredResult, such as "
                f"json_answer(201, ...) makes, not {type(other).__name__}."
            )
            raise TypeError(message)
        case _:
            message = (
                "A reconcile hook gives CompletedWith(...), NeverHappened() or "
                f"StillUnknown(), not {type(answer).__name__}."
            )
            raise TypeError(message)


def _settled(
    work: UnknownWork, policy: Policy, found: str, result: StoredResult | None
) -> Generator[OperatorCommand, Any, bool]:
    settlement = Settlement(
        identity=work.identity,
        reason=f"the reconcile hook found: {found}",
        actor=ACTOR,
        result=result,
        retention_for=policy.terms.retention_for,
        execution=work.execution,
    )
    try:
        yield SettleKey(settlement)
    except SettlementRefused:  # another process, or an operator, was first
        return False
    return True


def stuck(
    wanted: Callable[[Identity], bool], after: Identity | None, most: int
) -> Generator[OperatorCommand, Any, tuple[list[Identity], Identity | None]]:
    """List at most *most* keys of unknown outcome that are *wanted*, behind *after*.

    Gives as well where to go on; None where the listing came to its end.
    """
    found: list[Identity] = []
    for _ in range(PAGES):
        query = Query(status=Status.UNKNOWN, limit=PAGE, after=after)
        page: Sequence[Record] = yield ListKeys(query)
        for record in page:
            after = record.identity
            if wanted(after):
                found.append(after)
                if len(found) >= most:
                    return found, after
        if len(page) < PAGE:
            return found, None
    return found, after
