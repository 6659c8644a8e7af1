# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The command line: what an operator types."""

from __future__ import annotations

import importlib.util
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

_NEEDED = ("click", "rich")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command in *argv*, or in the program's arguments; exit with its status.

    The status is 0 when all is well, 1 for a negative result, 2 when the command,
    the configuration or the store has to be mended first.
    """
    if not all(map(importlib.util.find_spec, _NEEDED)):
        sys.stderr.write(
            "keyonce: the command line needs click and rich: "
            "pip install 'keyonce[cli]'\n"
        )
        return 2
    from keyonce.cli.group import keyonce  # noqa: PLC0415 - only where click is

    keyonce.main(args=argv and list(argv), prog_name="keyonce")
    return 0
