# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What the commands write: tables for people, JSON for programs."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from keyonce.telemetry.printable import escape

if TYPE_CHECKING:
    from collections.abc import Callable

PIPED_WIDTH: Final = 240
ROOMY: Final = 100

json_option: Final = click.option(
    "--json", "as_json", is_flag=True, help="Write JSON instead of text."
)


def console(*, stderr: bool = False) -> Console:
    """Give the terminal; a pipe is wide, so that no line is cut for it."""
    made = Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    if not made.is_terminal and "COLUMNS" not in os.environ:
        made.width = PIPED_WIDTH
    return made


def emit(value: Any) -> None:
    """Write *value* as JSON, in ASCII: no byte of it moves a terminal's cursor."""
    click.echo(json.dumps(value, indent=2))


def fail(message: str, *, status: int) -> NoReturn:
    """Say on stderr what is wrong and end with *status*."""
    click.echo("keyonce: " + message.replace("\n", "\n  "), err=True)
    raise click.exceptions.Exit(status)


def plain(text: object, style: str = "") -> Text:
    """Make *text* safe to show: escaped, and never read as markup."""
    return Text(escape(str(text)), style=style)


def table(*columns: str) -> Table:
    """Make a table whose cells fold rather than lose what they hold."""
    made = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for column in columns:
        made.add_column(column, overflow="fold")
    return made


def pairs(rows: list[tuple[str, Text]]) -> Table:
    """Make two columns of names and values, without lines."""
    made = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    made.add_column(style="dim", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in rows:
        made.add_row(name, value)
    return made


def instant(seconds: float) -> str:
    """Write an instant of the store's clock, in UTC, for programs and people."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def maybe(write: Callable[[float], str], seconds: float | None) -> str | None:
    """Write *seconds* unless there are none."""
    return None if seconds is None else write(seconds)


_SPANS: Final = (("d", 86_400), ("h", 3600), ("m", 60))


def span(seconds: float) -> str:
    """Write a span as people say it: ``3d 4h``, ``12m``, ``0.4s``."""
    if seconds < 0:
        return f"-{span(-seconds)}"
    if seconds < 60:  # noqa: PLR2004 - a minute
        return f"{seconds:.0f}s" if seconds >= 10 else f"{seconds:.1f}s"  # noqa: PLR2004
    parts, rest = [], int(seconds)
    for unit, size in _SPANS:
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts[:2])


def age(now: float, at: float) -> str:
    """Write how long ago *at* was; a clock that is behind makes nothing negative."""
    return span(max(0.0, now - at))


_SIZES: Final = ("B", "KiB", "MiB", "GiB", "TiB")


def size(count: int) -> str:
    """Write a number of bytes with its unit."""
    amount = float(count)
    for unit in _SIZES:
        if amount < 1024 or unit == _SIZES[-1]:  # noqa: PLR2004 - by definition
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{count} B"
