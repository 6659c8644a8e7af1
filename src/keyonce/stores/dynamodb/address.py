# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Where the table is: a name, or a `dynamodb://` URL with its options."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from keyonce.core.errors import ConfigurationError

SCHEME: Final = "dynamodb:"
SKEW: Final = timedelta(seconds=2)
LARGEST_SKEW: Final = timedelta(minutes=5)

_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{3,255}")
_SPAN: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m)")
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0}
_OPTIONS: Final = ("region", "endpoint", "skew")
_EXAMPLE: Final = "'dynamodb://keyonce?region=eu-central-1'"


class Address(NamedTuple):
    """A table, where it is, and how far the clocks around it may differ."""

    table: str
    region: str | None = None
    endpoint: str | None = None
    skew: timedelta = SKEW


def address_of(
    table: str,
    *,
    region: str | None = None,
    endpoint: str | None = None,
    skew: timedelta | None = None,
) -> Address:
    """Read a table's name or URL; what is given beside it wins.

    Raises:
        ConfigurationError: it names no table, or an option cannot be.
    """
    found = _in_url(table) if table.startswith(SCHEME) else Address(table)
    address = Address(
        found.table,
        region or found.region,
        endpoint or found.endpoint,
        found.skew if skew is None else skew,
    )
    _check(address)
    return address


def _in_url(url: str) -> Address:
    parts = urlsplit(url)
    if "@" in parts.netloc:
        raise ConfigurationError(
            "A DynamoDB URL has no user and no password: credentials come from the "
            f"environment, a profile or a role. Write {_EXAMPLE}."
        )
    if parts.path not in ("", "/") or parts.fragment:
        raise ConfigurationError(
            f"A DynamoDB URL names one table and nothing below it: {_EXAMPLE}."
        )
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    strange = sorted(options.keys() - set(_OPTIONS))
    if strange:
        raise ConfigurationError(
            f"A DynamoDB URL has no option {strange[0]!r}; it has "
            f"{', '.join(_OPTIONS)}. Write {_EXAMPLE}."
        )
    skew = _span(options["skew"]) if "skew" in options else SKEW
    region, endpoint = options.get("region"), options.get("endpoint")
    return Address(parts.netloc, region or None, endpoint or None, skew)


def _span(text: str) -> timedelta:
    matched = _SPAN.fullmatch(text)
    if matched is None:
        raise ConfigurationError(
            f"skew is a time with its unit, such as 'skew=2s' or 'skew=500ms', "
            f"not {text!r}."
        )
    return timedelta(seconds=float(matched[1]) * _UNITS[matched[2]])


def _check(address: Address) -> None:
    if _NAME.fullmatch(address.table) is None:
        raise ConfigurationError(
            f"{address.table!r} is no name of a DynamoDB table (3 to 255 letters, "
            f"digits, '_', '.', '-'). Write {_EXAMPLE}."
        )
    if not timedelta(0) <= address.skew <= LARGEST_SKEW:
        raise ConfigurationError(
            f"skew is between 0 and {LARGEST_SKEW.seconds // 60} minutes: the most "
            "by which two machines' clocks may differ."
        )
    endpoint = address.endpoint
    if endpoint and urlsplit(endpoint).scheme not in ("http", "https"):
        raise ConfigurationError(f"endpoint is an http or https URL, not {endpoint!r}.")
