# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""``keyonce serve``: the sidecar."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from keyonce.cli.extras import needing
from keyonce.cli.opening import config_option, config_path

if TYPE_CHECKING:
    from pathlib import Path


@click.command(name="serve")
@click.option(
    "--upstream", metavar="URL", help="The service behind: scheme, host, port."
)
@click.option("--listen", metavar="HOST:PORT", help="[default: 127.0.0.1:8080]")
@click.option(
    "--admin",
    metavar="HOST:PORT|off",
    help="Metrics and health; never public.  [default: 127.0.0.1:9090]",
)
@click.option("--store", metavar="URL", help="[default: sqlite:///keyonce.db]")
@click.option(
    "--scope",
    metavar="HEADER|none",
    help="Whose key it is: a header that stays the same for one caller.",
)
@config_option
@click.option("--workers", metavar="N", help="Processes.  [default: 1]")
@click.pass_context
def command(ctx: click.Context, /, *, config: Path | None, **flags: str | None) -> None:
    """Guard any HTTP service, in any language, from in front of it.

    A flag wins over the environment (KEYONCE_UPSTREAM and so on), that over the
    file, that over the defaults.
    """
    with needing("serve"):
        from keyonce.proxy.config import load  # noqa: PLC0415 - it needs the extra
        from keyonce.proxy.serve import serve  # noqa: PLC0415 - as above

    given = {name: value for name, value in flags.items() if value is not None}
    ctx.exit(serve(load(config_path(config), given)))
