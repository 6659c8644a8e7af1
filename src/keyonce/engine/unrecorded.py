# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Work that nobody guards, in the hands of a handler that is written to be guarded.

Its transaction begins and commits as under a guard, and its outcome is given in the
same words; only nothing is recorded of it. So one handler serves every stage.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from keyonce.core.guarantee import Guarantee
from keyonce.core.model import Fingerprint, Identity, Lease, Record
from keyonce.core.states import Status
from keyonce.engine.aio_transacting import AsyncDesk
from keyonce.engine.aio_work import AsyncWork
from keyonce.engine.current import entered
from keyonce.engine.steps import StepBook
from keyonce.engine.tokens import fresh_token
from keyonce.engine.transacting import Desk
from keyonce.engine.work import Work

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from keyonce.core.model import Completion, Note
    from keyonce.core.policy import Policy
    from keyonce.engine.commands import Command
    from keyonce.engine.current import Place
    from keyonce.engine.outcomes import Keeps

NOBODY: Final = ""
_REQUEST: Final = Fingerprint("none", b"")


def unrecorded_work(
    store: Any, operation: str, policy: Policy, keep: Keeps
) -> tuple[Work, Place]:
    """Give the handle of unguarded work, and the place of the code that does it.

    Its transaction is as *store* takes it.
    """
    lease = _lease(operation, policy)
    desk = Desk(_Beside(store), policy, keep, _nothing, _no_end)
    work = Work(lease, StepBook(lease, _REQUEST), _unwritten, desk)
    return work, entered(lease, work)


def unrecorded_async_work(
    store: Any, operation: str, policy: Policy, keep: Keeps
) -> tuple[AsyncWork, Place]:
    """Give the same for event loops."""
    lease = _lease(operation, policy)
    desk = AsyncDesk(_AsyncBeside(store), policy, keep, _async_nothing, _no_end)
    work = AsyncWork(lease, StepBook(lease, _REQUEST), _async_unwritten, desk)
    return work, entered(lease, work)


def _lease(operation: str, policy: Policy) -> Lease:
    """Give what stands for a lease; its downstream keys are like no other's."""
    owner = fresh_token()
    identity = Identity(NOBODY, operation, owner.hex())
    return Lease(identity, owner, policy.guarantee, 1, 0.0, policy.terms.lease_for)


class _Transactions:
    """The transactions of a store, and no record in them."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.traits = store.traits

    def transaction(self, connection: Any) -> Any:
        return self._store.transaction(connection)

    def joined(self, _connection: Any) -> Any:
        return self


class _Beside(_Transactions):
    """Transactions for threads."""

    def complete(self, command: Completion) -> Record:
        return _as_if_recorded(command)


class _AsyncBeside(_Transactions):
    """Transactions for event loops."""

    def blocking(self) -> _Beside:
        return _Beside(self._store.blocking())

    async def complete(self, command: Completion) -> Record:
        return _as_if_recorded(command)


def _as_if_recorded(command: Completion) -> Record:
    return Record(
        identity=command.identity,
        status=Status.COMPLETED,
        guarantee=Guarantee.EXACTLY_ONCE,
        owner=command.owner,
        executions=1,
        created_at=0.0,
        claimed_at=0.0,
        lease_for=0.0,
        result=command.result,
        reference=command.reference,
    )


def _nothing(_flow: Callable[[float], Generator[Command, Any, Any]]) -> None:
    """Look nothing up: there is no record."""


async def _async_nothing(
    _flow: Callable[[float], Generator[Command, Any, Any]],
) -> None:
    """Look nothing up: there is no record."""


def _unwritten(_note: Note) -> None:
    """Write nothing down."""


async def _async_unwritten(_note: Note) -> None:
    """Write nothing down."""


def _no_end() -> None:
    """Expect no record to be closed."""
