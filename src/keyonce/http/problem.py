# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Problems (RFC 9457): what a refused caller reads, and the response it is in."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from keyonce.http.messages import Response

if TYPE_CHECKING:
    from collections.abc import Mapping

MEDIA_TYPE: Final = b"application/problem+json"
NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Problem:
    """One refusal, for people (*title*, *detail*) and programs (*code*).

    *retryable* says whether the same request may succeed later; *retry_after* is
    in seconds. *extra* are further members of the JSON object. Nothing in a problem
    is taken from the key or a body; of a record, only what http-rules lets out.
    """

    status: int
    code: str
    title: str
    detail: str
    retryable: bool
    retry_after: float | None = None
    extra: Mapping[str, Any] = field(default_factory=lambda: NOTHING)
    location: str | None = None

    @property
    def type(self) -> str:
        """The problem type: a stable name, which leads nowhere.

        A URN, as it must outlive any host; documentation is linked beside it.
        """
        return f"urn:keyonce:problem:{self.code}"


def response(
    problem: Problem, *, docs_url: str | None = None, spread: float = 0.0
) -> Response:
    """Write *problem* as a response; only ``Retry-After`` is not always the same.

    *spread*, from 0 to below 1, says how late within half of the time more this
    caller is to come back, so that those who were told together do not come together.
    """
    body = json.dumps(_members(problem)).encode("ascii")
    headers = [
        (b"content-type", MEDIA_TYPE),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
    ]
    if problem.retry_after is not None:
        seconds = spread_out(problem.retry_after, spread)
        headers.append((b"retry-after", b"%d" % seconds))
    if problem.location is not None:
        headers.append((b"location", problem.location.encode("ascii")))
    if docs_url is not None:
        headers.append((b"link", b'<%b>; rel="describedby"' % docs_url.encode()))
    return Response(problem.status, tuple(headers), body)


def whole_seconds(span: float) -> int:
    """Round *span* up to whole seconds, at least one."""
    return max(1, math.ceil(span))


def spread_out(span: float, spread: float) -> int:
    """Give *span* in whole seconds, later by up to half, rounded up."""
    seconds = whole_seconds(span)
    return seconds + int(spread * (math.ceil(seconds / 2) + 1))


def _members(problem: Problem) -> dict[str, Any]:
    return {
        "type": problem.type,
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        "code": problem.code,
        "retryable": problem.retryable,
        **problem.extra,
    }
