# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""``keyonce purge``: remove what has expired, in short steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from rich.progress import Progress, SpinnerColumn, TextColumn

from keyonce.cli.opening import takes_store
from keyonce.cli.output import console, emit, json_option

if TYPE_CHECKING:
    from keyonce.core.protocols import Store


@click.command(name="purge")
@click.option(
    "--batch",
    type=click.IntRange(min=1),
    default=1000,
    show_default=True,
    help="Records in one step; traffic passes between steps.",
)
@json_option
@takes_store
def command(store: Store, *, batch: int, as_json: bool) -> None:
    """Remove expired records until none is left.

    Work in progress and unknown keys are never removed.
    """
    columns = (SpinnerColumn(), TextColumn("{task.description}"))
    terminal = console(stderr=True)
    with Progress(*columns, console=terminal, transient=True, disable=as_json) as bar:
        task = bar.add_task("Looking for expired records")
        purged = 0
        while removed := store.purge(batch):
            purged += removed
            bar.update(task, description=f"{purged:,} records removed")
    if as_json:
        emit({"purged": purged})
        return
    click.echo(f"{purged:,} expired records removed.")
