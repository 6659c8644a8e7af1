# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The store verbs of the request path: one script, one round trip each.

The rules are those of keyonce.core.transitions in Lua, on the server's clock. A
*now* is sent in its place only by tests.
"""

from __future__ import annotations

from hashlib import sha1
from typing import TYPE_CHECKING, Final

from keyonce.core import transitions
from keyonce.core.codec import encode
from keyonce.core.errors import RecordUnreadable, StoreError
from keyonce.core.model import no_fields
from keyonce.stores.redis.rows import (
    audit_text,
    begun,
    claimed_of,
    clock_of,
    completed_of,
    fingerprint_bytes,
    instants,
    record_of,
    terms_of,
)
from keyonce.stores.redis.words import ScriptCall
from keyonce.stores.shell import audit_of

if TYPE_CHECKING:
    from keyonce.core.model import (
        Claim,
        Claimed,
        Completion,
        Identity,
        Record,
        Settlement,
    )
    from keyonce.stores.redis.keys import Names
    from keyonce.stores.redis.rows import Told
    from keyonce.stores.redis.words import Procedure

# Redis serves one command at a time: what is larger makes everybody wait.
LARGEST_RESULT: Final = 64 * 1024 * 1024
_ROOM: Final = 1024 * 1024  # for the headers beside a body of the largest size
_ONLY_THE_CLOCK: Final = 8
_JUST_NOW: Final = 4


def claim(
    names: Names, command: Claim, now: float | None, *, met: bool
) -> Procedure[Claimed]:
    """Give the key to the claimant if it is free.

    The field map is made only where it will be written. A key that was *met* is
    probably a retry, so it is asked for without one; if it is free after all, a
    second trip brings the map.
    """
    key, identity, owner, fingerprint = (
        (names.record(command.identity),),
        command.identity,
        command.owner,
        fingerprint_bytes(command.fingerprint),
    )
    args = (owner, fingerprint, terms_of(command, now))
    if met and command.field_map is not no_fields:
        told = yield ScriptCall("claim", key, args)
        if len(told[0]) > _ONLY_THE_CLOCK:
            return claimed_of(identity, told)
    fields = command.field_map(command.fingerprint.digest)
    told = yield ScriptCall("claim", key, (*args, fields))
    if len(told) == 1:
        return begun(command, told, fields)
    return claimed_of(identity, told)


def complete(
    names: Names, command: Completion, now: float | None
) -> Procedure[Record | None]:
    """Store the outcome if the owner still holds the key."""
    identity = command.identity
    outcome = _bounded(encode(command.result))
    terms = instants(command.retention_for, command.late_for, now)
    args: tuple[bytes, ...] = (command.owner, outcome, terms)
    if command.reference:
        args = (*args, command.reference.encode())
    told = yield ScriptCall("complete", (names.record(identity),), args)
    if told is None:
        return None
    if len(told) == _JUST_NOW:
        return completed_of(identity, told, command.result)
    return record_of(identity, told)


def _bounded(outcome: bytes) -> bytes:
    if len(outcome) > LARGEST_RESULT + _ROOM:
        raise StoreError(
            f"An outcome of {len(outcome)} bytes is too large for Redis: it keeps up "
            f"to {LARGEST_RESULT}. Lower max_response, or keep it elsewhere."
        )
    return outcome


def release(
    names: Names,
    identity: Identity,
    owner: bytes,
    reason: str,
    retention_for: float | None,
    now: float | None,
) -> Procedure[bool]:
    """Free the owner's key."""
    args = (owner, reason.encode(), instants(retention_for, now))
    told = yield ScriptCall("release", (names.record(identity),), args)
    return bool(told)


def abandon(
    names: Names, identity: Identity, owner: bytes, reason: str, now: float | None
) -> Procedure[bool]:
    """Make the owner's record unknown."""
    args = (owner, reason.encode(), instants(now))
    told = yield ScriptCall("abandon", (names.record(identity),), args)
    return bool(told)


def renew(
    names: Names, identity: Identity, owner: bytes, now: float | None
) -> Procedure[Record | None]:
    """Prolong the owner's lease."""
    args = (owner, instants(now))
    told = yield ScriptCall("renew", (names.record(identity),), args)
    return None if told is None else record_of(identity, told)


def find(
    names: Names, identity: Identity, now: float | None
) -> Procedure[Claimed | None]:
    """Read one record with its result, seen through retention."""
    told = yield ScriptCall("find", (names.record(identity),), (instants(now),))
    return None if told is None else claimed_of(identity, told)


def settle(names: Names, command: Settlement, now: float | None) -> Procedure[Record]:
    """Carry out an operator's decision and leave an audit row, in one script.

    An outcome that is torn shows only here: it is settled by its digest.
    """
    done, told = yield from _settle(names, command, now, torn=b"")
    try:
        record = record_of(command.identity, told) if told else None
    except RecordUnreadable:
        torn = sha1(told[3] or b"", usedforsecurity=False).hexdigest().encode()
        done, told = yield from _settle(names, command, now, torn=torn)
        record = record_of(command.identity, told) if told else None
    if done and record is not None:
        return record
    # The script has refused; the rule says in words why.
    seen_at = clock_of(told) if told else 0.0
    return transitions.settle(record, command, seen_at).record


def _settle(
    names: Names, command: Settlement, now: float | None, *, torn: bytes
) -> Procedure[tuple[bool, Told]]:
    identity, result = command.identity, command.result
    keys = (names.record(identity), names.audit(identity))
    terms = instants(command.retention_for, now) + b"%c" % (result is not None)
    outcome = b"" if result is None else _bounded(encode(result))
    text = audit_text(command, audit_of(command, None, 0.0).action)
    answer = yield ScriptCall("settle", keys, (terms, outcome, text, torn))
    return bool(answer[0]), answer[1:]
