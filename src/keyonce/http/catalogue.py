# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Every problem that this layer answers with, one function each.

Details are fixed sentences, save for what a function is given to say. *header* is
the key's header as this service spells it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from keyonce.http.dialect import KEY_HEADER
from keyonce.http.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MOST_FIELDS: Final = 32
_SAME_FIELDS: Final = (
    "The fields of both bodies look alike: compare the query string, the media type "
    "and the headers that count."
)
SOON: Final = 1.0
STORE_BACK_IN: Final = 5.0
NEWER_READ_IN: Final = 30.0


@dataclass(frozen=True, slots=True)
class Kind:
    """What all problems of one code have in common. *statuses*: the usual first."""

    statuses: tuple[int, ...]
    title: str
    detail: str
    retryable: bool = field(default=False, kw_only=True)


CATALOGUE: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "invalid-key": Kind((400,), "Idempotency-Key is invalid", ""),
        "missing-key": Kind(
            (400,),
            "Idempotency-Key is missing",
            "This operation requires a key. Make a fresh one for each operation, such "
            "as a UUID, and send the same one on every retry of it.",
        ),
        "missing-scope": Kind(
            (400,), "The scope of the Idempotency-Key is missing", ""
        ),
        "request-too-large": Kind(
            (413,),
            "The request is too large",
            "The body is larger than this operation takes. Nothing was executed.",
        ),
        "length-required": Kind(
            (411,),
            "The length of the request is not known",
            "This server cannot tell where a body without Content-Length ends. Nothing "
            "was executed. Repeat the request with a Content-Length.",
        ),
        "request-incomplete": Kind(
            (400,),
            "The request is not whole",
            "The body is shorter than its Content-Length. Nothing was executed.",
        ),
        "store-unavailable": Kind(
            (503,),
            "The idempotency store is unavailable",
            "It cannot be known whether this request has been seen before, so it was "
            "not executed. Repeat it with the same key.",
            retryable=True,
        ),
        "key-reused": Kind(
            (422, 409, 400),
            "Idempotency-Key is already used",
            "This key was first sent with another request. Repeat that request "
            "unchanged, or send this one under a fresh key.",
        ),
        "request-in-progress": Kind(
            (409, 202),
            "A request is outstanding for this Idempotency-Key",
            "The first request with this key is still at work. Repeat the request, "
            "with the same key, to get its answer.",
            retryable=True,
        ),
        "outcome-unknown": Kind(
            (409, 500, 502, 504),
            "The outcome for this Idempotency-Key is unknown",
            "The work began and nobody can say whether it was done, so it is not run "
            "again. The operator of this service finds out and resolves it; then the "
            "same request gets the answer. Do not send it under another key.",
        ),
        "key-expired": Kind(
            (410,),
            "Idempotency-Key has expired",
            "A request with this key was answered, longer ago than answers are kept. "
            "It was not executed again.",
        ),
        "response-not-kept": Kind(
            (409,),
            "The response for this Idempotency-Key was not kept",
            "The request was executed once and not again now. Its answer was too large "
            "to keep; its status is original_status.",
        ),
        "record-unreadable": Kind(
            (500, 409),
            "The record of this Idempotency-Key cannot be read",
            "There is a record of this key and it cannot be read, so nothing was "
            "executed. The operator of this service has to look at it.",
        ),
        "handler-failed": Kind(
            (500,),
            "The service failed",
            "The service failed while it worked on the request. The same key gets this "
            "same answer; nothing is run again.",
        ),
        "not-committed": Kind(
            (500,),
            "The service did not commit its work",
            "The service promises to commit the work of this request and its answer "
            "together, and its handler ended without. Nothing was recorded, and the "
            "key is free. The operator of this service has to mend the handler.",
        ),
        "answer-not-built": Kind(
            (503,),
            "The answer for this Idempotency-Key could not be built",
            "The request was executed, and is not executed again. Its answer is built "
            "from what was kept of it, and that failed. Repeat the request with the "
            "same key.",
            retryable=True,
        ),
        "replay-forbidden": Kind(
            (403,),
            "The stored answer may not be given to this caller",
            "The request was executed before, and this caller may no longer have its "
            "answer. Nothing was executed now.",
        ),
        "upstream-unreachable": Kind(
            (502,),
            "The service cannot be reached",
            "The service behind this one could not be reached and nothing was sent to "
            "it. Repeat the request with the same key.",
            retryable=True,
        ),
        "upstream-failed": Kind(
            (502, 504),
            "The service gave no answer",
            "The request was sent to the service behind this one, which broke off or "
            "did not answer in time. Nobody can say whether it was carried out.",
        ),
        "authorization-unavailable": Kind(
            (503,),
            "It cannot be asked whether this caller may have the stored answer",
            "The request was executed before. Whether this caller may have its answer "
            "could not be asked. Repeat it with the same key.",
            retryable=True,
        ),
        "never-seen": Kind(
            (404,),
            "Nothing is known of this request",
            "No record answers to this address and this caller.",
        ),
    }
)


def _problem(code: str, *, header: str = KEY_HEADER, **changes: Any) -> Problem:
    kind = CATALOGUE[code]
    title = kind.title.replace(KEY_HEADER, header)
    plain = Problem(kind.statuses[0], code, title, kind.detail, kind.retryable)
    return replace(plain, **changes)


def invalid_key(detail: str, *, header: str = KEY_HEADER) -> Problem:
    """The key breaks a rule, which *detail* tells without showing the key."""
    return _problem("invalid-key", header=header, detail=detail)


def missing_key(*, header: str = KEY_HEADER) -> Problem:
    """The operation requires a key and there is none."""
    return _problem("missing-key", header=header)


def missing_scope(detail: str, *, header: str = KEY_HEADER) -> Problem:
    """There is a key and it cannot be told whose."""
    return _problem("missing-scope", header=header, detail=detail)


def request_too_large(limit: int) -> Problem:
    """The body is over the bound of *limit* bytes; nothing ran."""
    return _problem("request-too-large", extra={"limit": limit})


def length_required() -> Problem:
    """It cannot be told where the body ends; nothing ran."""
    return _problem("length-required")


def request_incomplete() -> Problem:
    """The body broke off before its declared length; nothing ran."""
    return _problem("request-incomplete")


def store_unavailable(*, retry_after: float = STORE_BACK_IN) -> Problem:
    """The store does not answer; nothing ran."""
    return _problem("store-unavailable", retry_after=retry_after)


def no_room(*, retry_after: float = STORE_BACK_IN) -> Problem:
    """There is no room to hold the body aside; nothing ran."""
    detail = (
        "There is no room at the moment to hold a request of this size. It was not "
        "executed. Repeat it with the same key."
    )
    return _problem("store-unavailable", detail=detail, retry_after=retry_after)


def key_reused(
    *,
    status: int = 422,
    fields: Sequence[str] | None = None,
    header: str = KEY_HEADER,
) -> Problem:
    """The key stands for another request; *fields* are JSON pointers that differ.

    At most 32 are named; ``fields_truncated`` says that there are more. Where there
    are none, the detail says where else to look; None says nothing.
    """
    problem = _problem("key-reused", header=header, status=status)
    if fields is None:
        return problem
    if not fields:
        return replace(problem, detail=f"{problem.detail} {_SAME_FIELDS}")
    extra: dict[str, Any] = {"fields": list(fields[:MOST_FIELDS])}
    if len(fields) > MOST_FIELDS:
        extra["fields_truncated"] = True
    return replace(problem, extra=extra)


def request_in_progress(retry_after: float, *, header: str = KEY_HEADER) -> Problem:
    """The first request is at work: 409, come back later."""
    return _problem("request-in-progress", header=header, retry_after=retry_after)


def request_accepted(
    retry_after: float, location: str, *, header: str = KEY_HEADER
) -> Problem:
    """The first request is at work: 202, and *location* tells how it stands."""
    return _problem(
        "request-in-progress",
        header=header,
        status=202,
        retry_after=retry_after,
        location=location,
    )


def outcome_unknown(
    *, header: str = KEY_HEADER, retry_after: float | None = None
) -> Problem:
    """For a retry: nobody can say whether the work was done.

    *retry_after* is when the service's own reconciler is asked again; without one an
    operator has to find out.
    """
    return _unknown(409, header, retry_after)


def unclear_end(
    status: int = 500, *, header: str = KEY_HEADER, retry_after: float | None = None
) -> Problem:
    """For the first caller, whose execution came to an unclear end.

    *status* is 500 in process, and 502 or 504 behind the sidecar.
    """
    return _unknown(status, header, retry_after)


def _unknown(status: int, header: str, retry_after: float | None) -> Problem:
    if retry_after is None:
        extra = {"resolved_by": "operator"}
        return _problem("outcome-unknown", header=header, status=status, extra=extra)
    return _problem(
        "outcome-unknown",
        header=header,
        status=status,
        retryable=True,
        retry_after=retry_after,
        extra={"resolved_by": "service"},
        detail=(
            "The work began and nobody can say yet whether it was done, so it is not "
            "run again. This service finds out by itself: repeat the request, with the "
            "same key, to get the answer. Do not send it under another key."
        ),
    )


def key_expired(*, header: str = KEY_HEADER) -> Problem:
    """The outcome is past its retention and late retries are refused."""
    return _problem("key-expired", header=header)


def response_not_kept(
    status: int, location: str | None, *, header: str = KEY_HEADER
) -> Problem:
    """The work is done and its answer, of *status*, was too large to keep."""
    extra: dict[str, Any] = {"original_status": status}
    if location is not None:
        extra["original_location"] = location
    return _problem("response-not-kept", header=header, extra=extra)


def record_newer(*, header: str = KEY_HEADER) -> Problem:
    """The record is of a newer version: another instance can read it."""
    return _problem(
        "record-unreadable",
        header=header,
        status=409,
        retryable=True,
        retry_after=NEWER_READ_IN,
        detail=(
            "The record of this key was written by another version of this service, "
            "and this instance cannot read it. Nothing was executed. Repeat the "
            "request with the same key."
        ),
    )


def record_corrupt(*, header: str = KEY_HEADER) -> Problem:
    """The record is torn or forged. The work is never run on that ground."""
    return _problem("record-unreadable", header=header)


def handler_failed(*, freed: bool = False) -> Problem:
    """The handler raised. *freed* says that a retry runs it again."""
    if not freed:
        return _problem("handler-failed")
    return _problem(
        "handler-failed",
        retryable=True,
        retry_after=SOON,
        detail=(
            "The service failed while it worked on the request. Repeat the request "
            "with the same key and it is tried again."
        ),
    )


def not_committed() -> Problem:
    """The handler of an exactly-once operation ended without its commit."""
    return _problem("not-committed")


def answer_not_built(*, retry_after: float = STORE_BACK_IN) -> Problem:
    """The work is done, and the author's function did not build its answer."""
    return _problem("answer-not-built", retry_after=retry_after)


def commit_unclear(*, header: str = KEY_HEADER) -> Problem:
    """The store is silent about a commit: the next attempt finds out."""
    return unclear_end(500, header=header, retry_after=STORE_BACK_IN)


def replay_forbidden() -> Problem:
    """The caller may no longer have the stored answer."""
    return _problem("replay-forbidden")


def upstream_unreachable(*, retry_after: float = SOON) -> Problem:
    """Nothing was sent upstream; the key stays free."""
    return _problem("upstream-unreachable", retry_after=retry_after)


def upstream_failed(status: int = 502) -> Problem:
    """The request was sent upstream and what came of it is not known.

    Where the key is freed, this is what the first caller hears; a retry runs again.
    """
    return _problem("upstream-failed", status=status)


def authorization_unavailable(*, retry_after: float = STORE_BACK_IN) -> Problem:
    """Nobody answered whether the caller may have the stored answer."""
    return _problem("authorization-unavailable", retry_after=retry_after)


def never_seen() -> Problem:
    """The status resource knows no such record of this caller."""
    return _problem("never-seen")
