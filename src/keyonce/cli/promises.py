# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What a store promises under each guarantee, in words, and what breaks it.

The table of guarantees in the documentation, for one configuration.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from keyonce.core.guarantee import Guarantee

if TYPE_CHECKING:
    from keyonce.core.model import Traits

AFTER: Final = {
    Guarantee.EXACTLY_ONCE: "nothing unclear can exist: one database transaction",
    Guarantee.RESUME: "run again; what it calls deduplicates by the key",
    Guarantee.AT_MOST_ONCE: "never run again; unknown until somebody resolves it",
    Guarantee.AT_LEAST_ONCE: "run again once the lease has ended",
}
NEEDS: Final = {
    Guarantee.EXACTLY_ONCE: "the effect lives in the store's own database",
    Guarantee.RESUME: "steps, or a downstream that deduplicates by key",
    Guarantee.AT_MOST_ONCE: "nothing",
    Guarantee.AT_LEAST_ONCE: "the effect is harmless to repeat",
}
_EFFECTS: Final = {
    Guarantee.EXACTLY_ONCE: "1",
    Guarantee.RESUME: "1",
    Guarantee.AT_MOST_ONCE: "0 or 1",
    Guarantee.AT_LEAST_ONCE: "1 or more",
}
_IN_MEMORY: Final = {
    Guarantee.RESUME: "1, by the downstream",
    Guarantee.AT_MOST_ONCE: "0 or 1, until a restart",
    Guarantee.AT_LEAST_ONCE: "1 or more",
}
_BREAKS: Final = {
    "memory": "A restart, and a second worker, which would not see these records.",
    "sqlite": (
        "A network file system, a fork with an open handle, "
        "a disk that lies about fsync."
    ),
    "postgres": (
        "A failover to a replica that lags: 0 or 1 may become 2. fsync or "
        "synchronous_commit off, a disk that lies about fsync."
    ),
    "dynamodb": (
        "Clocks that differ by more than the declared skew, a global table that is "
        "written in several Regions."
    ),
    "redis": (
        "Eviction, FLUSHALL, a jump of the server's clock; a power loss where "
        "appendfsync is not always; a failover to a replica that had not heard of a "
        "key yet: then the work may run twice."
    ),
    "mysql": (
        "A failover to a replica that lags: 0 or 1 may become 2. A weaker flush than "
        "innodb_flush_log_at_trx_commit = 1, a disk that lies about fsync."
    ),
}
_CACHED: Final = "The cache in front breaks none of them."
_UNTESTED: Final = {
    "memory": "",
    "sqlite": "Not tested: power loss. What is tested is killing processes.",
    "postgres": (
        "Not tested: power loss, failover. What is tested is killing the server."
    ),
    "dynamodb": (
        "Not tested: DynamoDB itself, its concurrency and its durability. What is "
        "tested is a server that speaks as it does (moto)."
    ),
    "redis": "Not tested: power loss. What is tested is killing servers.",
    "mysql": (
        "Not tested: power loss, failover, and MySQL itself. What is tested is "
        "MariaDB 10.11, and killing its server."
    ),
}
NOTES: Final = (
    (
        "Delivery over HTTP is at-least-once by nature: a caller that hears nothing "
        "has to ask again."
    ),
    (
        "at-most-once costs availability: some keys end as unknown until somebody "
        "resolves them."
    ),
    "Nothing holds after the retention, unless late retries are refused.",
)


@dataclass(frozen=True, slots=True)
class Promise:
    """What one guarantee means on one store: effects of one key in its retention.

    *effects* is None where the guarantee is not offered.
    """

    guarantee: Guarantee
    effects: str | None
    after: str
    needs: str


def promises_of(traits: Traits, *, sidecar: bool) -> list[Promise]:
    """Give the four guarantees as the store with *traits* keeps them.

    Behind a *sidecar* exactly-once is not offered: the effect is out of reach.
    """
    words = _EFFECTS if traits.durable else _IN_MEMORY
    offered = traits.guarantees - ({Guarantee.EXACTLY_ONCE} if sidecar else set())
    return [
        Promise(
            guarantee=guarantee,
            effects=words.get(guarantee) if guarantee in offered else None,
            after=AFTER[guarantee],
            needs=NEEDS[guarantee],
        )
        for guarantee in Guarantee
    ]


def breaks(traits: Traits) -> str:
    """Say what breaks the promises of this store."""
    durable, cached = _behind_the_cache(traits.name)
    return " ".join(filter(None, (_BREAKS.get(durable, ""), _CACHED * cached)))


def notes_for(traits: Traits, *, unauthorised_replays: bool) -> list[str]:
    """Give what has to be known beside the table."""
    notes = [*NOTES]
    if unauthorised_replays:
        notes.append(
            "Replays are not authorised anew: whoever may still send the key gets the "
            "stored answer. Where access can be revoked, set [replay] authorize."
        )
    durable, _ = _behind_the_cache(traits.name)
    untested = _UNTESTED.get(durable)
    return [*notes, untested] if untested else notes


def _behind_the_cache(name: str) -> tuple[str, bool]:
    """Give the name of the store that decides, and whether a cache is before it."""
    durable = name.removeprefix("tiered(").removesuffix(")")
    return durable, durable != name
