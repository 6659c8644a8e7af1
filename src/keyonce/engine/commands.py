# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What a flow may ask its driver for.

Nobody changes a command. They are not frozen: some are made for every request.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

if TYPE_CHECKING:
    from keyonce.core.model import (
        Claim,
        Claimed,
        Completion,
        Identity,
        Lease,
        Note,
        Query,
        Settlement,
    )
    from keyonce.core.protocols import AsyncStore, Store
    from keyonce.engine.flight import Seat

NEVER_BEGUN_FOR: Final = 3600.0


@dataclass(slots=True)
class NewToken:
    """Answer: an owner token that never repeats (bytes)."""


@dataclass(slots=True)
class Now:
    """Answer: seconds on a clock that only goes forward (float)."""


@dataclass(slots=True)
class Sleep:
    """Wait about *seconds*, with jitter. Answer: None."""

    seconds: float


@dataclass(slots=True)
class AwaitNews:
    """Wait on *seat* for news newer than *seen*, at most *seconds*.

    Answer: False when too many wait already, else True (bool).
    """

    seat: Seat
    seen: int
    seconds: float


@dataclass(slots=True)
class Waits:
    """Say that *seat* begins to wait for the end of another's work. Answer: None."""

    seat: Seat


@dataclass(slots=True)
class Hearken:
    """Listen for the end of the work, in whatever process, as long as *seat* waits.

    Answer: whether the news would be heard now; None when too many wait already
    (bool | None).
    """

    seat: Seat


@dataclass(slots=True)
class AwaitEnd:
    """Wait for what *seat* hearkens to, at most *seconds*, or *about* that.

    Answer: None.
    """

    seat: Seat
    seconds: float
    about: bool


@dataclass(slots=True)
class Tell:
    """Give the other seats the news that the store just gave. Answer: None."""

    seat: Seat
    news: Claimed


@dataclass(slots=True)
class Hear:
    """Answer: the leader's latest news as of now, or None (Claimed | None)."""

    seat: Seat


@dataclass(slots=True)
class ClaimKey:
    """Answer: the store's Claimed."""

    claim: Claim
    verb: ClassVar = "claim"

    def on(self, store: Store | AsyncStore) -> Any:
        """Call the store: its answer, or an awaitable of it."""
        return store.claim(self.claim)


@dataclass(slots=True)
class ClaimKeys:
    """Answer: for each claim a Claimed, or the RecordUnreadable in its way (list).

    Only for a store that can claim many at once.
    """

    claims: tuple[Claim, ...]
    verb: ClassVar = "claim_many"

    def on(self, store: Any) -> Any:
        """Call the store: its answer, or an awaitable of it."""
        return store.claim_many(self.claims)


@dataclass(slots=True)
class CompleteKey:
    """Answer: the record as it now is, or None (Record | None)."""

    completion: Completion
    verb: ClassVar = "complete"

    def on(self, store: Store | AsyncStore) -> Any:
        """Call the store: its answer, or an awaitable of it."""
        return store.complete(self.completion)


@dataclass(slots=True)
class ReleaseKey:
    """Answer: whether the owner still held the key (bool)."""

    identity: Identity
    owner: bytes
    reason: str
    retention_for: float | None
    verb: ClassVar = "release"

    @classmethod
    def never_begun(cls, under: Claim | Lease) -> ReleaseKey:
        """Free a key that nothing has run under; its release is always safe."""
        return cls(under.identity, under.owner, "never-begun", NEVER_BEGUN_FOR)

    def on(self, store: Store | AsyncStore) -> Any:
        """Call the store: its answer, or an awaitable of it."""
        return store.release(self.identity, self.owner, self.reason, self.retention_for)


@dataclass(slots=True)
class AbandonKey:
    """Answer: whether the owner still held the key (bool)."""

    identity: Identity
    owner: bytes
    reason: str
    verb: ClassVar = "abandon"

    def on(self, store: Store | AsyncStore) -> Any:
        """Call the store: its answer, or an awaitable of it."""
        return store.abandon(self.identity, self.owner, self.reason)


@dataclass(slots=True)
class NoteKey:
    """Answer: whether the owner still holds the key (bool)."""

    note: Note
    verb: ClassVar = "note"

    def on(self, store: Store | AsyncStore) -> Any:
        """Call the store: its answer, or an awaitable of it."""
        return store.note(self.note)


@dataclass(slots=True)
class FindKey:
    """Answer: the store's Claimed, or None."""

    identity: Identity
    verb: ClassVar = "find"

    def on(self, store: Store | AsyncStore) -> Any:
        """Call the store: its answer, or an awaitable of it."""
        return store.find(self.identity)


@dataclass(slots=True)
class SettleKey:
    """Answer: the record as it now is (Record)."""

    settlement: Settlement
    verb: ClassVar = "settle"

    def on(self, store: Store | AsyncStore) -> Any:
        """Call the store: its answer, or an awaitable of it."""
        return store.settle(self.settlement)


@dataclass(slots=True)
class ListKeys:
    """Answer: records without their results (Sequence[Record])."""

    query: Query
    verb: ClassVar = "records"

    def on(self, store: Store | AsyncStore) -> Any:
        """Call the store: its answer, or an awaitable of it."""
        return store.records(self.query)


@dataclass(slots=True)
class AnnounceEnd:
    """Answer: whether the end of the work will be announced (bool)."""

    identity: Identity
    verb: ClassVar = "announce"

    def on(self, store: Any) -> Any:
        """Call the store, one that announces: its answer, or an awaitable of it."""
        return store.announce(self.identity)


@dataclass(slots=True)
class LetGo:
    """Free, behind the scenes, a key that may have been claimed in vain.

    Nobody knows whether the claim arrived, and nothing has run under it, so that
    its release is always safe. Answer: None.
    """

    claim: Claim

    def release(self) -> ReleaseKey:
        """Give the command that frees the key, if the claim did arrive."""
        return ReleaseKey.never_begun(self.claim)


StoreCommand = (
    ClaimKey
    | ClaimKeys
    | CompleteKey
    | ReleaseKey
    | AbandonKey
    | NoteKey
    | FindKey
    | SettleKey
    | AnnounceEnd
)
OperatorCommand = FindKey | SettleKey | ListKeys
LateCommand = CompleteKey | ReleaseKey | AbandonKey
Command = (
    NewToken
    | Now
    | Sleep
    | AwaitNews
    | Waits
    | Hearken
    | AwaitEnd
    | Tell
    | Hear
    | LetGo
    | StoreCommand
)
