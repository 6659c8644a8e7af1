# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Why Redis has nothing to migrate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keyonce.stores.redis.address import address_of
from keyonce.stores.redis.rows import FORM
from keyonce.stores.schema import Outlook

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keyonce.stores.schema import Migration


class RedisSchema:
    """Records that each say their own form; nothing is asked of the server."""

    def __init__(self, url: str) -> None:
        """Read the URL."""
        address_of(url)

    def look(self) -> Outlook:
        return Outlook(
            "the Redis server",
            FORM,
            note="Redis has no schema: there is nothing to migrate. Each record says "
            f"its own form; this keyonce writes form {FORM}.",
        )

    def migrate(self, *, contract: bool = False) -> tuple[Migration, ...]:
        del contract
        return ()

    def script(self, migrations: Sequence[Migration]) -> str:
        del migrations
        return ""
