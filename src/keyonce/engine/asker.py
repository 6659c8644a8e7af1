# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Has reconcile hooks asked, for threads.

Each asking has a thread of its own, as nobody can bound the time of a hook: whoever
needs the answer waits a while and goes without it. What comes late is carried out all
the same, if the key still stands as it stood.
"""

from __future__ import annotations

import inspect
import logging
import threading
from typing import TYPE_CHECKING, Any, Final

from keyonce.core.errors import ConfigurationError
from keyonce.core.events import Reconciled
from keyonce.core.flow import run
from keyonce.engine import reconcile as r
from keyonce.engine.askings import Askings

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyonce.core.events import Observer
    from keyonce.core.model import Identity
    from keyonce.core.policy import Policy
    from keyonce.core.protocols import Store
    from keyonce.engine.commands import OperatorCommand

    PolicyOf = Callable[[Identity], Policy | None]

log: Final = logging.getLogger("keyonce")


class Asking:
    """One asking about one key."""

    def __init__(self) -> None:
        """Begin."""
        self.over = threading.Event()
        self.decided = False


class Asker:
    """Asks hooks about keys of unknown outcome, one at a time for each key."""

    def __init__(
        self,
        store: Store,
        observer: Observer,
        clock: Callable[[], float],
        works_here: Callable[[bytes], bool],
    ) -> None:
        """Settle in *store*; *works_here* says whether an owner is still at work."""
        self._store = store
        self._observer = observer
        self._clock = clock
        self._works_here = works_here
        self._askings: Askings[Asking] = Askings()
        self._known: list[PolicyOf] = []

    def knows(self, policy_of: PolicyOf) -> None:
        """Let the background find the hooks of operations that *policy_of* knows."""
        self._known.append(policy_of)

    def policy_of(self, identity: Identity) -> Policy | None:
        """Give the policy with the hook for *identity*, if there is one."""
        for policy_of in self._known:
            policy = policy_of(identity)
            if policy is not None and policy.reconcile is not None:
                return policy
        return None

    def again_in(self, identity: Identity) -> float:
        """In how many seconds the hook is asked about *identity* at the earliest."""
        return self._askings.again_in(identity, self._clock())

    def ask(self, identity: Identity, policy: Policy) -> bool:
        """Have the hook asked about *identity*, and wait for the policy's timeout.

        Says whether the key may stand otherwise now. Where it is being asked about
        already, waits for that; where it is not due, does nothing.
        """
        joined = self._askings.join(identity, self._clock(), Asking)
        if joined is None:
            return False
        asking, mine = joined
        if mine:
            self._start(asking, identity, policy)
        asking.over.wait(policy.reconcile_timeout.total_seconds())
        return asking.decided

    def stuck(
        self, after: Identity | None, most: int
    ) -> tuple[list[Identity], Identity | None]:
        """List keys that are due to be asked about; see ``reconcile.stuck``."""
        return run(r.stuck(self._is_due, after, most), self._perform)

    def close(self) -> None:
        """Begin nothing more. A hook at work cannot be stopped, and does no harm."""

    def _is_due(self, identity: Identity) -> bool:
        return self.again_in(identity) <= 0 and self.policy_of(identity) is not None

    def _start(self, asking: Asking, identity: Identity, policy: Policy) -> None:
        thread = threading.Thread(
            target=self._carry_out,
            args=(asking, identity, policy),
            name="keyonce-reconcile",
            daemon=True,
        )
        try:
            thread.start()
        except BaseException:
            self._over(asking, identity, decided=False)
            raise

    def _carry_out(self, asking: Asking, identity: Identity, policy: Policy) -> None:
        word = r.FAILED
        try:
            word = self._asked(identity, policy)
        except Exception:
            if self._askings.to_be_told(identity, self._clock()):
                log.exception("%s", failure_of(identity))
        finally:
            self._observer.notify(Reconciled(identity, word))
            self._over(asking, identity, decided=word in r.DECIDED)

    def _asked(self, identity: Identity, policy: Policy) -> str:
        work = run(r.look(identity, self._works_here), self._perform)
        if isinstance(work, str) or policy.reconcile is None:
            return work if isinstance(work, str) else r.STILL
        answer: Any = policy.reconcile(work)
        return run(r.carry_out(work, answer, policy), self._perform)

    def _over(self, asking: Asking, identity: Identity, *, decided: bool) -> None:
        asking.decided = decided
        self._askings.over(identity, self._clock(), decided=decided)
        asking.over.set()

    def _perform(self, command: OperatorCommand) -> Any:
        return command.on(self._store)


def failure_of(identity: Identity) -> str:
    """Say that a hook failed, without its key: that is in the event."""
    return (
        f"The reconcile hook of {identity.operation!r} failed; its key stays unknown "
        "and is asked about again."
    )


def check_hook(policy: Policy, operation: str) -> None:
    """Refuse a hook that threads cannot ask.

    Raises:
        ConfigurationError: it is a coroutine function.
    """
    if inspect.iscoroutinefunction(policy.reconcile):
        raise ConfigurationError(
            f"{operation!r}: reconcile is a coroutine function, and this guard runs in "
            "threads. Give it a plain function, or use the guard for event loops."
        )
