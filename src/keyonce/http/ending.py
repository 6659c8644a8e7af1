# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""How an HTTP execution ended: what to keep, what frees the key, what is unclear."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from keyonce.core.ending import Free, Keep, Unclear
from keyonce.core.errors import SafeToRetry
from keyonce.core.guarantee import Guarantee
from keyonce.core.model import StoredResult
from keyonce.http import catalogue
from keyonce.http.keep import kept_headers
from keyonce.http.problem import response
from keyonce.http.steer import UNSTEERED, Steered

if TYPE_CHECKING:
    from keyonce.core.ending import Ending
    from keyonce.core.policy import Policy
    from keyonce.http.messages import Headers, Response
    from keyonce.http.steer import Steering

NEVER_STORED: Final = frozenset({401, 403, 407, 408, 421, 425, 429})
BODILESS: Final = frozenset({204, 304})
_OK: Final = 200
_CLIENT_ERROR: Final = 400
SERVER_ERROR: Final = 500
_SWITCHING: Final = 101
_BROKEN_UPSTREAM: Final = frozenset({502, 504})
_EVENT_STREAM: Final = b"text/event-stream"


def passes_through(status: int, headers: Headers) -> bool:
    """Whether this answer is no outcome: an upgrade, or an endless event stream.

    It goes out as it comes, marked ``unprotected``, and a retry runs again.
    """
    if status == _SWITCHING:
        return True
    for name, value in headers:
        if name.lower() == b"content-type" and b"event-stream" in value.lower():
            kind = value.partition(b";")[0].strip().lower()
            if kind == _EVENT_STREAM:
                return True
    return False


def ending(
    answer: Response,
    policy: Policy,
    *,
    size: int | None = None,
    complete: bool = True,
    behind_proxy: bool = False,
    steering: Steering = UNSTEERED,
    store_bound: int | None = None,
) -> Ending:
    """Say what *answer*, which reached its end, means for the key.

    *complete* is false where the copy of the body was given up as too large; *size*
    is then what was sent. *behind_proxy*: the answer came from an upstream, whose 502
    and 504 are unclear and whose Access-Control-* is kept. *store_bound* is what the
    store can keep of one body, if less than the policy's bound. A body over the bound
    is an outcome without its body: the work counts as done.
    """
    status = answer.status
    if status < _OK or status in NEVER_STORED:
        return Free(f"status-{status}")
    if passes_through(status, answer.headers):
        return Free("event-stream")
    if steering.outcome is Steered.RELEASE:
        return Free("steered")
    if steering.outcome is Steered.UNKNOWN:
        return _unclear(policy, "steered", steering.reference)
    if steering.outcome is None:
        failed = _failed(status, policy, steering, behind_proxy=behind_proxy)
        if failed is not None:
            return failed
    bound = policy.max_response
    if store_bound is not None:
        bound = min(bound, store_bound)
    length = len(answer.body) if size is None else size
    kept = complete and length <= bound
    headers = kept_headers(answer.headers, policy, keep_cors=behind_proxy)
    result = _result(answer, headers, kept=kept, size=length)
    return Keep(result, steering.retention_for, steering.reference)


def _result(
    answer: Response, headers: Headers, *, kept: bool, size: int
) -> StoredResult:
    if answer.status in BODILESS:
        return StoredResult(answer.status, headers)
    body = answer.body if kept else b""
    return StoredResult(answer.status, headers, body, kept, size)


def _failed(
    status: int, policy: Policy, steering: Steering, *, behind_proxy: bool
) -> Ending | None:
    if policy.guarantee is Guarantee.EXACTLY_ONCE and status >= _CLIENT_ERROR:
        return Free(f"status-{status}")
    if status < SERVER_ERROR:
        return None
    if policy.guarantee.runs_again:
        return Free(f"status-{status}")
    if policy.reconcile is not None or (behind_proxy and status in _BROKEN_UPSTREAM):
        return Unclear(f"status-{status}", steering.reference)
    return None


def _unclear(policy: Policy, reason: str, reference: str | None = None) -> Ending:
    if policy.guarantee.runs_again:
        return Free(reason)
    return Unclear(reason, reference)


def raised(
    policy: Policy,
    error: BaseException | None = None,
    *,
    docs_url: str | None = None,
) -> Ending:
    """Say what it means that the handler raised *error* before it answered.

    Where nothing runs again and nobody can ask, our own 500 problem is the outcome,
    so that first answer and replay agree.
    """
    if isinstance(error, SafeToRetry):
        return Free("safe-to-retry")
    if policy.guarantee.runs_again:
        return Free("raised")
    if policy.reconcile is not None:
        return Unclear("raised")
    problem = response(catalogue.handler_failed(), docs_url=docs_url)
    headers = kept_headers(problem.headers, policy)
    return Keep(
        StoredResult(problem.status, headers, problem.body, size=len(problem.body))
    )


def cut_off(policy: Policy) -> Ending:
    """Say what it means that an answer broke off before its end."""
    return _unclear(policy, "cut-off")
