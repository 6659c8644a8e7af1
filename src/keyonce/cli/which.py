# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Which record an operator means."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from functools import wraps
from shlex import quote
from typing import TYPE_CHECKING, Any, Final

import click

from keyonce.cli.output import fail
from keyonce.core.errors import RecordUnreadable
from keyonce.core.model import Query
from keyonce.http.messages import RequestHead
from keyonce.http.scope import by_header
from keyonce.telemetry.printable import escape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from keyonce.core.model import Claimed, Identity, Record
    from keyonce.core.protocols import Store

SHOWN: Final = 20


def which_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that narrow a key down; *command* gets a ``Which``."""
    scope = click.option("--scope", help="Only in this scope.")
    caller = click.option(
        "--caller",
        metavar="'HEADER: VALUE'",
        help="Only of the caller who sends this header, where it tells the scope.",
    )
    operation = click.option(
        "--operation", metavar="'POST /PATH'", help="Only for this operation."
    )

    @wraps(command)
    def narrowed(
        *args: Any,
        scope: str | None,
        caller: str | None,
        operation: str | None,
        **options: Any,
    ) -> None:
        if scope is not None and caller is not None:
            raise click.UsageError("--scope and --caller say the same: keep one.")
        scopes = (scope,) if caller is None else scopes_of(caller)
        command(*args, which=Which(scopes, operation), **options)

    return scope(caller(operation(narrowed)))


@dataclass(frozen=True, slots=True)
class Which:
    """Whose keys and for what; None means any."""

    scopes: tuple[str | None, ...] = (None,)
    operation: str | None = None

    def queries(self, query: Query) -> Iterator[Query]:
        """Narrow *query* down, once for each scope."""
        for scope in self.scopes:
            yield replace(query, scope=scope, operation=self.operation)


def scopes_of(caller: str) -> tuple[str, ...]:
    """Give the scopes that a header line tells: hashed, and as it is.

    Raises:
        ConfigurationError: it is no header that can tell a scope.
    """
    name, colon, value = caller.partition(":")
    if not (colon and value.strip()):
        raise click.BadParameter(
            "write a header and its value, as in 'X-Api-Key: shop-1'.",
            param_hint="--caller",
        )
    name = name.strip()
    head = RequestHead("POST", b"/", headers=((name.lower().encode(), value.encode()),))
    told = (
        by_header(name, hashed=hashed, rotating_ok=True, commas_ok=True)(head)
        for hashed in (True, False)
    )
    return tuple(scope for scope in told if isinstance(scope, str))


def one_key(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the argument KEY and the options that narrow it down."""
    return click.argument("key")(which_options(command))


def one_record(store: Store, key: str, which: Which) -> Record:
    """Give the one record that is meant, or say what is missing to tell it."""
    found = [
        record
        for query in which.queries(Query(key=key, limit=SHOWN + 1))
        for record in store.records(query)
    ]
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


def find_shut(store: Store, identity: Identity) -> Claimed | None:
    """Find a record without opening its outcome, where the store seals outcomes."""
    find = getattr(store, "find_shut", store.find)
    found: Claimed | None = find(identity)
    return found


def clock_of(store: Store, found: Sequence[Record]) -> float:
    """Read the store's clock, cheaply if one of *found* is still there."""
    for record in found[:1]:
        with suppress(RecordUnreadable):
            seen = find_shut(store, record.identity)
            if seen is not None:
                return seen.now
    return store.stats().now if found else 0.0
