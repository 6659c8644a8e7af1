# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The judge of a run: a pure function of its history, one for each invariant.

It knows the promises of docs/guarantees.md and http-rules, and nothing of the code:
which request an answer belongs to stands in the answer's body.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple

from keyonce.core.guarantee import Guarantee
from keyonce.core.model import Identity, Record
from keyonce.core.steps import Progress, read_steps
from tests.simulation.clients import is_problem
from tests.simulation.history import Answered, Applied, Asked, Effect, History, Ran
from tests.simulation.law import broken
from tests.simulation.outside import CHARGE, answer_of

Violations = Iterator[str]

SUCCESS = 201
REPLAYED = b"idempotency-replayed"
MARK = b"idempotency-status"
#: What may differ between a first answer and its replays, and never be replayed.
SESSION = b"set-cookie"
FIRST_ONLY = frozenset({SESSION, REPLAYED, b"content-length"})


class Said(NamedTuple):
    """An answer of the app, or a replay of one, and what it is an answer to."""

    answer: Answered
    asked: Asked
    run: Ran | None

    @property
    def mark(self) -> bytes | None:
        return self.answer.header(MARK)

    @property
    def is_success(self) -> bool:
        return self.answer.status == SUCCESS and not is_problem(self.answer)


def judge(history: History) -> list[str]:
    """Give every violation of *history*, each with the name of its invariant."""
    return [
        f"{name}: {what}"
        for name, invariant in INVARIANTS.items()
        if not (history.loses_tail and name in LOST_WITH_A_TAIL)
        for what in invariant(history)
    ]


def effects_happen_once(history: History) -> Violations:
    """I1: at most one effect for each life of a record, save in at-least-once.

    Under resume every outside call of one life carries one key for each step. What
    answers by an event stream is not guarded, and says so.
    """
    if history.guarantee is Guarantee.AT_LEAST_ONCE:
        return
    found: dict[tuple[object, ...], list[Effect]] = defaultdict(list)
    for effect in history.effects:
        run = history.ran[effect.run - 1]
        if run.token and run.number not in history.streamed:
            found[run.identity, run.payload, run.born_at, effect.step].append(effect)
    for life, effects in found.items():
        if len(effects) > 1:
            yield f"{len(effects)} effects of {life}: {effects}"


def finished_steps_stay_finished(history: History) -> Violations:
    """I1: what a step has noted is not done again by a later execution.

    A record that has been noted after a step's call was answered has that step's end
    in it, or its caller has lost the key. So a later execution that calls the same
    step again must have been claimed before that note.
    """
    done: dict[tuple[Identity, float], dict[str, float]] = defaultdict(dict)
    for applied in history.applied:
        after = applied.after
        if applied.verb != "note" or not applied.written or after is None:
            continue
        steps = read_steps(after.steps)
        for step in () if steps is None else steps.taken:
            if step.progress is Progress.DONE:
                life = done[applied.identity, after.created_at]
                life.setdefault(step.name, applied.at)
    claimed_at: dict[bytes, float] = {}
    for applied in history.applied:
        if applied.verb == "claim" and _was_granted(applied):
            claimed_at.setdefault(applied.token, applied.at)
    for called in history.called:
        run = history.ran[called.run - 1]
        noted_at = done.get((run.identity, run.born_at), {}).get(called.step)
        if noted_at is not None and claimed_at.get(run.token, 0.0) > noted_at:
            yield f"step {called.step} is done again by run {run.number}"


def successes_are_equal(history: History) -> Violations:
    """I2: all that vouches for success, in one life, is equal byte for byte."""
    seen: dict[tuple[object, ...], Answered] = {}
    for said in _said(history):
        run = said.run
        if not said.is_success or said.mark is not None or run is None:
            continue
        life = (run.identity, run.payload, run.born_at)
        first = seen.setdefault(life, said.answer)
        if _essence(first) != _essence(said.answer):
            yield f"two answers of {life}: {first} and {said.answer}"


def replays_carry_no_session(history: History) -> Violations:
    """I2: a replay has none of the headers that belong to one moment."""
    for answer in history.answered:
        if answer.header(REPLAYED) is not None and answer.header(SESSION) is not None:
            yield f"a session is replayed: {answer}"


def answers_fit_their_request(history: History) -> Violations:
    """I3: nobody gets a whole or partial answer that was made for another payload."""
    for said in _said(history):
        asked, answer = said.asked, said.answer
        run = said.run
        if run is None:
            yield f"an answer that no run has made: {answer}"
        elif answer.body and not _is_whole(run, answer):
            yield f"an answer in pieces: {answer}"
        elif run.payload != asked.payload:
            yield f"{asked} gets the answer of another request: {answer}"


def other_payloads_are_told_so(history: History) -> Violations:
    """I3: another payload under a key hears that, whatever the state of the record.

    A node may go on to speak of a request that is still open there, and whose end
    the store knows already.
    """
    payloads = _payloads(history)
    ended = {answer.to: answer.at for answer in history.answered}
    for answer, asked, code in _problems(history):
        if code not in ("request-in-progress", "outcome-unknown", "response-not-kept"):
            continue
        standing = _between(history, _earliest_open(history, asked, ended), answer.at)
        if standing and all(
            record is not None
            and record.fingerprint is not None
            and payloads.get(record.owner, asked.payload) != asked.payload
            for record in standing
        ):
            yield f"{asked} hears {code}, and the key is another payload's"


def successes_have_their_effect(history: History) -> Violations:
    """I4: whoever hears of success, the effect is there."""
    first: dict[tuple[object, ...], float] = {}
    for effect in history.effects:
        run = history.ran[effect.run - 1]
        if effect.step == CHARGE:
            first.setdefault(_life(run), effect.at)
    for said in _said(history):
        if said.is_success and said.run is not None:
            at = first.get(_life(said.run))
            if at is None or at > said.answer.at:
                yield f"a success without effect: {said.answer}"


def records_keep_the_law(history: History) -> Violations:
    """I5 and I7: each change of a record is one that its state and token allow."""
    for applied in history.applied:
        told = broken(applied, history)
        if told is not None:
            yield f"{told}: {applied}"


def tokens_never_repeat(history: History) -> Violations:
    """I6: two attempts never carry one owner token."""
    attempts: dict[bytes, int] = {}
    for applied in history.applied:
        if applied.verb == "claim":
            first = attempts.setdefault(applied.token, applied.by)
            if first != applied.by:
                yield f"{applied.token!r} is used by requests {first} and {applied.by}"


def tokens_are_used_by_their_owner(history: History) -> Violations:
    """I7: a request ends only what it claimed, and runs only what it was given."""
    claimed: dict[bytes, int] = {}
    granted: set[bytes] = set()
    for applied in history.applied:
        if applied.verb == "claim":
            claimed[applied.token] = applied.by
            if _was_granted(applied):
                granted.add(applied.token)
        elif applied.by and applied.token and claimed.get(applied.token) != applied.by:
            yield f"somebody else's token is used: {applied}"
    for run in history.ran:
        if run.token and run.token not in granted:
            yield f"a run without a claim: {run}"


def keys_reach_an_end(history: History) -> Violations:
    """I8: once faults stop, every client that never gives up hears an end."""
    yield from history.stuck


def nothing_leaks(history: History) -> Violations:
    """I9: no task, lease, seat or byte is left; nothing fails in the dark."""
    yield from history.leaks
    yield from history.errors


def nothing_crosses_a_scope(history: History) -> Violations:
    """I10: what one tenant hears has nothing of another, nor of another operation.

    Not even that a key is taken: who is told so shares its whole identity.
    """
    for said in _said(history):
        run, asked = said.run, said.asked
        if run is not None and run.identity != asked.identity:
            yield f"{asked} hears of {run.identity}: {said.answer}"
    first: dict[Identity, float] = {}
    for applied in history.applied:
        if applied.verb == "claim":
            first.setdefault(applied.identity, applied.at)
    for _, asked, code in _problems(history):
        if code in ("store-unavailable", "handler-failed", "outcome-unknown"):
            continue
        others = [
            other
            for other in history.asked
            if other.identity == asked.identity and other.number != asked.number
        ]
        if not others:
            yield f"{asked} hears {code}, and nobody else has its key"
        if asked.identity not in first and code in ("key-reused", "key-expired"):
            yield f"{asked} hears {code} of a key that was never claimed"


def unsafe_answers_are_marked(history: History) -> Violations:
    """I11: an unmarked success is stored before it leaves; what ran bare says so."""
    stored: dict[bytes, float] = {}
    for applied in history.applied:
        after = applied.after
        if not applied.written or applied.verb not in ("complete", "settle"):
            continue
        if after is not None and after.result is not None:
            made_by = _run_header(after.result.headers)
            if made_by is not None:
                stored.setdefault(made_by, applied.at)
    for said in _said(history):
        run, answer = said.run, said.answer
        if run is None:
            continue
        if not run.token or run.number in history.streamed:
            settled = b"%d" % run.number in stored  # a hook has vouched for it since
            if said.mark != b"unprotected" and not settled:
                yield f"an unprotected run, and no mark: {answer}"
        elif said.is_success and said.mark is None:
            at = stored.get(b"%d" % run.number)
            if at is None or at > answer.at:
                yield f"an answer that is not stored, and no mark: {answer}"


def stored_bytes_are_bounded(history: History) -> Violations:
    """I12: no outcome is larger than its bound, no map of fields without end."""
    for applied in history.applied:
        after = applied.after
        if applied.written and after is not None and after.result is not None:
            result = after.result
            if len(result.body) > history.bound or not (result.kept or not result.body):
                yield f"{len(result.body)} bytes are stored: {applied}"


INVARIANTS: dict[str, Callable[[History], Violations]] = {
    "I1 effects": effects_happen_once,
    "I1 steps": finished_steps_stay_finished,
    "I2 answers": successes_are_equal,
    "I2 session": replays_carry_no_session,
    "I3 request": answers_fit_their_request,
    "I3 mismatch": other_payloads_are_told_so,
    "I4 effect": successes_have_their_effect,
    "I5 law": records_keep_the_law,
    "I6 tokens": tokens_never_repeat,
    "I7 owner": tokens_are_used_by_their_owner,
    "I8 end": keys_reach_an_end,
    "I9 leaks": nothing_leaks,
    "I10 scope": nothing_crosses_a_scope,
    "I11 marks": unsafe_answers_are_marked,
    "I12 bytes": stored_bytes_are_bounded,
}
#: A failover that loses acknowledged writes may double an effect and its answer; the
#: table of docs/guarantees.md says so. A node whose record was lost goes on to speak
#: of it until its work has ended.
LOST_WITH_A_TAIL = frozenset({"I1 effects", "I1 steps", "I2 answers", "I3 mismatch"})


# --------------------------------------------------------------- reading a history


def _said(history: History) -> Iterator[Said]:
    """What the app has said, first or replayed; not what the guard says itself."""
    for answer in history.answered:
        if is_problem(answer):
            continue
        asked = history.asked[answer.to - 1]
        run = _run_header(answer.headers)
        number = 0 if run is None or not run.isdigit() else int(run)
        yield Said(answer, asked, history.ran[number - 1] if number else None)


def _problems(history: History) -> Iterator[tuple[Answered, Asked, str]]:
    for answer in history.answered:
        if is_problem(answer):
            _, _, rest = answer.body.partition(b'"code": "')
            code = rest.partition(b'"')[0].decode()
            yield answer, history.asked[answer.to - 1], code


def _run_header(headers: tuple[tuple[bytes, bytes], ...]) -> bytes | None:
    return next((value for name, value in headers if name == b"x-run"), None)


def _is_whole(run: Ran, answer: Answered) -> bool:
    whole = answer_of(run.identity, run.payload, run.number)
    return answer.body.lstrip(b"x") == whole.lstrip(b"x")


def _life(run: Ran) -> tuple[object, ...]:
    if not run.token:
        return (run.number,)
    return (run.identity, run.born_at)


def _essence(answer: Answered) -> tuple[object, ...]:
    headers = [
        (name, value) for name, value in answer.headers if name not in FIRST_ONLY
    ]
    return (answer.status, sorted(headers), answer.body)


def _was_granted(applied: Applied) -> bool:
    after = applied.after
    return after is not None and after.owner == applied.token


def _earliest_open(history: History, asked: Asked, ended: dict[int, float]) -> Asked:
    """The first of the same requests that are still open on the same node."""
    for other in history.asked:
        same = other[2:5] == asked[2:5]  # identity, payload and node
        if same and ended.get(other.number, asked.at) >= asked.at:
            return other
    return asked


def _payloads(history: History) -> dict[bytes, bytes]:
    """Whose payload each owner token stands for."""
    return {
        applied.token: applied.payload
        for applied in history.applied
        if applied.verb == "claim"
    }


def _between(history: History, asked: Asked, until: float) -> list[Record | None]:
    """How the record of *asked* stood from its arrival to its answer."""
    mine = [one for one in history.applied if one.identity == asked.identity]
    found = []
    for one, following in pairwise([*mine, None]):
        assert one is not None
        gone_at = until if following is None else following.at
        if one.at <= until and gone_at >= asked.at:
            found.append(one.after)
    return found
