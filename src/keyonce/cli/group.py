# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The commands, each loaded only when it is asked for."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

import click

from keyonce.cli.output import fail
from keyonce.core.errors import IdempotencyError, SettlementRefused

if TYPE_CHECKING:
    from collections.abc import Mapping

SECTIONS: Final[Mapping[str, Mapping[str, str]]] = {
    "Run": {
        "demo": "See it work: a toy shop, a storm of retries, what happened.",
        "serve": "Guard any HTTP service, from in front of it.",
    },
    "Look": {
        "keys": "List, show, resolve and release keys.",
        "stats": "How many keys there are, and what they occupy.",
        "doctor": "Check the store, and what it promises as configured.",
        "routes": "Which write endpoints of an app are guarded.",
    },
    "Care": {
        "purge": "Remove expired records.",
        "migrate": "Bring the store's tables up to date.",
        "plan": "What a store will need, for a rate and a retention.",
        "seal-key": "Make a key for outcomes that are encrypted at rest.",
    },
}

NEGATIVE: Final = 1
MEND: Final = 2


class Commands(click.Group):
    """A group that imports a command when it is run, and turns errors to sentences."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Give the names, in the order of the help."""
        del ctx
        return [name for section in SECTIONS.values() for name in section]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load the command *cmd_name*."""
        if cmd_name not in self.list_commands(ctx):
            return None
        command: click.Command = import_module(
            f"keyonce.cli.{cmd_name.replace('-', '_')}"
        ).command
        return command

    def format_commands(
        self, ctx: click.Context, formatter: click.HelpFormatter
    ) -> None:
        """Write the commands by section, importing none of them."""
        del ctx
        for section, commands in SECTIONS.items():
            with formatter.section(section):
                formatter.write_dl(list(commands.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an error of ours becomes a sentence and a status."""
        try:
            return super().invoke(ctx)
        except SettlementRefused as exc:
            fail(str(exc), status=NEGATIVE)
        except IdempotencyError as exc:
            fail(str(exc), status=MEND)


@click.command(
    cls=Commands,
    epilog="Each command has --help, and --json where it prints what it found.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(version("keyonce"), "--version", message="keyonce %(version)s")
def keyonce() -> None:
    """Idempotency keys: the work runs once, every retry gets the same answer."""
