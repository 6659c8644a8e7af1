# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Which record an operator means."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING, Any, Final

import click

from keyonce.cli.output import fail
from keyonce.core.model import Query
from keyonce.telemetry.printable import escape

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from keyonce.core.model import Record
    from keyonce.core.protocols import Store

SHOWN: Final = 20


def which_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that narrow a key down."""
    scope = click.option("--scope", help="Only in this scope.")
    operation = click.option(
        "--operation", metavar="'POST /PATH'", help="Only for this operation."
    )
    return scope(operation(command))


def one_key(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the argument KEY and the options that narrow it down."""
    return click.argument("key")(which_options(command))


def one_record(
    store: Store, key: str, *, scope: str | None, operation: str | None
) -> Record:
    """Give the one record that is meant, or say what is missing to tell it."""
    found = store.records(
        Query(key=key, scope=scope, operation=operation, limit=SHOWN + 1)
    )
    if not found:
        fail(f"No record has the key {escape(key)!r}.", status=1)
    if len(found) > 1:
        fail(_ambiguous(found), status=2)
    return found[0]


def _ambiguous(found: Sequence[Record]) -> str:
    lines = [
        f"--scope {quote(escape(record.identity.scope))}"
        f" --operation {quote(escape(record.identity.operation))}"
        for record in found[:SHOWN]
    ]
    rest = ["…"] if len(found) > SHOWN else []
    return "\n".join(
        ["Several records have this key. Say which one you mean:", *lines, *rest]
    )


def clock_of(store: Store, found: Sequence[Record]) -> float:
    """Read the store's clock, cheaply if one of *found* is still there."""
    for record in found[:1]:
        seen = store.find(record.identity)
        if seen is not None:
            return seen.now
    return store.stats().now if found else 0.0
