# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What an attempt hears that does not run: a decision as a response."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from math import floor
from typing import TYPE_CHECKING, Final, assert_never

from keyonce.core.decide import (
    Expired,
    Incomparable,
    InFlight,
    Mismatch,
    Replay,
    Unknown,
)
from keyonce.core.ending import Free, Keep, Park, Unclear
from keyonce.core.policy import InFlightAnswer
from keyonce.core.transitions import grace
from keyonce.http import catalogue
from keyonce.http.dialect import DIALECT, EXPIRES, REPLAYED, REPLAYED_ALIAS, STATUS
from keyonce.http.ending import BODILESS
from keyonce.http.keep import replayed_headers, without_own
from keyonce.http.messages import Response
from keyonce.http.problem import response
from keyonce.http.status import status_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keyonce.core.ending import Ending
    from keyonce.core.model import Record, StoredResult
    from keyonce.core.outcomes import Answerable
    from keyonce.core.policy import Policy
    from keyonce.http.dialect import Dialect
    from keyonce.http.messages import Headers, RequestHead
    from keyonce.http.problem import Problem

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)
_REPLAYED: Final = ((REPLAYED, b"true"),)
_REPLAYED_TWICE: Final = (*_REPLAYED, (REPLAYED_ALIAS, b"true"))
_OK: Final = 200
_LAST_INSTANT: Final = 253_402_300_799


def answer(
    decision: Answerable,
    *,
    head: RequestHead,
    policy: Policy,
    differing: Sequence[str] | None = None,
    likely_for: float | None = None,
    dialect: Dialect = DIALECT,
    spread: float = 0.0,
) -> Response:
    """Give what the caller of *head* hears.

    *differing* are the JSON pointers of a mismatch, empty where its fields look alike,
    None where that cannot be told. *likely_for* is how many seconds
    an execution under this rule usually needs, if that is known. *spread* keeps the
    callers apart that are told to come back: see ``problem.response``.
    """
    if isinstance(decision, Replay):
        stored = decision.record.result
        if stored is not None and stored.kept:
            return _replay(decision.record, stored, head, dialect)
    problem = _problem(decision, policy, differing, likely_for, dialect)
    if policy.show_reference:
        problem = _with_reference(problem, decision)
    return response(problem, docs_url=dialect.docs_url, spread=spread)


def _with_reference(problem: Problem, decision: Answerable) -> Problem:
    """Let the caller of the same request see what its work has brought about."""
    reference = decision.record.reference
    if reference is None or not isinstance(decision, InFlight | Unknown):
        return problem
    return replace(problem, extra={**problem.extra, "reference": reference})


def _replay(
    record: Record, stored: StoredResult, head: RequestHead, dialect: Dialect
) -> Response:
    answer = stored_answer(stored, head)
    marks = _REPLAYED_TWICE if dialect.replayed_alias else _REPLAYED
    extra = marks + expires_header(record.expires_at)
    return replace(answer, headers=answer.headers + extra)


def stored_answer(stored: StoredResult, head: RequestHead) -> Response:
    """Give the answer that *stored* is for the caller of *head*, without any mark."""
    status, body = stored.status, stored.body
    origins = head.values(b"origin")
    origin = origins[0] if len(origins) == 1 else None
    headers = replayed_headers(stored.headers, origin)
    if status in BODILESS or status < _OK:
        body = b""
    else:
        headers += ((b"content-length", b"%d" % len(body)),)
    return Response(status, headers, body)


def _problem(
    decision: Answerable,
    policy: Policy,
    differing: Sequence[str] | None,
    likely_for: float | None,
    dialect: Dialect,
) -> Problem:
    header = dialect.key_header
    match decision:
        case Replay(record):
            return _not_kept(record, header)
        case InFlight():
            return _in_flight(decision, policy, likely_for, dialect)
        case Mismatch():
            status = policy.mismatch_status
            return catalogue.key_reused(status=status, fields=differing, header=header)
        case Unknown(_, asked_again_in):
            return catalogue.outcome_unknown(header=header, retry_after=asked_again_in)
        case Expired():
            return catalogue.key_expired(header=header)
        case Incomparable():
            return catalogue.record_newer(header=header)
        case _:
            assert_never(decision)


def _not_kept(record: Record, header: str) -> Problem:
    stored = record.result
    if stored is None:
        return catalogue.record_corrupt(header=header)
    found = [value for name, value in stored.headers if name.lower() == b"location"]
    location = found[0].decode("latin-1") if found else None
    return catalogue.response_not_kept(stored.status, location, header=header)


def _in_flight(
    decision: InFlight, policy: Policy, likely_for: float | None, dialect: Dialect
) -> Problem:
    wait = retry_after(decision, likely_for)
    if policy.in_flight is not InFlightAnswer.ACCEPT:
        return catalogue.request_in_progress(wait, header=dialect.key_header)
    location = status_path(decision.record.identity, dialect=dialect)
    return catalogue.request_accepted(wait, location, header=dialect.key_header)


def retry_after(decision: InFlight, likely_for: float | None) -> float:
    """Say in how many seconds a retry is likely to be answered; at least one.

    The rest of *likely_for*. Without that, or past it, as long again as the running
    attempt has taken. Never past the time when its lease would have ended.
    """
    record, age = decision.record, decision.age
    overdue = likely_for is None or likely_for <= age
    rest = age if overdue or likely_for is None else likely_for - age
    ends_in = record.lease_until + grace(record.lease_for) - (record.claimed_at + age)
    return max(1.0, min(rest, ends_in))


def failure_answer(
    ending: Ending, *, unclear_status: int = 500, dialect: Dialect = DIALECT
) -> Response:
    """Give what the first caller hears whose handler raised, ended as *ending*.

    Never a made-up success; and where the outcome is kept, the very bytes that every
    retry gets. *unclear_status* is 502 or 504 behind the sidecar.
    """
    match ending:
        case Keep(result):
            length = (b"content-length", b"%d" % len(result.body))
            return Response(result.status, (*result.headers, length), result.body)
        case Free():
            problem = catalogue.handler_failed(freed=True)
        case Unclear() | Park():
            problem = catalogue.unclear_end(unclear_status, header=dialect.key_header)
        case _:
            assert_never(ending)
    return response(problem, docs_url=dialect.docs_url)


def first_headers(headers: Headers, expires_at: float | None) -> Headers:
    """Give the headers of the first answer, whose outcome is kept till *expires_at*.

    Steering headers are taken off. None where it is kept for ever or not at all.
    """
    return without_own(headers) + expires_header(expires_at)


def expires_header(expires_at: float | None) -> Headers:
    """Give ``Idempotency-Expires``, never later than the truth; none for None."""
    if expires_at is None or not 0 <= expires_at <= _LAST_INSTANT:
        return ()
    return ((EXPIRES, _date(floor(expires_at))),)


def http_date(instant: float) -> bytes:
    """Write *instant*, seconds since the epoch, as an HTTP-date, rounded down."""
    return _date(floor(instant))


# A storm of retries asks for the same second again and again.
@lru_cache(maxsize=256)
def _date(second: int) -> bytes:
    at = datetime.fromtimestamp(second, UTC)
    day, month = _DAYS[at.weekday()], _MONTHS[at.month - 1]
    return f"{day}, {at.day:02} {month} {at.year:04} {at:%H:%M:%S} GMT".encode("ascii")


def mark_unprotected(headers: Headers) -> Headers:
    """Mark an answer whose work ran without protection: a retry runs it again."""
    return (*without_own(headers), (STATUS, b"unprotected"))


def mark_unrecorded(headers: Headers) -> Headers:
    """Mark the answer to work that was done and could not be recorded."""
    return (*without_own(headers), (STATUS, b"unrecorded"))
