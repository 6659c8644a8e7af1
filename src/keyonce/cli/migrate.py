# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""``keyonce migrate``: bring the store's tables up to date, when you want it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

import click

from keyonce.cli.opening import (
    config_option,
    refuse_memory,
    store_option,
    store_url,
)
from keyonce.cli.output import console, emit, json_option, pairs, plain
from keyonce.core.errors import ConfigurationError
from keyonce.stores.showing import without_secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from keyonce.stores.schema import Migration, Outlook, Schema

_OPTIONS: Final = (
    click.option("--check", is_flag=True, help="Run nothing; 1 if something is due."),
    click.option(
        "--contract",
        is_flag=True,
        help="Also take away what no running program needs any more.",
    ),
    click.option("--sql", is_flag=True, help="Run nothing; print the statements."),
    click.option("--yes", is_flag=True, help="Do not ask."),
    store_option,
    config_option,
    json_option,
)


def _options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@click.command(name="migrate")
@_options
@click.pass_context
def command(
    ctx: click.Context,
    /,
    *,
    store: str | None,
    config: Path | None,
    check: bool,
    sql: bool,
    contract: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Make the store's tables, or bring them up to date.

    What only adds is run, and the programs of the version before go on working beside
    it. What takes something away waits for --contract: run that when no older keyonce
    is running any more, for it is refused from then on.
    """
    if check and sql:
        raise click.UsageError("--check and --sql each say what to print: give one.")
    url = store_url(store, config)
    schema = _schema_of(url)
    found = schema.look()
    todo = found.chosen(contract=contract)
    if sql:
        if todo:
            click.echo(schema.script(todo), nl=False)
        return
    if check:
        _tell(url, found, (), found, as_json=as_json, contract=contract)
        ctx.exit(1 if todo else 0)
    if _is_grave(url, todo) and not yes:
        _ask(found, todo)
    ran = schema.migrate(contract=contract) if todo else ()
    _tell(url, found, ran, schema.look(), as_json=as_json)


def _schema_of(url: str) -> Schema:
    refuse_memory(url)
    from keyonce.stores.url import open_schema  # noqa: PLC0415 - drivers load late

    return open_schema(url)


def _is_grave(url: str, todo: Sequence[Migration]) -> bool:
    """Whether it takes away, or makes what somebody is billed for."""
    return any(not each.adds for each in todo) or (
        bool(todo) and url.startswith("dynamodb:")
    )


def _ask(found: Outlook, todo: Sequence[Migration]) -> None:
    names = ", ".join(each.name for each in todo)
    if not sys.stdin.isatty():
        raise ConfigurationError(
            f"This changes {found.place} for good ({names}), and there is nobody to "
            "ask: say --yes, or look first with --check and --sql."
        )
    click.echo(f"This changes {found.place} for good: {names}.", err=True)
    click.confirm("Go on?", abort=True, err=True)


def _tell(
    url: str,
    found: Outlook,
    ran: Sequence[Migration],
    after: Outlook,
    *,
    as_json: bool,
    contract: bool = False,
) -> None:
    due = [each.name for each in after.chosen(contract=contract)]
    waiting = [each.name for each in after.waiting if each.name not in due]
    told: dict[str, Any] = {
        "store": without_secrets(url),
        "from": found.version,
        "to": after.version,
        "ran": [each.name for each in ran],
        "due": due,
        "waiting": waiting,
        "note": found.note,
    }
    if as_json:
        emit(told)
        return
    rows = [("store", plain(told["store"], "bold")), ("schema", plain(_versions(told)))]
    rows += [("ran", plain(name, "green")) for name in told["ran"]]
    rows += [("due", plain(name, "yellow")) for name in due]
    rows += [("waits", plain(f"{name}  for --contract", "dim")) for name in waiting]
    terminal = console()
    terminal.print(pairs(rows))
    terminal.print(plain(_verdict(told)))


def _versions(told: dict[str, Any]) -> str:
    if told["from"] == told["to"]:
        return f"version {told['from']}" if told["from"] else "not there"
    return f"version {told['from']} → {told['to']}"


def _verdict(told: dict[str, Any]) -> str:
    if told["note"]:
        return str(told["note"])
    if told["due"]:
        return "Not up to date: run 'keyonce migrate'."
    return "Up to date."
