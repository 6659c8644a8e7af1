# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""``keyonce seal-key``: make a key for a sealed store."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

import click

from keyonce.stores.sealed.ring import KEY_BYTES, written


@click.command(name="seal-key")
@click.argument("key_id", metavar="[ID]", required=False)
def command(key_id: str | None) -> None:
    """Print a fresh key as 'ID:KEY', for KEYONCE_SEAL_KEYS.

    ID is today's date if you give none. The first key of a ring seals, the others
    open what they have sealed: put a new one in front. Never give an ID twice.
    """
    today = datetime.now(UTC).date().isoformat()
    click.echo(written(key_id or today, secrets.token_bytes(KEY_BYTES)))
