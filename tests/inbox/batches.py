# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What a batch of new messages costs to claim, one by one and together.

    python -m tests.inbox.batches sqlite|postgres MESSAGES

Only the claims are counted, without the work.
"""

from __future__ import annotations

import sys
import time
from statistics import median
from typing import TYPE_CHECKING, Any

from keyonce.stores.url import open_store
from keyonce.testing.store_scenarios.cases import claim_of, named
from tests.inbox.storm import databases

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 21


def took(each: Callable[[list[Any]], object], batches: list[list[Any]]) -> float:
    """Give the milliseconds that a batch takes, half-way."""
    times = []
    for batch in batches:
        began = time.perf_counter()
        each(batch)
        times.append(1000 * (time.perf_counter() - began))
    return median(times)


def main(kind: str, messages: str) -> int:
    """Print both figures."""
    with databases(kind) as (place, _):
        store: Any = open_store(place)

        def batches(name: str) -> list[list[Any]]:
            numbers = range(int(messages))
            return [
                [claim_of(named(f"{name}-{each}-{number}")) for number in numbers]
                for each in range(ROUNDS)
            ]

        alone = took(lambda batch: [store.claim(each) for each in batch], batches("a"))
        as_one = took(store.claim_many, batches("b"))
        store.close()
    sys.stdout.write(
        f"{kind}, {messages} new messages: {alone:.1f} ms one by one, "
        f"{as_one:.1f} ms as one\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
