# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Answers that are built anew each time, from the reference that was committed."""

from __future__ import annotations

import asyncio
import inspect
import logging
from typing import TYPE_CHECKING, Any, Final

from keyonce.core.errors import ConfigurationError
from keyonce.engine.outcomes import is_by_reference, rebuilt

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyonce.core.model import Record
    from keyonce.http.operation import Rule

log: Final = logging.getLogger("keyonce")


class NotBuilt(Exception):
    """The author's function did not build the answer."""


def _builder(record: Record, rule: Rule) -> Callable[[str], Any] | None:
    """Give the function that builds the answer of *record*, where one has to.

    An outcome whose rule has no such function any more is one that was not kept.
    """
    return rule.rebuild if is_by_reference(record.result) else None


def with_answer(record: Record, rule: Rule) -> Record:
    """Give *record* with its whole answer.

    Raises:
        NotBuilt: it has to be built, and that failed; the reason is in the log.
    """
    build = _builder(record, rule)
    if build is None:
        return record
    try:
        return _filled(record, build(record.reference or ""))
    except Exception as error:
        log.exception("The answer under %r could not be built.", rule.match)
        raise NotBuilt(rule.match) from error


async def async_with_answer(record: Record, rule: Rule) -> Record:
    """Give the same on an event loop; a plain function is called in a thread."""
    build = _builder(record, rule)
    if build is None:
        return record
    reference = record.reference or ""
    try:
        if inspect.iscoroutinefunction(build):
            value = await build(reference)
        else:
            value = await asyncio.to_thread(build, reference)
            value = await value if inspect.isawaitable(value) else value
        return _filled(record, value)
    except Exception as error:
        log.exception("The answer under %r could not be built.", rule.match)
        raise NotBuilt(rule.match) from error


def _filled(record: Record, value: Any) -> Record:
    assert record.result is not None  # noqa: S101 - it is by reference
    return record._replace(result=rebuilt(record.result, value))


def check_threads(rule: Rule) -> None:
    """Refuse what threads cannot call.

    Raises:
        ConfigurationError: rebuild is a coroutine function.
    """
    if inspect.iscoroutinefunction(rule.rebuild):
        raise ConfigurationError(
            f"Rule {rule.match!r}: rebuild is a coroutine function, and this gateway "
            "runs in threads. Give it a plain function."
        )
