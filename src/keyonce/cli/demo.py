# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""``keyonce demo``: see it work on a toy shop."""

from __future__ import annotations

import click

from keyonce.cli.extras import needing
from keyonce.cli.output import json_option


@click.command(name="demo")
@click.option("--keep", is_flag=True, help="Leave both sides running, to try by hand.")
@click.option(
    "--operations",
    type=click.IntRange(min=1),
    default=2000,
    show_default=True,
    help="How many logical operations.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="The same storm.")
@json_option
@click.pass_context
def command(
    ctx: click.Context, /, *, keep: bool, operations: int, seed: int, as_json: bool
) -> None:
    """See it work: the same storm of retries on a bare and a guarded shop.

    Duplicates at once, lost answers, callers that hang up, a worker killed at
    work, keys reused. Ends with 0 only if nothing happened twice behind the guard.
    """
    with needing("serve"):
        from keyonce.demo.run import run  # noqa: PLC0415 - it needs the extra

    options = {"keep": keep, "operations": operations, "seed": seed, "json": as_json}
    ctx.exit(run(options))
