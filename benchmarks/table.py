# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""One line for each thing measured, and the table of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

HEADINGS: Final = ("group", "what", "measured", "ratio", "target", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One measurement.

    *value* is in *unit*. *ratio* compares it with *against*, measured in the same
    run; None where nothing is compared. *met* says whether the target holds; None
    where there is none.
    """

    group: str
    what: str
    value: float
    unit: str
    ratio: float | None = None
    against: str = ""
    target: str = ""
    met: bool | None = None

    def cells(self) -> tuple[str, ...]:
        """Give what stands in the table."""
        verdict = {None: "", True: "met", False: "missed"}[self.met]
        ratio = "" if self.ratio is None else f"{self.ratio:.2f} {self.against}".strip()
        measured = f"{number(self.value)} {self.unit}".strip()
        return (self.group, self.what, measured, ratio, self.target, verdict)


def number(value: float) -> str:
    """Write *value* with three digits that count."""
    whole = 100
    if value == int(value) or abs(value) >= whole:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def show(lines: Iterable[Line]) -> Iterator[str]:
    """Write the table as Markdown, one row at a time."""
    rows = [HEADINGS, *(line.cells() for line in lines)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for index, row in enumerate(rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield f"| {' | '.join(cells)} |"
        if index == 0:
            yield f"|{'|'.join('-' * (width + 2) for width in widths)}|"


def as_json(lines: Iterable[Line]) -> list[dict[str, Any]]:
    """Give the lines as JSON values."""
    return [asdict(line) for line in lines]
