# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Bugs that others have had, planted one at a time: the simulator must find each.

Each is a small change of one function of the core, the engine or the gateway, as its
author might have made it in good faith. Most are from public trackers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

from keyonce.core import decide as deciding
from keyonce.core import downstream, transitions
from keyonce.core.decide import InFlight, Mismatch, Proceed, lease_of
from keyonce.core.ending import Free, Keep, Park, Unclear
from keyonce.core.errors import StoreUnavailable
from keyonce.core.guarantee import Guarantee
from keyonce.core.model import Claimed
from keyonce.core.states import Status
from keyonce.core.transitions import Change
from keyonce.engine import current, flows, tokens
from keyonce.engine.aio import AsyncGuard
from keyonce.engine.commands import CompleteKey, ReleaseKey
from keyonce.engine.finished import Lost, Unrecorded
from keyonce.engine.heartbeat import Heartbeat
from keyonce.engine.steps import StepBook
from keyonce.http import ending
from keyonce.integrations import asgi_exchange
from keyonce.integrations.asgi_exchange import Exchange
from keyonce.integrations.asgi_response import LetGo
from tests.simulation import nodes
from tests.simulation.plan import BOUNDED, FAILOVER

ONCE, RESUME = Guarantee.AT_MOST_ONCE, Guarantee.RESUME


@dataclass(frozen=True, slots=True)
class Planted:
    """One bug: how it is planted, and under which guarantee it is looked for."""

    name: str
    plant: Callable[[Plot], None]
    guarantee: Guarantee = ONCE
    mode: str = BOUNDED


class Plot:
    """Replaces functions, and puts them back."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    def put(self, where: Any, name: str, instead: Any) -> Any:
        """Replace *name*; give what was there."""
        before = getattr(where, name)
        self._stack.callback(setattr, where, name, before)
        setattr(where, name, instead)
        return before


@contextmanager
def planted(bug: Planted) -> Iterator[None]:
    """Have *bug* for as long as the block lasts."""
    with ExitStack() as stack:
        bug.plant(Plot(stack))
        yield


# ------------------------------------------------------------- the rules of a record


def check_then_act(plot: Plot) -> None:
    """Whoever looks and finds it running claims it all the same."""

    def claim(stored: Any, command: Any, now: float) -> Change:
        change: Change = real(stored, command, now)
        if change.written or change.record.status is not Status.IN_PROGRESS:
            return change
        if change.record.owner == command.owner or now > change.record.claimed_at + 0.2:
            return change
        return Change(transitions._begun(command, now, executions=1), written=True)

    real = plot.put(transitions, "claim", claim)


def unconditional_complete(plot: Plot) -> None:
    def complete(record: Any, command: Any, now: float) -> Change | None:
        if record is None:
            return None
        return Change(transitions._completed(record, command, now), written=True)

    plot.put(transitions, "complete", complete)


def unconditional_release(plot: Plot) -> None:
    def release(
        record: Any, owner: bytes, reason: str, retention_for: Any, now: float
    ) -> Change | None:
        if record is None:
            return None
        freed = transitions._released(record, reason, retention_for, now)
        return Change(freed, written=True)

    plot.put(transitions, "release", release)


def renewal_without_token(plot: Plot) -> None:
    def renew(record: Any, owner: bytes, now: float) -> Change | None:
        if record is None or record.status is not Status.IN_PROGRESS:
            return None
        return Change(record._replace(lease_until=now + record.lease_for), written=True)

    plot.put(transitions, "renew", renew)


def done_is_claimed_anew(plot: Plot) -> None:
    """ON CONFLICT DO UPDATE sets a completed record back to in progress."""

    def claim(stored: Any, command: Any, now: float) -> Change:
        record = transitions.standing(stored, now)
        if record is not None and record.status is Status.COMPLETED:
            return Change(transitions._again(record, command, now), written=True)
        changed: Change = real(stored, command, now)
        return changed

    real = plot.put(transitions, "claim", claim)


def purge_takes_running(plot: Plot) -> None:
    def purge(record: Any, now: float) -> Any:
        if record.status is Status.IN_PROGRESS and now > record.claimed_at + 0.5:
            return None
        return real(record, now)

    real = plot.put(transitions, "purge", purge)


def retention_is_the_lease(plot: Plot) -> None:
    def completed(record: Any, command: Any, now: float) -> Any:
        return real(record, command._replace(retention_for=record.lease_for), now)

    real = plot.put(transitions, "_completed", completed)


def lease_is_the_retention(plot: Plot) -> None:
    """A worker that dies leaves its key stuck for a day."""

    def claim(stored: Any, command: Any, now: float) -> Change:
        endless = command._replace(lease_for=86_400.0)
        changed: Change = real(stored, endless, now)
        return changed

    real = plot.put(transitions, "claim", claim)


def completing_inserts(plot: Plot) -> None:
    """A record that is gone is made anew by whoever completes it."""

    def claim(stored: Any, command: Any, now: float) -> Change:
        change: Change = claimed(stored, command, now)
        seen[command.owner] = change.record
        return change

    def complete(record: Any, command: Any, now: float) -> Change | None:
        if record is None:
            made = seen[command.owner]
            return Change(transitions._completed(made, command, now), written=True)
        changed: Change | None = real(record, command, now)
        return changed

    seen: dict[bytes, Any] = {}
    claimed = plot.put(transitions, "claim", claim)
    real = plot.put(transitions, "complete", complete)


def lease_end_frees(plot: Plot) -> None:
    """At-most-once work of a worker that died is run again."""

    def end_of_lease(record: Any, command: Any, now: float) -> Change:
        again = transitions._again(record, command, now)
        return Change(again._replace(crashes=record.crashes + 1), written=True)

    plot.put(transitions, "_end_of_lease", end_of_lease)


def no_grace(plot: Plot) -> None:
    """Whoever meets a lease that has ended takes it at once."""
    plot.put(
        transitions,
        "_may_be_ended",
        lambda record, command, now: (
            now >= record.lease_until and command.fingerprint == record.fingerprint
        ),
    )


def crashes_are_not_counted(plot: Plot) -> None:
    def end_of_lease(record: Any, command: Any, now: float) -> Change:
        changed: Change = real(record._replace(crashes=0), command, now)
        return changed

    real = plot.put(transitions, "_end_of_lease", end_of_lease)


def parked_is_never_let_go(plot: Plot) -> None:
    """The end of a lease is missed when nothing is left of it: 0 taken as None."""
    plot.put(transitions, "_may_be_ended", lambda record, command, now: False)


# ------------------------------------------------------------------- the decision


def mismatch_only_when_done(plot: Plot) -> None:
    def compare(claimed: Any, attempt: Any, fingerprint: Any, owner: bytes) -> Any:
        decision, seen = real(claimed, attempt, fingerprint, owner)
        record = claimed.record
        if isinstance(decision, Mismatch) and record.status is Status.IN_PROGRESS:
            return InFlight(record, claimed.now - record.claimed_at), seen
        return decision, seen

    real = plot.put(flows, "compare", compare)


def fingerprint_is_ignored(plot: Plot) -> None:
    plot.put(deciding, "compare_digest", lambda one, other: True)


def others_claim_is_mine(plot: Plot) -> None:
    """A claim that changed no row is taken for one's own."""

    def compare(claimed: Any, attempt: Any, fingerprint: Any, owner: bytes) -> Any:
        decision, seen = real(claimed, attempt, fingerprint, owner)
        if isinstance(decision, InFlight) and owner:
            return Proceed(lease_of(claimed.record)), seen
        return decision, seen

    real = plot.put(flows, "compare", compare)


def waiter_runs_after_timeout(plot: Plot) -> None:
    async def begin(guard: Any, attempt: Any, policy: Any, **how: Any) -> Any:
        decision = await real(guard, attempt, policy, **how)
        waited = how["wait_for"].total_seconds() > 0
        if waited and isinstance(decision, InFlight):
            return Proceed(lease_of(decision.record))
        return decision

    real = plot.put(AsyncGuard, "begin", begin)


def loser_releases_the_owners_claim(plot: Plot) -> None:
    """The finally of a rejected duplicate deletes the record it has met."""

    def lead(attempt: Any, terms: Any, seat: Any, owner: Any, give_up_at: Any) -> Any:
        decision = yield from real(attempt, terms, seat, owner, give_up_at)
        if isinstance(decision, InFlight):
            record = decision.record
            try:
                yield ReleaseKey(record.identity, record.owner, "rejected", 60.0)
            except StoreUnavailable:
                return decision
        return decision

    real = plot.put(flows, "lead", lead)


def tokens_begin_anew(plot: Plot) -> None:
    """Owner tokens are counted in each process, from one."""
    counts: dict[int, int] = {}

    def fresh_token() -> bytes:
        import asyncio

        loop = id(asyncio.get_running_loop())
        counts[loop] = counts.get(loop, 0) + 1
        return b"%d" % counts[loop]

    plot.put(tokens, "fresh_token", fresh_token)


def late_note_counts(plot: Plot) -> None:
    """A note that was overtaken on its way takes finished steps back."""

    def note(record: Any, command: Any) -> Change | None:
        last = None if record is None else record._replace(noted=0)
        change: Change | None = real(last, command)
        return change

    real = plot.put(transitions, "note", note)


def free_key_is_born_anew(plot: Plot) -> None:
    """The next execution of a freed key has other downstream keys."""

    def claim(stored: Any, command: Any, now: float) -> Change:
        change: Change = real(stored, command, now)
        if stored is None or stored.status is not Status.RELEASED or not change.written:
            return change
        return change._replace(record=change.record._replace(created_at=now))

    real = plot.put(transitions, "claim", claim)


# ----------------------------------------------------------------- how work ends


def exception_frees(plot: Plot) -> None:
    """The claim is deleted when the handler raises, so that the client can retry."""
    plot.put(asgi_exchange, "raised", lambda *_, **__: Free("raised"))


def server_error_frees(plot: Plot) -> None:
    def failed(status: int, *_: Any, **__: Any) -> Any:
        return Free(f"status-{status}") if status >= 500 else None

    plot.put(ending, "_failed", failed)


def cancelling_frees(plot: Plot) -> None:
    """A request whose task was cancelled frees its key in a finally."""

    def failure(exchange: Any, error: BaseException | None) -> Any:
        found = real(exchange, error)
        if isinstance(found.ending, Unclear):
            return replace(found, ending=Free("cancelled"))
        return found

    real = plot.put(Exchange, "_failure", failure)


def cancelling_cancels_the_work(plot: Plot) -> None:
    """The request's own task runs the handler, and its end frees the key."""

    def cancelled(exchange: Any) -> None:
        exchange.client_gone()
        exchange._gone_for = "cancelled"
        if exchange._running is not None:
            exchange._running.cancel()

    plot.put(Exchange, "cancelled", cancelled)
    cancelling_frees(plot)


def failing_to_complete_frees(plot: Plot) -> None:
    """Where the outcome cannot be stored, the key is released."""

    def record_late(beat: Any, lease: Any, late: Any, *, within: float) -> None:
        if isinstance(late, CompleteKey):
            late = ReleaseKey(lease.identity, lease.owner, "not-stored", 60.0)
        real(beat, lease, late, within=within)

    real = plot.put(Heartbeat, "record_late", record_late)


def limit_frees_while_work_runs(plot: Plot) -> None:
    """The timeout gives the key away, and the handler goes on."""

    def end_of_limit(beat: Any, store: Any, watch: Any) -> None:
        lease = watch.lease
        if store is not None:
            store.release(lease.identity, lease.owner, "work-limit", 60.0)
        beat.unwatch(lease)

    plot.put(Heartbeat, "_end_of_limit", end_of_limit)


def unclear_frees(plot: Plot) -> None:
    """What nobody knows the end of is free at once, under every guarantee."""

    def command(lease: Any, end: Any, terms: Any) -> Any:
        if isinstance(end, Unclear | Park):
            return ReleaseKey(lease.identity, lease.owner, end.reason, 60.0)
        return real(lease, end, terms)

    real = plot.put(flows, "ending_command", command)


def loser_answers_its_own(plot: Plot) -> None:
    """A worker that lost its key answers with what it did itself."""

    async def conclusion(exchange: Any, finished: Any, end: Any, sent: Any) -> Any:
        if isinstance(finished, Lost):
            return LetGo()
        return await real(exchange, finished, end, sent)

    real = plot.put(Exchange, "_conclusion", conclusion)


def torn_answers_are_kept(plot: Plot) -> None:
    """What was sent before the handler broke off counts as the whole answer."""

    async def unfinished(exchange: Any, error: BaseException | None) -> Any:
        if exchange.out.sent is not None and exchange.out.sent.size:
            await exchange.out._end(exchange.out.sent, b"")
            return None
        return await real(exchange, error)

    real = plot.put(Exchange, "_unfinished", unfinished)


# --------------------------------------------------------------------- what is said


def unprotected_is_not_marked(plot: Plot) -> None:
    plot.put(asgi_exchange, "mark_unprotected", lambda headers: headers)


def unrecorded_is_not_marked(plot: Plot) -> None:
    plot.put(asgi_exchange, "mark_unrecorded", lambda headers: headers)


def answered_before_stored(plot: Plot) -> None:
    """The answer leaves first; then it is stored, if all goes well."""

    async def finish(guard: Any, lease: Any, end: Any, policy: Any) -> Any:
        finished = await real(guard, lease, end, policy)
        if isinstance(finished, Unrecorded) and isinstance(end, Keep):
            return Lost(None)
        return finished

    real = plot.put(AsyncGuard, "finish", finish)
    loser_answers_its_own(plot)


def sessions_are_kept(plot: Plot) -> None:
    plot.put(ending, "kept_headers", lambda headers, *_, **__: tuple(headers))


def bound_is_ignored(plot: Plot) -> None:
    def result(answer: Any, headers: Any, *, kept: bool, size: int) -> Any:
        return real(answer, headers, kept=True, size=size)

    real = plot.put(ending, "_result", result)


def scope_is_left_out(plot: Plot) -> None:
    plot.put(nodes, "SCOPE", lambda head: "x-tenant:ann")


# ----------------------------------------------------------------------- the steps


def steps_are_forgotten(plot: Plot) -> None:
    def meet(book: Any, rule: Any) -> Any:
        place, _ = real(book, rule)
        return place, None

    real = plot.put(StepBook, "meet", meet)


def key_of_each_execution(plot: Plot) -> None:
    """The downstream key differs from one execution to the next."""

    def downstream_key(lease: Any, name: str) -> str:
        return downstream.derived_key(
            lease.identity, lease.born_at, f"{name} {lease.execution}"
        )

    from keyonce.engine import handle

    plot.put(handle, "downstream_key", downstream_key)
    plot.put(current, "downstream_key", downstream_key)


def unwritten_end_counts(plot: Plot) -> None:
    """A step's end counts before it stands in the record."""

    def noting(book: Any, *args: Any) -> Any:
        frame = real(book, *args)
        book.written()
        return frame

    real = plot.put(StepBook, "noting", noting)


def doubt_ends_early(plot: Plot) -> None:
    """A step that a vanished worker had begun is forgotten when the next one frees."""
    plot.put(flows, "_unclear", lambda frame: False)


def news_of_a_gone_owner(plot: Plot) -> None:
    """Those who wait in one process hear of a lease that only the leader believes."""

    def news_of(flights: Any, seat: Any, now: float) -> Any:
        news = seat.flight.news
        if news is None:
            return None
        return Claimed(news.record, news.record.claimed_at)

    from keyonce.engine.flights import Flights

    plot.put(Flights, "news_of", news_of)
    plot.put(Flights, "leave", lambda flights, seat: None)


PLANTED = (
    Planted("check then act", check_then_act),
    Planted("unconditional complete", unconditional_complete, RESUME),
    Planted("unconditional release", unconditional_release, RESUME),
    Planted("renewal without token", renewal_without_token, RESUME),
    Planted("done is claimed anew", done_is_claimed_anew),
    Planted("purge takes running records", purge_takes_running),
    Planted("retention is the lease", retention_is_the_lease),
    Planted("lease is the retention", lease_is_the_retention, RESUME),
    Planted("completing inserts", completing_inserts, mode=FAILOVER),
    Planted("the end of a lease frees", lease_end_frees),
    Planted("a lease has no grace", no_grace, RESUME),
    Planted("crashes are not counted", crashes_are_not_counted, RESUME),
    Planted("the end of a lease is missed", parked_is_never_let_go, RESUME),
    Planted("mismatch only when done", mismatch_only_when_done),
    Planted("the fingerprint is ignored", fingerprint_is_ignored),
    Planted("another's claim is mine", others_claim_is_mine),
    Planted("a waiter runs after its timeout", waiter_runs_after_timeout),
    Planted("the loser releases the owner's claim", loser_releases_the_owners_claim),
    Planted("tokens begin anew", tokens_begin_anew),
    Planted("an exception frees", exception_frees),
    Planted("a server error frees", server_error_frees),
    Planted("cancelling frees", cancelling_frees),
    Planted("cancelling cancels the work", cancelling_cancels_the_work),
    Planted("failing to complete frees", failing_to_complete_frees),
    Planted("the limit frees while the work runs", limit_frees_while_work_runs),
    Planted("an unclear end frees", unclear_frees),
    Planted("the loser answers its own", loser_answers_its_own, RESUME),
    Planted("torn answers are kept", torn_answers_are_kept),
    Planted("unprotected is not marked", unprotected_is_not_marked),
    Planted("unrecorded is not marked", unrecorded_is_not_marked),
    Planted("answered before stored", answered_before_stored),
    Planted("sessions are kept", sessions_are_kept),
    Planted("the bound is ignored", bound_is_ignored),
    Planted("the scope is left out", scope_is_left_out),
    Planted("steps are forgotten", steps_are_forgotten, RESUME),
    Planted("a key of each execution", key_of_each_execution, RESUME),
    Planted("an unwritten end counts", unwritten_end_counts, RESUME),
    Planted("seats are never left", news_of_a_gone_owner),
    Planted("a late note counts", late_note_counts, RESUME),
    Planted("a free key is born anew", free_key_is_born_anew, RESUME),
)
#: Found by a long campaign, and again by the seed that is kept.
RARE = (Planted("doubt ends early", doubt_ends_early, RESUME),)
