# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What a URL says to keyonce, taken out of what it says to the driver."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

from keyonce.core.errors import ConfigurationError
from keyonce.stores.postgres.partitions import Demand, width_of

OPTION: Final = "keyonce_partitions"

_SPAN: Final = re.compile(r"(\d{1,6})(m|h|d)")
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days"}


def addressed(url: str, partitions: timedelta | None) -> tuple[str, Demand | None]:
    """Give the URL for the driver, and what is said about partitions.

    What is given beside the URL wins.

    Raises:
        ConfigurationError: partitions cannot be that long, or it is no span.
    """
    bare, written = _parted(url)
    if partitions is None and written is not None:
        partitions = _span(written)
    return bare, None if partitions is None else Demand(width_of(partitions))


def _parted(url: str) -> tuple[str, str | None]:
    """Part the one option from the others, which stay as they are written."""
    front, asked, query = url.partition("?")
    if not asked or "://" not in front:
        return url, None
    kept, written = [], None
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        if name == OPTION:
            written = value
        else:
            kept.append(pair)
    return front + asked * bool(kept) + "&".join(kept), written


def _span(written: str) -> timedelta:
    found = _SPAN.fullmatch(written)
    if found is None:
        raise ConfigurationError(
            f"{OPTION} in the PostgreSQL URL is {written!r}: write a number with its "
            "unit, as in '30m', '6h' or '1d'."
        )
    return timedelta(**{_UNITS[found[2]]: int(found[1])})
