# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What some stores can do beside the verbs, kept where the store beneath can.

Nobody asks a store for its class: whoever wants more than the verbs looks whether
it is there. So a sealed store has an ability exactly when the store beneath has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from keyonce.core.errors import StoreError
    from keyonce.core.model import Claim, Claimed, Completion, Identity, Record
    from keyonce.stores.sealed.sealing import Sealing

    ClaimMany = Callable[[Sequence[Claim]], Sequence[Claimed | StoreError]]
    AsyncClaimMany = Callable[
        [Sequence[Claim]], Awaitable[Sequence[Claimed | StoreError]]
    ]

J = TypeVar("J")

# No outcome goes through these.
PASSED_ON: Final = frozenset(
    {
        "announce",
        "counts",
        "folder",
        "observed_by",
        "only_look",
        "transaction",
        "watch",
    }
)


def ability(store: Any, name: str) -> Any:
    """Give the ability *name* of *store*, if it needs no sealing.

    Raises:
        AttributeError: it is none of these, or *store* has it not.
    """
    if name not in PASSED_ON:
        raise AttributeError(name)
    return getattr(store, name)


def glancing(
    glance: Callable[[Identity], Claimed | None], sealing: Sealing
) -> Callable[[Identity], Claimed | None]:
    """Open what *glance* finds."""

    def opened(identity: Identity) -> Claimed | None:
        return sealing.found(glance(identity))

    return opened


def batching(store: Any, sealing: Sealing) -> ClaimMany | None:
    """Give a *claim_many* that opens what it gives, where *store* has one."""
    claim_many = getattr(store, "claim_many", None)
    if claim_many is None:
        return None

    def opened(commands: Sequence[Claim]) -> list[Claimed | StoreError]:
        return [sealing.claimed_or_not(each) for each in claim_many(commands)]

    return opened


def async_batching(store: Any, sealing: Sealing) -> AsyncClaimMany | None:
    """Batching for event loops."""
    claim_many = getattr(store, "claim_many", None)
    if claim_many is None:
        return None

    async def opened(commands: Sequence[Claim]) -> list[Claimed | StoreError]:
        return [sealing.claimed_or_not(each) for each in await claim_many(commands)]

    return opened


class SealedJoined:
    """The verbs inside a caller's transaction, with sealed outcomes."""

    def __init__(self, store: Any, joined: Any, sealing: Sealing) -> None:
        """Seal what goes through *joined*, a hand of *store*."""
        self._store = store
        self._joined = joined
        self._sealing = sealing

    def claim(self, command: Claim, *, lock_timeout: float) -> Claimed | None:
        return self._sealing.found(
            self._joined.claim(command, lock_timeout=lock_timeout)
        )

    def complete(self, command: Completion) -> Record | None:
        sealed, kept = self._sealing.completion(command, self._store.traits)
        record = self._joined.complete(sealed)
        return self._sealing.completed(record, sealed, kept)


class AsyncSealedJoined:
    """SealedJoined for event loops."""

    def __init__(self, store: Any, joined: Any, sealing: Sealing) -> None:
        """Seal what goes through *joined*, a hand of *store*."""
        self._store = store
        self._joined = joined
        self._sealing = sealing

    async def claim(self, command: Claim, *, lock_timeout: float) -> Claimed | None:
        return self._sealing.found(
            await self._joined.claim(command, lock_timeout=lock_timeout)
        )

    async def complete(self, command: Completion) -> Record | None:
        sealed, kept = self._sealing.completion(command, self._store.traits)
        record = await self._joined.complete(sealed)
        return self._sealing.completed(record, sealed, kept)


def joining(
    store: Any, sealing: Sealing, kind: Callable[[Any, Any, Sealing], J]
) -> Callable[[Any], J] | None:
    """Give a *joined* that seals, where *store* can join a caller's transaction."""
    join = getattr(store, "joined", None)
    if join is None:
        return None

    def joined(connection: Any) -> J:
        return kind(store, join(connection), sealing)

    return joined
