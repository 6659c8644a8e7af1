# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The states of a record and the table of its changes.

```
absent ──▶ IN_PROGRESS ──▶ COMPLETED ──▶ absent | TOMBSTONE ──▶ absent
             │  │  ▲           ▲
             │  │  └─ claim ── │ ──────── RELEASED ──▶ absent
             │  ▼              │            ▲
             │ UNKNOWN ────────┴────────────┤
             └──────────────────────────────┘
```

A record only moves along this table; ``keyonce.core.transitions`` holds the
functions that move it and every test engine checks its histories against it.
"""

from __future__ import annotations

from enum import IntEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping


class Status(IntEnum):
    """What a record says about the work. The numbers are stored; never reuse one."""

    IN_PROGRESS = 1
    COMPLETED = 2
    UNKNOWN = 3
    RELEASED = 4
    TOMBSTONE = 5

    @property
    def word(self) -> str:
        """The lower-case word for people and JSON."""
        return self.name.lower()


ABSENT: Final = None

TABLE: Final[Mapping[Status | None, frozenset[Status | None]]] = MappingProxyType(
    {
        ABSENT: frozenset({Status.IN_PROGRESS}),
        Status.IN_PROGRESS: frozenset(
            {
                Status.IN_PROGRESS,  # renewed by its owner, or taken over
                Status.COMPLETED,
                Status.UNKNOWN,
                Status.RELEASED,
            }
        ),
        Status.COMPLETED: frozenset({ABSENT, Status.TOMBSTONE}),
        Status.UNKNOWN: frozenset({Status.COMPLETED, Status.RELEASED}),
        Status.RELEASED: frozenset({Status.IN_PROGRESS, ABSENT}),
        Status.TOMBSTONE: frozenset({ABSENT}),
    }
)
