# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The queries as they are sent: without the comments."""

from __future__ import annotations

from typing import Final

from keyonce.stores.statement import queries_of

PACKAGE: Final = "keyonce.stores.postgres"


def bare_queries() -> dict[str, bytes]:
    """Read the queries that the procedures name."""
    return {name: _bare(text) for name, text in queries_of(PACKAGE).items()}


def _bare(text: str) -> bytes:
    lines = [line for line in text.splitlines() if not line.startswith("--")]
    return "\n".join(lines).encode()
