# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The states that a campaign must reach: one that has not proves nothing about them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from keyonce.core.guarantee import Guarantee
from keyonce.core.states import Status
from keyonce.core.steps import Progress, read_steps
from tests.simulation.clients import is_problem
from tests.simulation.history import Applied, History

TAKEOVER = "a takeover"
ENDED = "a lease ends, and its key is unknown"
EVERYWHERE = frozenset(
    {
        "stale complete refused",
        "stale renewal refused",
        "unknown commit: it was stored",
        "unknown commit: it was not",
        "unknown claim: it was made",
        "a claim in vain is let go",
        "purge meets a claim",
        "a waiter is promoted",
        "mismatch while running",
        "the work limit ends a lease",
        "a clock jump ends a live lease",
        "a poisoned key kills its worker",
        "a failover loses writes",
        "answered: replayed",
        "answered: unprotected",
        "answered: unrecorded",
        "answered: key-expired",
        "answered: key-reused",
        "answered: outcome-unknown",
        "answered: request-in-progress",
        "answered: response-not-kept",
        "answered: store-unavailable",
        "crash",
        "shutdown",
        "cut off",
        "the process stands still",
        "the loop stands still",
        "the store's clock jumps",
        "the work is longer than its lease",
        *(f"cancelled at {phase}" for phase in ("claim", "handler", "effect")),
        *(f"cancelled at {phase}" for phase in ("complete", "answering", "running")),
        *(f"shut down at {phase}" for phase in ("claim", "handler", "effect")),
        "shut down at complete",
        *(
            f"fault:{kind}"
            for kind in ("lost-request", "lost-reply", "doubled", "late", "slow")
        ),
        "fault:stale-read",
    }
)
AGAIN = frozenset(
    {
        TAKEOVER,
        "parked after crashes",
        "told that the lease is lost",
        "cancelled at release",
        "shut down at release",
    }
)
ASKED = frozenset(
    {
        "reconcile completed",
        "reconcile never happened",
        "reconcile still unknown",
    }
)
MUST: dict[Guarantee, frozenset[str]] = {
    Guarantee.AT_MOST_ONCE: EVERYWHERE
    | ASKED
    | {ENDED, "a late owner completes an unknown record", "cancelled at abandon"},
    Guarantee.AT_LEAST_ONCE: EVERYWHERE | AGAIN,
    Guarantee.RESUME: EVERYWHERE
    | AGAIN
    | ASKED
    | {
        "a finished step is not repeated",
        "an unclear step parks",
        "cancelled at note",
        "shut down at note",
    },
}


def reached(history: History) -> Counter[str]:
    """Count the states that *history* went through."""
    return (
        history.reached + Counter(_by_the_store(history)) + Counter(_answers(history))
    )


def missing(guarantee: Guarantee, counted: Counter[str]) -> list[str]:
    """Name the states that were to be reached, and were not."""
    return sorted(state for state in MUST[guarantee] if not counted[state])


def _by_the_store(history: History) -> Iterator[str]:
    payloads: dict[bytes, bytes] = {}
    renewed: dict[bytes, float] = {}
    for applied in history.applied:
        if applied.verb == "claim":
            payloads.setdefault(applied.token, applied.payload)
            if applied.written:
                yield from _claimed(applied, renewed, history)
            else:
                yield from _refused_claim(applied, payloads)
        elif applied.written:
            yield from _changed(applied, history)
        else:
            yield from _refused(applied)
        if applied.written and applied.verb in ("claim", "renew"):
            renewed[applied.token] = applied.at


def _claimed(
    applied: Applied, renewed: dict[bytes, float], history: History
) -> Iterator[str]:
    before, after = applied.before, applied.after
    if before is None or after is None:
        return
    if before.status is not Status.IN_PROGRESS:
        return
    if after.owner == applied.token:
        yield TAKEOVER
        steps = read_steps(after.steps)
        if steps and any(step.progress is Progress.DONE for step in steps.taken):
            yield "a finished step is not repeated"
    elif after.reason == "parked":
        yield "parked after crashes"
    else:
        yield ENDED
    if history.jumps and applied.at - renewed[before.owner] < before.lease_for:
        yield "a clock jump ends a live lease"


def _refused_claim(applied: Applied, payloads: dict[bytes, bytes]) -> Iterator[str]:
    after = applied.after
    if after is None or after.status is not Status.IN_PROGRESS:
        return
    if after.owner == applied.token:
        yield "unknown claim: it was made"
    elif payloads.get(after.owner, applied.payload) != applied.payload:
        yield "mismatch while running"


def _changed(applied: Applied, history: History) -> Iterator[str]:
    before, after = applied.before, applied.after
    if before is None or after is None:
        return
    match applied.verb:
        case "complete":
            if before.status is Status.UNKNOWN:
                yield "a late owner completes an unknown record"
            if applied.token in history.unheard:
                yield "unknown commit: it was not"
        case "settle":
            done = after.result is not None
            yield "reconcile completed" if done else "reconcile never happened"
        case "release" | "abandon":
            if after.reason == "work-limit":
                yield "the work limit ends a lease"
            if after.reason == "never-begun":
                yield "a claim in vain is let go"
            if after.reason == "step-unclear":
                yield "an unclear step parks"


def _refused(applied: Applied) -> Iterator[str]:
    after, token = applied.after, applied.token
    mine = after is not None and after.owner == token
    if applied.verb == "complete":
        yield "unknown commit: it was stored" if mine else "stale complete refused"
    elif applied.verb == "renew" and not mine:
        yield "stale renewal refused"


def _answers(history: History) -> Iterator[str]:
    for answer in history.answered:
        mark = answer.header(b"idempotency-status")
        if mark is not None:
            yield f"answered: {mark.decode()}"
        if answer.header(b"idempotency-replayed") is not None:
            yield "answered: replayed"
        if is_problem(answer):
            _, _, rest = answer.body.partition(b'"code": "')
            code = rest.partition(b'"')[0].decode()
            yield f"answered: {code}"
