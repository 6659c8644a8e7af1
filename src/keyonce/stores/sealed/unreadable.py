# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What is said of an envelope that is none, or that nobody can open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keyonce.core.errors import RecordUnreadable

if TYPE_CHECKING:
    from keyonce.core.model import Identity


def not_sealed(identity: Identity, what: str) -> RecordUnreadable:
    """Say that it lies in the clear."""
    return RecordUnreadable(
        f"An {what} in scope {identity.scope!r} is not sealed: it is older than the "
        "sealing, was written past it, or is forged. Nothing was run. Where outcomes "
        "from before may still be there, set accept_plain_until "
        "(KEYONCE_SEAL_ACCEPT_PLAIN_UNTIL) to when the last of them expires."
    )


def no_key(identity: Identity, what: str, key_id: str) -> RecordUnreadable:
    """Say that its key is not in the ring."""
    return RecordUnreadable(
        f"An {what} in scope {identity.scope!r} is sealed under the key {key_id!r}, "
        "which is not in the ring. Nothing was run. Put the key back until the last "
        "outcome under it has expired; without it nobody can read this one."
    )


def broken(identity: Identity, what: str, key_id: str) -> RecordUnreadable:
    """Say that its key does not open it."""
    return RecordUnreadable(
        f"A sealed {what} in scope {identity.scope!r} cannot be opened with the key "
        f"{key_id!r}: it is torn, was changed, belongs to another key or scope, or "
        "another key has this id in the ring. Nothing was run. Compare the ring with "
        "that of the other processes; else the row was changed past keyonce."
    )
