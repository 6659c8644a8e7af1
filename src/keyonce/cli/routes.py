# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""``keyonce routes``: which write endpoints of an app are guarded."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from keyonce.cli.apps import endpoints_of, load_app
from keyonce.cli.endpoints import Guard, Judged, Verdict, in_order, judge
from keyonce.cli.openapi import SUFFIXES, endpoints_in, load_document
from keyonce.cli.opening import config_path
from keyonce.cli.output import ROOMY, console, emit, json_option, plain, table
from keyonce.cli.settings import settings_of
from keyonce.core.errors import ConfigurationError
from keyonce.http.operation import Rules

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

    from keyonce.cli.endpoints import Endpoint

_STYLES: Final = {
    Verdict.GUARDED: "green",
    Verdict.OPTIONAL: "green",
    Verdict.ROLLOUT: "yellow",
    Verdict.BY_METHOD: "dim",
    Verdict.UNGUARDED: "bold red",
}
_MEANINGS: Final = {
    Verdict.GUARDED: "a key is required; a retry gets the first answer",
    Verdict.OPTIONAL: "a retry gets the first answer if it brings a key",
    Verdict.ROLLOUT: "guarded for some keys, or only watched so far",
    Verdict.BY_METHOD: "repeating changes nothing, if it is written as HTTP means it",
    Verdict.UNGUARDED: "a retry runs the work again",
}


@click.command(name="routes")
@click.argument("app", metavar="MODULE:APP|FILE")
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also count the rules of this sidecar configuration.",
)
@click.option("--strict", is_flag=True, help="End with 1 if a retry could do harm.")
@json_option
@click.pass_context
def command(
    ctx: click.Context, /, *, app: str, config: Path | None, strict: bool, as_json: bool
) -> None:
    """List the write endpoints of an app, and whether each is guarded.

    The app is a Starlette, FastAPI or Flask application (Litestar and Quart show
    their routes alike), or an OpenAPI file (.json, or .yaml where PyYAML is
    installed). PUT and DELETE without a guard are "by-method": --strict lets them
    pass.
    """
    guards = _configured(config)
    judged = [judge(endpoint, *guards) for endpoint in in_order(_endpoints(app))]
    harmful = sum(found.verdict.harmful for found in judged)
    if as_json:
        emit({"endpoints": [asdict(found) for found in judged], "harmful": harmful})
    else:
        _print(console(), judged)
    ctx.exit(1 if strict and harmful else 0)


def _configured(config: Path | None) -> list[Guard]:
    path = config_path(config) if config else None
    return [Guard(Rules(settings_of(path).rules), "config")] if path else []


def _endpoints(app: str) -> Iterable[Endpoint]:
    if app.endswith(SUFFIXES):
        return endpoints_in(load_document(Path(app)))
    if ":" not in app:
        raise ConfigurationError(
            f"{app!r} is neither an application nor a file: write "
            "'shop.main:app' or 'openapi.json'."
        )
    return endpoints_of(load_app(app))


def _print(terminal: Console, judged: list[Judged]) -> None:
    if not judged:
        terminal.print("No write endpoints.")
        return
    roomy = terminal.width >= ROOMY
    more = ("by", "rule", "mode") if roomy else ("rule",)
    listing = table("method", "path", "second run", "key", *more)
    for found in judged:
        style = _STYLES[found.verdict]
        cells = [found.method, found.path]
        rest = [found.guarded_by, found.rule, found.mode] if roomy else [found.rule]
        listing.add_row(
            *map(plain, cells),
            plain(found.verdict, style),
            *(plain(cell or "-", "dim") for cell in (found.key, *rest)),
        )
    terminal.print(listing)
    _print_legend(terminal, judged)


def _print_legend(terminal: Console, judged: list[Judged]) -> None:
    for verdict in Verdict:
        count = sum(found.verdict is verdict for found in judged)
        if count:
            line = plain(f"{count} {verdict}", _STYLES[verdict])
            terminal.print(line.append(f": {_MEANINGS[verdict]}", style="default"))
