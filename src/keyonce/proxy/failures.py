# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What an upstream's failure means for the key, the caller and the operator."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from keyonce.core.ending import Free, Unclear
from keyonce.http import catalogue
from keyonce.integrations.failure import Failure
from keyonce.proxy.connector import (
    UpstreamBroke,
    UpstreamCutOff,
    UpstreamTimedOut,
    UpstreamUnreachable,
)
from keyonce.telemetry.printable import escape

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keyonce.http.problem import Problem

_UNAVAILABLE: Final = 503

logger = logging.getLogger("keyonce")


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
        case UpstreamCutOff():
            return Failure(
                Unclear("stopped"),
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


def log_failure(scope: Mapping[str, Any], failure: Exception) -> None:
    """Tell the operator what went wrong with the request of *scope*."""
    method, path = scope.get("method", "GET"), escape(scope["path"])
    logger.warning("%s %s: %s", method, path, failure)


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
