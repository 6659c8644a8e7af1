# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What an upstream's failure means for the key, in the words of the gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from keyonce.core.ending import Free, Unclear
from keyonce.http import catalogue
from keyonce.http.problem import Problem
from keyonce.integrations.failure import Failure
from keyonce.proxy.connector import UpstreamBroke, UpstreamTimedOut, UpstreamUnreachable

if TYPE_CHECKING:
    from keyonce.core.errors import IdempotencyError

_UNAVAILABLE: Final = 503


class AuthorizerUnavailable(Exception):
    """Nobody answered whether this caller may have the stored answer."""

    status = _UNAVAILABLE


def read_failure(error: BaseException) -> Failure | None:
    """Say what *error* means, if it is one of the upstream's."""
    match error:
        case UpstreamUnreachable():
            problem = catalogue.upstream_unreachable()
            return Failure(Free("upstream-unreachable"), error.status, problem)
        case UpstreamTimedOut():
            return Failure(Unclear("upstream-timed-out"), error.status, broke(error))
        case UpstreamBroke():
            return Failure(Unclear("upstream-broke"), error.status, broke(error))
        case _:
            return None


def problem_of(
    error: UpstreamUnreachable | UpstreamBroke | AuthorizerUnavailable,
) -> Problem:
    """Give the answer to an unguarded caller, or to a retry that was not let in."""
    match error:
        case UpstreamUnreachable():
            return catalogue.upstream_unreachable()
        case AuthorizerUnavailable():
            return Problem(
                _UNAVAILABLE,
                "authorization-unavailable",
                "It cannot be asked whether you may have the stored answer",
                "The request was executed before. Whether this caller may have its "
                "answer could not be asked. Repeat it with the same key.",
                retryable=True,
                retry_after=catalogue.STORE_BACK_IN,
            )
        case UpstreamBroke():
            return broke(error)


def broke(error: IdempotencyError) -> Problem:
    """Say that the request was sent and what came of it is not known.

    Where the key is freed, this is what the first caller hears; a retry runs again.
    """
    status = getattr(error, "status", 502)
    return Problem(
        status,
        "upstream-failed",
        "The service did not answer" if status != 502 else "The service broke off",  # noqa: PLR2004 - Bad Gateway
        "The request was sent to the service behind this one, which gave no answer. "
        "Nobody can say whether it was carried out.",
        retryable=False,
    )
