# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""``keyonce keys``: list keys and show one key's whole story."""

from __future__ import annotations

from dataclasses import replace
from heapq import nsmallest
from itertools import chain, islice
from operator import attrgetter
from typing import TYPE_CHECKING, Final

import click

from keyonce.cli.opening import looks_at_store
from keyonce.cli.output import (
    PIPED_WIDTH,
    ROOMY,
    age,
    console,
    emit,
    fail,
    json_option,
    pairs,
    plain,
    span,
    table,
)
from keyonce.cli.records import (
    answer_rows,
    body_text,
    fields_of,
    rows_of,
    status_text,
    story_of,
)
from keyonce.cli.settle import forget, release, resolve
from keyonce.cli.which import (
    clock_of,
    find_shut,
    one_key,
    one_record,
    which_options,
)
from keyonce.core.errors import RecordUnreadable
from keyonce.core.model import Query
from keyonce.core.states import Status
from keyonce.telemetry.printable import escape

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console
    from rich.text import Text

    from keyonce.cli.which import Which
    from keyonce.core.model import AuditRow, Claimed, Record
    from keyonce.core.protocols import Store

PAGE: Final = 500
UUID_WIDTH: Final = 36


@click.group(name="keys")
def command() -> None:
    """List, show, resolve, release and forget keys."""


command.add_command(resolve)
command.add_command(release)
command.add_command(forget)


@command.command(name="list")
@click.option(
    "--status",
    type=click.Choice([status.word for status in Status], case_sensitive=False),
    help="Only keys that the next attempt would meet in this status.",
)
@click.option("--key", help="Only this key.")
@which_options
@click.option(
    "--limit", type=click.IntRange(min=1), default=100, show_default=True, metavar="N"
)
@json_option
@looks_at_store
def list_(
    store: Store,
    *,
    status: str | None,
    key: str | None,
    which: Which,
    limit: int,
    as_json: bool,
) -> None:
    """List keys: who is stuck, and since when.

    A key whose at-most-once work has lost its worker counts as unknown. Unknown
    keys, asked for by --status, come with the oldest first.
    """
    wanted = Status[status.upper()] if status else None
    pages = (
        _pages(store, query) for query in which.queries(Query(status=wanted, key=key))
    )
    every = chain.from_iterable(pages)
    if wanted is Status.UNKNOWN:
        found = nsmallest(limit + 1, every, key=attrgetter("claimed_at"))
    else:
        found = list(islice(every, limit + 1))
    more, found = len(found) > limit, found[:limit]
    now = clock_of(store, found)
    if as_json:
        emit({"records": [fields_of(record, now) for record in found], "more": more})
        return
    _print_listing(console(), found, now)
    if more:
        click.echo(f"There are more than {limit}: see them with --limit.", err=True)


def _pages(store: Store, query: Query) -> Iterator[Record]:
    query = replace(query, limit=PAGE)
    while page := store.records(query):
        yield from page
        if len(page) < PAGE:
            return
        query = replace(query, after=page[-1].identity)


def _print_listing(terminal: Console, found: Sequence[Record], now: float) -> None:
    if not found:
        terminal.print("No keys.")
        return
    roomy = terminal.width >= ROOMY
    more = ("scope", "runs", "expires") if roomy else ()
    if roomy and any(record.reference for record in found):
        more = (*more, "reference")
    listing = table("key", "operation", "status", "age", *more)
    longest = max(len(escape(record.identity.key)) for record in found)
    listing.columns[0].no_wrap = longest <= UUID_WIDTH
    apart = " " if terminal.width >= PIPED_WIDTH else "\n"
    for record in found:
        cells = [
            plain(record.identity.key),
            plain(record.identity.operation),
            status_text(record, now, apart=apart),
            plain(age(now, record.claimed_at)),
        ]
        listing.add_row(*cells, *_more(record, now)[: len(more)])
    terminal.print(listing)


def _more(record: Record, now: float) -> list[Text]:
    left = record.expires_at and span(record.expires_at - now)
    return [
        plain(record.identity.scope, "dim"),
        plain(record.executions),
        plain(left or "-", "dim"),
        plain(record.reference or "-"),
    ]


@command.command()
@one_key
@click.option("--body", is_flag=True, help="Show the stored body too.")
@json_option
@looks_at_store
def show(
    store: Store,
    *,
    key: str,
    which: Which,
    body: bool,
    as_json: bool,
) -> None:
    """Show everything about KEY: its record, its answer, what operators did."""
    record = one_record(store, key, which)
    found, shut = _opened(store, record)
    if found is None:
        fail(f"The key {key!r} has just expired.", status=1)
    audits = list(store.audits(record.identity))
    if as_json:
        emit(story_of(found.record, audits, found.now, body=body, shut=shut))
        return
    _print_story(console(), found.record, audits, found.now, body=body, shut=shut)


def _opened(store: Store, record: Record) -> tuple[Claimed | None, str]:
    """Find *record* with its answer, or without it and why it could not be opened."""
    try:
        return store.find(record.identity), ""
    except RecordUnreadable as exc:
        if not hasattr(store, "find_shut"):
            raise
        return find_shut(store, record.identity), str(exc)


def _print_story(
    terminal: Console,
    record: Record,
    audits: list[AuditRow],
    now: float,
    *,
    body: bool,
    shut: str,
) -> None:
    rows = rows_of(record, now)
    result = record.result
    if result is not None:
        rows += answer_rows(result, shut=shut)
    rows += [("operator", _action(row, now)) for row in audits]
    terminal.print(pairs(rows))
    if body and result is not None and result.body and not (shut or result.sealed):
        terminal.print()
        terminal.print(body_text(result.body), soft_wrap=True)


def _action(row: AuditRow, now: float) -> Text:
    text = plain(f"{row.action} by {row.actor}, was {row.before}: {row.reason}")
    return text.append(f"  {age(now, row.at)} ago", style="dim")
