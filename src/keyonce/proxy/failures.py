# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What an upstream's failure means for the key, in the words of the gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from keyonce.core.ending import Free, Unclear
from keyonce.http import catalogue
from keyonce.integrations.failure import Failure
from keyonce.proxy.connector import UpstreamBroke, UpstreamTimedOut, UpstreamUnreachable

if TYPE_CHECKING:
    from keyonce.http.problem import Problem

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
            return Failure(
                Unclear("upstream-timed-out"),
                error.status,
                catalogue.upstream_failed(error.status),
            )
        case UpstreamBroke():
            return Failure(
                Unclear("upstream-broke"),
                error.status,
                catalogue.upstream_failed(error.status),
            )
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
            return catalogue.authorization_unavailable()
        case UpstreamBroke():
            return catalogue.upstream_failed(error.status)
