# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Records of every kind, written by the verbs, and how they are told in JSON."""

from __future__ import annotations

from itertools import count

from keyonce.core.guarantee import Guarantee
from keyonce.core.model import (
    Claim,
    Completion,
    Fingerprint,
    Identity,
    Note,
    Query,
    Settlement,
    StoredResult,
)
from keyonce.core.steps import Progress, Step, Steps, write_steps

STARTED = 1_800_000_000.0
DAY = 86_400.0
YEAR = 365 * DAY

# What tests/core/test_golden.py pins: a digest under each kind of scheme, its field map.
PLAIN = Fingerprint(
    "v1",
    bytes.fromhex("bade68d4c5f8f90fdf9996ae6f17a29e39aef2b3ee9ecd0cb9aa46c83e50813b"),
)
KEYED = Fingerprint(
    "v1;key=2026-01;headers=x-api-version;exclude=/items/0,/sent_at",
    bytes.fromhex("b52a16346ad465d0f6f227aef7a572e2e540cc8bdfb1fa35b48a9bb17a05ec59"),
)
OF_A_LATER_SCHEME = Fingerprint("v9;é", b"\x00\xff" * 8)
FIELDS = bytes.fromhex(
    "010106056974656d730203004129010103612f62000058005a7c016e005c7302"
    "6e6f00c62b026f6b00f2e90773656e745f61740053e803736b7500a8cd"
)

STEPS = write_steps(
    Steps(
        PLAIN,
        (
            Step("reserve", Progress.DONE, b'{"id":7,"caf\xc3\xa9":null}'),
            Step("tell", Progress.FAILED, bytes(range(256))),
            Step("charge", Progress.BEGUN),
        ),
    )
)

RESULTS = {
    "ordinary": StoredResult(
        201,
        ((b"content-type", b"application/json"), (b"location", b"/orders/1")),
        b'{"id":1}\n',
        size=9,
    ),
    "headers twice": StoredResult(
        200,
        (
            (b"Set-Cookie", b"a=1; Path=/, b"),
            (b"set-cookie", b"a=2"),
            (b"Set-Cookie", b"a=1; Path=/, b"),
            (b"x-empty", b""),
            (b"x-latin", b"caf\xe9\t\xff"),
            (b"x-utf-8", "ключ".encode()),
            (b"!#$%&'*+-.^_`|~09aZ", b"\"'\\%s;--"),
        ),
        b"{}",
        size=2,
    ),
    "nothing": StoredResult(204),
    "every byte": StoredResult(
        200, ((b"content-encoding", b"br"),), bytes(range(256)) * 2, size=512
    ),
    "not kept": StoredResult(200, ((b"etag", b'"1"'),), kept=False, size=20_000_000),
    "no body to a HEAD": StoredResult(200, ((b"content-length", b"9"),), b"", size=0),
    "no http": StoredResult(0, (), b"\x80\x00", size=2),
    "a refusal": StoredResult(422, ((b"a", b"b" * 1000),), b"no", size=2),
}

ODD = [
    *("order-1", "Order-1", "order-1 ", " order-1", "caf\u00e9", "cafe\u0301"),
    *("'; --", '"', "\\x00", "%(key)s", "\U0001f511", "k" * 255, "\u00fc" * 255),
]


class Writer:
    """Writes records through *store*, turning *clock* as it needs."""

    def __init__(self, store, clock):
        self.store = store
        self.clock = clock
        self._owners = count(1)

    def claim(self, key, *, scope="alice", operation="POST /orders", **given):
        owner = b"%016d" % next(self._owners)
        asked = {
            "fingerprint": PLAIN,
            "guarantee": Guarantee.AT_MOST_ONCE,
            "lease_for": 30.0,
            "max_crashes": 3,
            "field_map": lambda _digest: FIELDS,
            **given,
        }
        command = Claim(Identity(scope, operation, key), owner, **asked)
        assert self.store.claim(command).record.owner == owner
        return command

    def complete(self, key, result, *, retention_for=DAY, late_for=0.0, **given):
        reference = given.pop("reference", None)
        claim = self.claim(key, **given)
        self.clock.advance(0.25)
        done = self.store.complete(
            Completion(
                claim.identity, claim.owner, result, retention_for, late_for, reference
            )
        )
        assert done is not None
        return claim.identity

    def abandon(self, key, reason, **given):
        claim = self.claim(key, **given)
        self.clock.advance(1.5)
        assert self.store.abandon(claim.identity, claim.owner, reason)
        return claim.identity


def write(store, clock):
    """Write every kind of record; what it takes from the clock is the same each time."""
    writer = Writer(store, clock)
    _entombed(writer)
    for name, result in RESULTS.items():
        writer.complete(name, result)
    for key in ODD:
        writer.complete(key, RESULTS["ordinary"])
    for scope, operation in (
        ("", ""),
        ("ALICE", "~POST /orders"),
        ("é" * 255, "PUT /%2F"),
    ):
        writer.complete("k", RESULTS["ordinary"], scope=scope, operation=operation)
    for guarantee in (Guarantee.RESUME, Guarantee.AT_LEAST_ONCE):
        writer.complete(guarantee.value, RESULTS["nothing"], guarantee=guarantee)
    writer.complete(
        "for ever", RESULTS["ordinary"], retention_for=None, reference="ch_é"
    )
    writer.complete("late", RESULTS["ordinary"], late_for=YEAR, reference="ch_1")
    writer.complete("keyed", RESULTS["ordinary"], fingerprint=KEYED)
    writer.complete(
        "later",
        RESULTS["ordinary"],
        fingerprint=OF_A_LATER_SCHEME,
        field_map=_no_fields,
    )
    released = writer.claim("released")
    assert writer.store.release(released.identity, released.owner, "safe", DAY)
    writer.abandon("unknown", "upstream-broke")
    _settled(writer)
    _taken_over(writer)
    _noted(writer)
    writer.claim("in progress", lease_for=YEAR)


def _no_fields(_digest):
    return b""


def _entombed(writer):
    writer.complete("tombstone", RESULTS["ordinary"], retention_for=60.0, late_for=YEAR)
    writer.clock.advance(4000.0)
    writer.store.purge()


def _settled(writer):
    known = writer.abandon("resolved", "lease-ended")
    unknown = writer.abandon("let go", "work-limit")
    for identity, result in ((known, RESULTS["ordinary"]), (unknown, None)):
        writer.clock.advance(1.0)
        settlement = Settlement(identity, "asked the bank: «ok»", "olga", result, YEAR)
        writer.store.settle(settlement)


def _taken_over(writer):
    first = writer.claim("taken over", guarantee=Guarantee.AT_LEAST_ONCE)
    writer.clock.advance(60.0)
    found = writer.store.find(first.identity)
    writer.claim(
        "taken over",
        guarantee=Guarantee.AT_LEAST_ONCE,
        lease_for=YEAR,
        witnessed=found.record.lease_until,
    )


def _noted(writer):
    """Leave steps in work that runs, was let go, is unknown, and is done."""
    notes = {
        key: writer.claim(key, guarantee=Guarantee.RESUME, lease_for=YEAR)
        for key in ("noted", "noted and let go", "noted, unknown", "noted and done")
    }
    for claim in notes.values():
        note = Note(claim.identity, claim.owner, STEPS, "ch_é")
        assert writer.store.note(note)
    writer.clock.advance(0.5)
    _, freed, unknown, done = notes.values()
    assert writer.store.release(freed.identity, freed.owner, "safe", DAY)
    assert writer.store.abandon(unknown.identity, unknown.owner, "work-limit")
    result = RESULTS["nothing"]
    writer.store.complete(Completion(done.identity, done.owner, result, DAY))


def told(store, clock):
    """Tell all that *store* holds, as JSON."""
    listed = store.records(Query(limit=1000))
    records = [store.find(each.identity).record for each in listed]
    audits = store.audits()
    return {
        "at": clock(),
        "records": [_plain(each._asdict()) for each in records],
        "audits": [
            _plain({name: getattr(each, name) for name in each.__slots__})
            for each in audits
        ],
    }


def _plain(value):
    """Give *value* as JSON has it; bytes are their digits."""
    match value:
        case bytes():
            return value.hex()
        case StoredResult():
            return {name: _plain(getattr(value, name)) for name in value.__slots__}
        case Guarantee():
            return value.value
        case dict():
            return {name: _plain(each) for name, each in value.items()}
        case tuple() | list():
            return [_plain(each) for each in value]
    return value
