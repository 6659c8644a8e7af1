# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""`python -m tests.golden.worker URL QUERIES`: one program among several at work.

QUERIES is a file of queries to speak by, such as an older version's, or '-' for
today's. It says "begun" and goes on; half-way it waits for a line. At the end it says
how many keys it won and finished.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from keyonce.stores import statement
from keyonce.stores.url import open_store
from keyonce.testing.store_scenarios.cases import (
    ANSWER,
    claim_of,
    completion_of,
    named,
    settlement_of,
)

ROUNDS = 240


def speak_by(path):
    """Let stores read their queries from *path*; before any is imported."""
    queries = statement.queries_in(Path(path).read_text(encoding="utf-8"))
    statement.queries_of = lambda package: queries


def say(word):
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def main(url, queries):
    if queries != "-":
        speak_by(queries)
    store = open_store(url)
    won = 0
    for number in range(ROUNDS):
        if number == ROUNDS // 6:
            say("begun")
        if number == ROUNDS // 2:
            sys.stdin.readline()
        won += one_round(store, number)
    assert len(store.audits()) > 0
    assert sum(store.stats().counts.values()) > 0
    store.close()
    say(won)


def one_round(store, number):
    """Race for one key; say whether it was won here. Look at it however that ends."""
    identity, owner = named(f"key-{number}"), os.urandom(16)
    claimed = store.claim(claim_of(identity, owner))
    found = store.find(identity)
    assert found is not None
    if claimed.record.owner != owner:
        return 0
    assert found.record.owner == owner
    assert store.renew(identity, owner).owner == owner
    finish(store, identity, owner, number)
    if number % 50 == 0:
        store.purge()
    return 1


def finish(store, identity, owner, number):
    """End the work in one of three ways; with nothing that another may claim again."""
    if number % 3 == 0:
        assert store.abandon(identity, owner, "upstream-broke")
        store.settle(settlement_of(identity, result=ANSWER))
        return
    late = 60.0 if number % 3 == 1 else 0.0
    done = store.complete(completion_of(identity, owner, late_for=late))
    assert done.result == ANSWER
    assert store.find(identity).record.result == ANSWER


if __name__ == "__main__":
    main(*sys.argv[1:])
