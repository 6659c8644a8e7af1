# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Asks a real store what a history is made of, and draws what to ask."""

from __future__ import annotations

from random import Random
from typing import Any, Final

from keyonce.core.errors import SettlementRefused
from keyonce.core.guarantee import Guarantee
from keyonce.core.model import (
    Claim,
    Completion,
    Fingerprint,
    Identity,
    Note,
    Record,
    Settlement,
    StoredResult,
)
from keyonce.testing.clock import FakeClock
from tests.linearizability.history import REFUSED, Answer, Asked, Call, Seen

LEASE: Final = 30.0
KEPT: Final = 86_400.0
PRINT: Final = Fingerprint("scheme-1", bytes(32))
START: Final = FakeClock()()
LATER: Final = START + 2 * LEASE
VERBS: Final = {
    "claim": 8,
    "complete": 5,
    "renew": 2,
    "release": 3,
    "abandon": 2,
    "note": 3,
    "find": 4,
    "resolve": 1,
    "free": 1,
    "forget": 1,
}


def drawn(rng: Random, owners: int, me: int, place: int) -> Asked:
    """Draw what client *me* asks, mostly under its own token; without *owners* always."""
    verb = rng.choices(list(VERBS), list(VERBS.values()))[0]
    owner = f"owner-{me if not owners or rng.random() < 0.8 else rng.randrange(owners)}"
    if verb in {"find", "resolve", "free", "forget"}:
        owner = ""
    given = f"{verb}-{place}" if verb in {"complete", "note", "resolve"} else ""
    number = rng.randrange(4) if verb == "note" else 0
    return Asked(verb, owner, given, number, verb == "claim" and rng.random() < 0.5)


def asked_of(store: Any, key: str, asked: Asked, *, runs_again: bool) -> Answer:
    """Ask *store*; what it raises of its own goes through.

    A lease that lapses is that of START.
    """
    who, owner = Identity("tenant", "POST /orders", key), _token(asked.owner)
    match asked.verb:
        case "claim":
            guarantee = Guarantee.RESUME if runs_again else Guarantee.AT_MOST_ONCE
            witnessed = START + LEASE if asked.witnessed else None
            command = Claim(who, owner, PRINT, guarantee, LEASE, 3, witnessed)
            return seen(store.claim(command).record, claimant=owner)
        case "complete":
            done = Completion(who, owner, _result(asked.given), KEPT)
            return seen(store.complete(done))
        case "renew":
            return seen(store.renew(who, owner))
        case "release":
            return bool(store.release(who, owner, "safe", KEPT))
        case "abandon":
            return bool(store.abandon(who, owner, "doubt"))
        case "note":
            note = Note(who, owner, asked.given.encode(), number=asked.number)
            return bool(store.note(note))
        case "find":
            found = store.find(who)
            return None if found is None else seen(found.record, whole=True)
        case _:
            return _settled(store, who, asked)


def _settled(store: Any, who: Identity, asked: Asked) -> Answer:
    result = _result(asked.given) if asked.verb == "resolve" else None
    forgets = asked.verb == "forget"
    decision = Settlement(who, "asked", "olga", result, KEPT, forgets=forgets)
    try:
        return seen(store.settle(decision))
    except SettlementRefused:
        return REFUSED


def seen(
    record: Record | None, *, claimant: bytes = b"", whole: bool = False
) -> Seen | None:
    """Show *record*: its steps where *whole*, or where the *claimant* got the key."""
    if record is None:
        return None
    granted = record.status.word == "in_progress" and record.owner == claimant
    return Seen(
        record.status.word,
        record.owner.rstrip(b"-").decode(),
        record.executions,
        "" if record.result is None else record.result.body.decode(),
        record.steps.decode() if whole or granted else None,
    )


def lapsed(store: Any, clock: FakeClock, key: str, *, runs_again: bool) -> list[Call]:
    """Let a first owner claim *key* and fall silent until its lease has ended."""
    clock.advance(START - clock())
    asked = Asked("claim", "owner-0")
    answer = asked_of(store, key, asked, runs_again=runs_again)
    clock.advance(LATER - clock())
    return [Call(asked, -4, -3, answer), Call(Asked("lapse"), -2, -1)]


def _token(owner: str) -> bytes:
    return owner.encode().ljust(16, b"-") if owner else b""


def _result(body: str) -> StoredResult:
    return StoredResult(200, body=body.encode(), size=len(body))
