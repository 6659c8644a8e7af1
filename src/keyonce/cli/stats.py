# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""``keyonce stats``: what is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from keyonce.cli.opening import looks_at_store
from keyonce.cli.output import age, console, emit, json_option, plain, size, table
from keyonce.cli.records import STYLES
from keyonce.core.states import Status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keyonce.core.model import StoreStats
    from keyonce.core.protocols import Store


@click.command(name="stats")
@json_option
@looks_at_store
def command(store: Store, *, as_json: bool) -> None:
    """How many keys there are by status, and what they occupy."""
    stats = store.stats()
    if as_json:
        emit(_fields(store.traits.name, stats))
        return
    show(stats)


def _fields(store: str, stats: StoreStats) -> dict[str, Any]:
    counts = {status.word: stats.counts.get(status, 0) for status in Status}
    return {
        "store": store,
        "counts": counts,
        "total": sum(counts.values()),
        "oldest_seconds": {
            status.word: round(max(0.0, stats.now - at), 3)
            for status, at in stats.oldest.items()
        },
        "estimated": stats.estimated,
        "expired": stats.expired,
        "stored_bytes": stats.stored_bytes,
        "record_bytes": stats.record_bytes,
        "outcome_bytes": stats.outcome_bytes,
        "index_bytes": stats.index_bytes,
    }


def show(stats: StoreStats) -> None:
    """Print *stats* for a person."""
    total = sum(stats.counts.values())
    found = table("status", "keys", "oldest")
    found.columns[1].justify = "right"
    for status in Status:
        oldest = stats.oldest.get(status)
        found.add_row(
            plain(status.word, STYLES[status]),
            plain(f"{stats.counts.get(status, 0):,}"),
            plain("-" if oldest is None else age(stats.now, oldest)),
        )
    terminal = console()
    terminal.print(found)
    about = "about " if stats.estimated else ""
    terminal.print(plain(f"{about}{total:,} keys{_room(stats.stored_bytes, total)}"))
    for line in _parts(stats):
        terminal.print(plain(line))


def _parts(stats: StoreStats) -> Iterator[str]:
    """Say where the bytes are and what a purge would remove, as far as is known."""
    named = {
        "records": stats.record_bytes,
        "outcomes apart": stats.outcome_bytes,
        "indexes": stats.index_bytes,
    }
    parts = [f"{name} {size(there)}" for name, there in named.items() if there]
    if parts:
        yield ", ".join(parts)
    if stats.expired:
        about = "about " if stats.estimated else ""
        yield f"{about}{stats.expired:,} expired and not yet purged"


def _room(stored: int | None, total: int) -> str:
    if stored is None:
        return ""
    each = f", {size(stored // total)} each" if total else ""
    return f" in {size(stored)}{each}"
