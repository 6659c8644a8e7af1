# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""``keyonce stats``: what is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from keyonce.cli.opening import takes_store
from keyonce.cli.output import console, emit, json_option, plain, size, span, table
from keyonce.cli.records import STYLES
from keyonce.core.states import Status

if TYPE_CHECKING:
    from keyonce.core.model import StoreStats
    from keyonce.core.protocols import Store


@click.command(name="stats")
@json_option
@takes_store
def command(store: Store, *, as_json: bool) -> None:
    """How many keys there are by status, and what they occupy."""
    stats = store.stats()
    if as_json:
        emit(_fields(store.traits.name, stats))
        return
    _print(stats)


def _fields(store: str, stats: StoreStats) -> dict[str, Any]:
    counts = {status.word: stats.counts.get(status, 0) for status in Status}
    return {
        "store": store,
        "counts": counts,
        "total": sum(counts.values()),
        "oldest_seconds": {
            status.word: round(stats.now - at, 3) for status, at in stats.oldest.items()
        },
        "stored_bytes": stats.stored_bytes,
    }


def _print(stats: StoreStats) -> None:
    total = sum(stats.counts.values())
    found = table("status", "keys", "oldest")
    found.columns[1].justify = "right"
    for status in Status:
        oldest = stats.oldest.get(status)
        found.add_row(
            plain(status.word, STYLES[status]),
            plain(f"{stats.counts.get(status, 0):,}"),
            plain("-" if oldest is None else span(stats.now - oldest)),
        )
    terminal = console()
    terminal.print(found)
    terminal.print(plain(f"{total:,} keys{_room(stats.stored_bytes, total)}"))


def _room(stored: int | None, total: int) -> str:
    if stored is None:
        return ""
    each = f", {size(stored // total)} each" if total else ""
    return f" in {size(stored)}{each}"
