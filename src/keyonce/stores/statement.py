# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What a procedure yields, and the file of named queries that it speaks of."""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from importlib.resources import files
from typing import Any, Final, NamedTuple, TypeVar

R = TypeVar("R")

Row = tuple[Any, ...]
Values = tuple[Any, ...] | Mapping[str, Any]

_NAME: Final = re.compile(r"^-- (\w+) --$", re.MULTILINE)


class Statement(NamedTuple):
    """Ask for the query of that name, with these values. Answer: its rows."""

    query: str
    values: Values = ()


Procedure = Generator[Statement, list[Row], R]


def queries_of(package: str) -> dict[str, str]:
    """Read the `queries.sql` of *package*: blocks headed `-- name --`."""
    return queries_in(files(package).joinpath("queries.sql").read_text("utf-8"))


def queries_in(text: str) -> dict[str, str]:
    """Read the blocks of *text*, by the names above them."""
    parts = _NAME.split(text)
    return {
        name: block.strip().removesuffix(";")
        for name, block in zip(parts[1::2], parts[2::2], strict=True)
    }
