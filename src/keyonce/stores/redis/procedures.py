# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The store verbs of the request path: one script, one round trip each.

The rules are those of keyonce.core.transitions in Lua, on the server's clock. A
*now* is sent in its place only by tests.
"""

from __future__ import annotations

from hashlib import sha1
from typing import TYPE_CHECKING, Any, Final

from keyonce.core import transitions
from keyonce.core.codec import encode
from keyonce.core.errors import RecordUnreadable, StoreError
from keyonce.core.model import no_fields
from keyonce.stores.redis.rows import (
    LEFT_BEHIND,
    audit_text,
    begun,
    claimed_of,
    clock_of,
    completed_of,
    fingerprint_bytes,
    instants,
    record_of,
    shut_of,
    terms_of,
)
from keyonce.stores.redis.words import ScriptCall, Together
from keyonce.stores.shell import audit_of, damaged

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keyonce.core.model import (
        Claim,
        Claimed,
        Completion,
        Identity,
        Note,
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
FORGETS: Final = 2
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
    if len(told) in (1, LEFT_BEHIND):
        return begun(command, told, fields)
    return claimed_of(identity, told)


def claim_many(
    names: Names, commands: Sequence[Claim], now: float | None
) -> Procedure[list[Claimed | StoreError]]:
    """Claim each, in one trip: a script for each key, which is for itself."""
    if not commands:
        return []
    claims = [claim(names, command, now, met=False) for command in commands]
    told = yield Together(tuple(_one_call(each) for each in claims))
    return [_its_end(each, one) for each, one in zip(claims, told, strict=True)]


def _one_call(claiming: Procedure[Claimed]) -> ScriptCall:
    call = next(claiming)
    if not isinstance(call, ScriptCall):
        raise TypeError(call)
    return call


def _its_end(claiming: Procedure[Claimed], told: Any) -> Claimed | StoreError:
    """Give the answer to a claim that was not met: it asks but once."""
    if isinstance(told, StoreError):
        return told
    try:
        claiming.send(told)
    except StopIteration as end:
        claimed: Claimed = end.value
        return claimed
    except RecordUnreadable as error:
        return error
    raise AssertionError(told)


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


def note(names: Names, command: Note) -> Procedure[bool]:
    """Write down how far the owner's work got."""
    args: tuple[bytes, ...] = (command.owner, b"%d" % command.number)
    if command.steps is not None:
        args = (*args, b"s", command.steps)
    if command.reference:
        args = (*args, b"r", command.reference.encode())
    held = yield ScriptCall("note", (names.record(command.identity),), args)
    return bool(held)


def find(
    names: Names, identity: Identity, now: float | None
) -> Procedure[Claimed | None]:
    """Read one record with its result, seen through retention."""
    told = yield ScriptCall("find", (names.record(identity),), (instants(now),))
    return None if told is None else claimed_of(identity, told)


def announce(names: Names, identity: Identity) -> Procedure[bool]:
    """Have the end of the work be told to those who subscribe."""
    told = yield ScriptCall("announce", (names.record(identity),), ())
    return bool(told)


def settle(names: Names, command: Settlement, now: float | None) -> Procedure[Record]:
    """Carry out an operator's decision and leave an audit row, in one script.

    An outcome that is torn, or that the command gives up, shows only here: it is
    settled by its digest.
    """
    if command.forgets:
        return (yield from _forget(names, command, now))
    done, told = yield from _settle(names, command, now, torn=b"")
    try:
        record = record_of(command.identity, told) if told else None
    except RecordUnreadable:
        record, refused = None, True
    else:
        refused = not done and _is_given_up(record, command)
    if refused:
        whole = record is not None
        torn = sha1(told[3] or b"", usedforsecurity=False).hexdigest().encode()
        done, told = yield from _settle(names, command, now, torn=torn, whole=whole)
        record = record_of(command.identity, told) if told else None
    if done and record is not None:
        return record
    # The script has refused; the rule says in words why.
    seen_at = clock_of(told) if told else 0.0
    return transitions.settle(record, command, seen_at).record


def _forget(names: Names, command: Settlement, now: float | None) -> Procedure[Record]:
    record: Record | None
    try:
        done, told = yield from _settle(names, command, now, torn=b"")
    except RecordUnreadable:  # before anything was changed
        done, told, record = False, [], damaged(command.identity)
    else:
        record = shut_of(command.identity, told) if told else None
    if done and record is not None:
        return record
    # The script has refused; the rule says in words why.
    return transitions.forget(record, command, clock_of(told) if told else 0.0)


def _is_given_up(record: Record | None, command: Settlement) -> bool:
    given_up = command.in_place_of
    return record is not None and given_up is not None and record.result == given_up


def _settle(
    names: Names,
    command: Settlement,
    now: float | None,
    *,
    torn: bytes,
    whole: bool = False,
) -> Procedure[tuple[bool, Told]]:
    identity, result = command.identity, command.result
    keys = (names.record(identity), names.audit(identity))
    execution = (command.execution or 0).to_bytes(4, "big")
    what = FORGETS if command.forgets else int(result is not None)
    terms = instants(command.retention_for, now) + b"%c" % what + execution
    outcome = b"" if result is None else _bounded(encode(result))
    text = audit_text(command, audit_of(command, None, 0.0).action)
    answer = yield ScriptCall(
        "settle", keys, (terms, outcome, text, torn, b"1" if whole else b"")
    )
    return bool(answer[0]), answer[1:]
