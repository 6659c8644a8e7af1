# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What a command needs that was not installed."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from keyonce.core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def needing(extra: str) -> Iterator[None]:
    """Say which *extra* to install when an import inside the block finds nothing.

    Raises:
        ConfigurationError: a package outside keyonce is missing.
    """
    try:
        yield
    except ModuleNotFoundError as exc:
        missing = (exc.name or "").partition(".")[0]
        if missing in {"", "keyonce"}:
            raise
        raise ConfigurationError(
            f"This command needs the package {missing}: pip install 'keyonce[{extra}]'"
        ) from exc
