# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What a key takes in each store, as it was measured.

`scripts/bench room` measured all that is not told otherwise: keys of 36 characters in
a scope of 22, done by the verbs of the store, without field maps; on two shared
cores, SQLite 3.40, PostgreSQL 18, MariaDB 10.11, Redis 7.0. After a change of a schema
measure again, and write here what it prints.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

KIB: Final = 1024
MIB: Final = 1024 * KIB

# From an application to a database in the same data centre: an assumption.
SECONDS_A_TRIP: Final = 0.005


class Shown(NamedTuple):
    """What was measured with answers of *size* bytes."""

    size: int
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One store.

    *hot* is what of a key is best held in memory; with *all_hot* everything is, with
    *all_in_memory* it has to be. *trips* and *writes* are those of a first request; a
    replay takes one trip and writes nothing. *room* is the bytes that a key takes,
    *purged* how many went in a second. *claimed* and *overhead* are DynamoDB's: the
    bytes of an item that is claimed, and what is stored beside each.
    """

    name: str
    room: tuple[Shown, ...]
    hot: float = 0.0
    all_hot: bool = False
    all_in_memory: bool = False
    trips: int = 2
    writes: int = 2
    connects: bool = True
    purged: tuple[Shown, ...] = ()
    expires_itself: bool = False
    most_keys: float | None = None
    most_by: str = ""
    largest: int | None = None
    largest_by: str = ""
    claimed: int | None = None
    overhead: int = 0


SQLITE: Final = Measured(
    name="sqlite",
    room=(
        Shown(0, 301),
        Shown(300, 646),
        Shown(2048, 4386),
        Shown(8192, 9015),
        Shown(65536, 66_351),
    ),
    hot=301,
    connects=False,
    purged=(
        Shown(300, 40_889),
        Shown(2048, 12_794),
        Shown(8192, 10_036),
        Shown(65536, 2546),
    ),
    # `scripts/bench served`: first requests under uvicorn, one process.
    most_keys=1_200,
    most_by="were measured with one process, each two commits to a disk whose fsync "
    "took 0.3 ms",
)

POSTGRES: Final = Measured(
    name="postgres",
    room=(
        Shown(0, 507),
        Shown(300, 822),
        Shown(2048, 3267),
        Shown(8192, 9147),
        Shown(65536, 69_075),
    ),
    hot=507,
    purged=(
        Shown(300, 45_990),
        Shown(2048, 21_329),
        Shown(8192, 18_271),
        Shown(65536, 2522),
    ),
    largest=512 * MIB,
    largest_by="that this store keeps",
)

MYSQL: Final = Measured(
    name="mysql",
    room=(
        Shown(0, 632),
        Shown(300, 1100),
        Shown(2048, 3639),
        Shown(8192, 18_029),
        Shown(65536, 82_444),
    ),
    all_hot=True,  # the table is its primary key, and new keys fall anywhere in it
    trips=3,
    purged=(
        Shown(300, 37_954),
        Shown(2048, 7061),
        Shown(8192, 2563),
        Shown(65536, 1043),
    ),
    largest=8_257_536,
    largest_by="that fit into a max_allowed_packet of 16M",
)

REDIS: Final = Measured(
    name="redis",
    room=(
        Shown(0, 598),
        Shown(300, 891),
        Shown(2048, 3131),
        Shown(8192, 10_839),
        Shown(65536, 83_146),
    ),
    all_hot=True,
    all_in_memory=True,
    expires_itself=True,
    largest=64 * MIB,
    largest_by="that this store keeps",
)

# Not measured: reckoned by the sizes that AWS documents for items and units, which
# tests/cli/test_plan.py does for an item as the store writes it.
DYNAMODB: Final = Measured(
    name="dynamodb",
    room=(Shown(0, 528), Shown(65536, 66064)),
    expires_itself=True,
    claimed=374,
    overhead=100,
    most_keys=4_000,
    most_by="are what the index of open records takes: 8 partitions of 1,000 writes "
    "a second, two writes for each key",
    largest=320 * KIB,
    largest_by="that fit into an item of 400 KB, with the record beside",
)

STORES: Final = (SQLITE, POSTGRES, MYSQL, REDIS, DYNAMODB)
