# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A reconcile hook that speaks of values, as one that speaks of stored results."""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from keyonce.core.reconcile import CompletedWith

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyonce.core.model import StoredResult
    from keyonce.core.policy import Policy
    from keyonce.core.reconcile import UnknownWork


def encoding(policy: Policy, encode: Callable[[Any], StoredResult]) -> Policy:
    """Give *policy* with a hook whose results are made by *encode*."""
    hook: Any = policy.reconcile
    if hook is None:
        return policy

    def encoded(answer: Any) -> Any:
        if isinstance(answer, CompletedWith):
            return CompletedWith(encode(answer.result))
        return answer

    async def asked(work: UnknownWork) -> Any:
        return encoded(await hook(work))

    def told(work: UnknownWork) -> Any:
        answer = hook(work)
        return later(answer) if inspect.isawaitable(answer) else encoded(answer)

    async def later(answer: Any) -> Any:
        return encoded(await answer)

    is_async = inspect.iscoroutinefunction(hook)
    return replace(policy, reconcile=asked if is_async else told)
