# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Which answers may be committed together with the work that they tell of."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from keyonce.core.ending import Keep
from keyonce.core.errors import ResultNotEncodable
from keyonce.http.ending import ending, passes_through
from keyonce.http.messages import Response
from keyonce.http.steer import Steered, read_steering

if TYPE_CHECKING:
    from keyonce.core.ending import Ending
    from keyonce.core.model import StoredResult
    from keyonce.core.policy import Policy
    from keyonce.http.messages import Headers


def committed(result: StoredResult, policy: Policy, bound: int) -> Keep:
    """Give the ending of work whose author said that *result* is its answer.

    That may be an error as well: it was said in so many words. An answer without a
    body is built later. *bound* is the most bytes of a body that are kept.

    Raises:
        ResultNotEncodable: no retry could get this answer.
    """
    steering = replace(read_steering(result.headers), outcome=Steered.STORE)
    answer = Response(result.status, result.headers, result.body)
    end = ending(answer, policy, steering=steering, store_bound=bound)
    if not isinstance(end, Keep):
        check_head(result.status, result.headers)
        raise never_kept(result.status)
    if not end.result.kept:
        raise too_large(bound)
    return end


def meant(answer: Response, policy: Policy, bound: int) -> Ending:
    """Say whether a handler's own *answer* is to be committed: Keep, or Free."""
    steering = read_steering(answer.headers)
    return ending(answer, policy, steering=steering, store_bound=bound)


def check_head(status: int, headers: Headers) -> None:
    """Refuse an answer that has no end, which nothing could be committed with.

    Raises:
        ResultNotEncodable: it is an event stream, or switches protocols.
    """
    if passes_through(status, headers):
        raise ResultNotEncodable(
            "Under exactly-once nothing of an answer leaves before the commit: an "
            "event stream and an upgrade cannot be held back. Give them another rule."
        )


def never_kept(status: int) -> ResultNotEncodable:
    """Say that no retry may get an answer of *status*."""
    return ResultNotEncodable(
        f"An answer of status {status} is never kept, so it cannot be the outcome that "
        "every retry gets. Complete with another, or raise: all is rolled back then."
    )


def too_large(bound: int) -> ResultNotEncodable:
    """Say that an answer is over *bound*, in bytes."""
    return ResultNotEncodable(
        f"The answer is over the {bound} bytes that are kept of one, and under "
        "exactly-once every retry gets it whole. Answer with less, raise max_response, "
        "or complete by reference. Nothing is committed."
    )
