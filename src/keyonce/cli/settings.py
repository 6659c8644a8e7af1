# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The sidecar's configuration, for commands that only look at its rules."""

from __future__ import annotations

import os
import tomllib
from typing import TYPE_CHECKING, Any, Final

from keyonce.cli.extras import needing

if TYPE_CHECKING:
    from pathlib import Path

    from keyonce.proxy.config import Config

# What 'serve' may be told by flags instead; the commands here have no use for it.
_STANDING_IN: Final = {"upstream": "http://127.0.0.1:1", "scope": "none"}


def settings_of(path: Path) -> Config:
    """Read the file at *path*, without insisting on what a flag may give.

    Raises:
        ConfigurationError: naming everything that is wrong with it.
    """
    with needing("serve"):
        from keyonce.proxy.config import load  # noqa: PLC0415 - it needs the extra

    return load(path, {name: _STANDING_IN[name] for name in left_open(path)})


def left_open(path: Path) -> list[str]:
    """Name what neither the file nor the environment says."""
    return [
        name
        for name in _STANDING_IN
        if name not in _top_of(path) and not os.environ.get(f"KEYONCE_{name.upper()}")
    ]


def _top_of(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
