# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Whether the server behind a store is set as the promises need it, before work.

A store that does not answer is no reason against it: whoever asks next looks again.
What is wrong is refused for as long as it is wrong; what is weaker is said once.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from keyonce.core.errors import ConfigurationError, IdempotencyError, StoreError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keyonce.core.model import Finding, Traits
    from keyonce.core.protocols import AsyncStore, Store

log: Final = logging.getLogger("keyonce")


def refuse_errors(findings: Sequence[Finding]) -> None:
    """Refuse a store with a setting that breaks its promise.

    Raises:
        ConfigurationError: with a line for each, and its mend.
    """
    errors = [finding for finding in findings if finding.level == "error"]
    if errors:
        raise ConfigurationError("\n".join(f"store: {_line(one)}" for one in errors))


def _line(finding: Finding) -> str:
    return f"{finding.subject}: {finding.detail} {finding.mend}".strip()


class _Looks:
    """What the looks at one store have led to.

    Who waited while another looked takes that one's answer: a store that is down
    must not be waited for by one request after the other.
    """

    def __init__(self, traits: Traits) -> None:
        self._traits = traits
        self.fit = False
        self.failures = 0
        self._failure: IdempotencyError | None = None
        self._said = ""

    def met(self, failures_before: int) -> None:
        """Raise what somebody met who has looked meanwhile."""
        if self._failure is not None and self.failures != failures_before:
            raise type(self._failure)(*self._failure.args)

    def seen(self, findings: Sequence[Finding]) -> None:
        """Judge *findings*.

        Raises:
            ConfigurationError: something in them breaks a promise.
        """
        refuse_errors(findings)
        for finding in findings:
            if finding.level == "warning" and self._traits.durable:
                log.warning("store: %s", _line(finding))
        self.fit = True

    def refused(self, error: ConfigurationError) -> None:
        """Say in the log what is wrong, once for as long as it is the same."""
        said = " ".join(str(error).split())
        if said != self._said:
            self._said = said
            log.error("The store cannot be used, no keyed request is served: %s", said)

    def failed(self, error: IdempotencyError) -> None:
        """Leave what this look met to those who wait."""
        self.failures += 1
        self._failure = error


class Fitness:
    """Looks at a store before the first work of this process."""

    def __init__(self, store: Store) -> None:
        """Look at nothing yet."""
        self._store = store
        self._looks = _Looks(store.traits)
        self._lock = threading.Lock()

    def check(self) -> None:
        """Look, unless it is known to be fit.

        Raises:
            ConfigurationError: a setting breaks a promise; nothing may run.
            StoreError: it does not answer, so that nobody can say.
        """
        looks = self._looks
        if looks.fit:
            return
        before = looks.failures
        with self._lock:
            if looks.fit:
                return
            looks.met(before)
            try:
                looks.seen(self._store.examine())
            except IdempotencyError as error:
                looks.failed(error)
                raise

    def refused(self, error: ConfigurationError) -> None:
        """Say in the log that no work may run, once for as long as nothing changes."""
        self._looks.refused(error)


class AsyncFitness:
    """Fitness for event loops."""

    def __init__(self, store: AsyncStore) -> None:
        """Look at nothing yet."""
        self._store = store
        self._looks = _Looks(store.traits)
        self._locks: WeakKeyDictionary[Any, asyncio.Lock] = WeakKeyDictionary()

    async def check(self) -> None:
        """Look, unless it is known to be fit.

        Raises:
            ConfigurationError: a setting breaks a promise; nothing may run.
            StoreError: it does not answer, so that nobody can say.
        """
        looks = self._looks
        if looks.fit:
            return
        before = looks.failures
        loop = asyncio.get_running_loop()
        async with self._locks.setdefault(loop, asyncio.Lock()):
            if looks.fit:
                return
            looks.met(before)
            try:
                looks.seen(await self._store.examine())
            except IdempotencyError as error:
                looks.failed(error)
                raise

    def refused(self, error: ConfigurationError) -> None:
        """Say in the log that no work may run, once for as long as nothing changes."""
        self._looks.refused(error)


async def check_at_start(fitness: AsyncFitness) -> None:
    """Look before any request; where nobody answers, the first one looks again.

    Raises:
        ConfigurationError: a setting breaks a promise; nothing may run.
    """
    try:
        await fitness.check()
    except StoreError as error:
        log.warning("The store was not looked at, and will be later: %s", error)
