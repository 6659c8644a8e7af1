# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The documentation as data: its fenced blocks, its tables, its links."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PAGES = tuple(sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]))

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
_CODE = re.compile(r"`([^`]+)`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")


@dataclass(frozen=True, slots=True)
class Fence:
    """One fenced block, and the line of the page that its text begins on."""

    language: str
    line: int
    text: str


def name_of(page: Path) -> str:
    """The page as the reader of a failure knows it."""
    return page.relative_to(ROOT).as_posix()


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def fences(text: str, *languages: str) -> list[Fence]:
    """The blocks in *languages*, in their order."""
    return [
        Fence(found[1], text.count("\n", 0, found.start(2)) + 1, found[2])
        for found in _FENCE.finditer(text)
        if found[1] in languages
    ]


def prose(text: str) -> str:
    """*text* without its blocks, as many lines as before."""
    return _FENCE.sub(lambda found: "\n" * found[0].count("\n"), text)


def section(text: str, heading: str) -> str:
    """What stands under *heading*, until the next one of its level or higher."""
    plain = prose(text)
    start = re.search(rf"^(#+) {re.escape(heading)}$", plain, re.MULTILINE)
    assert start is not None, f"There is no heading {heading!r}."
    rest = plain[start.end() :]
    end = re.search(rf"^#{{1,{len(start[1])}}} ", rest, re.MULTILINE)
    return rest[: end.start()] if end else rest


def rows(text: str) -> Iterator[list[str]]:
    """The rows of every table in *text*, without heads and rules."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    for line, below in zip(lines, [*lines[1:], ""], strict=True):
        if not line.startswith("|---") and not below.startswith("|---"):
            yield [cell.strip() for cell in line.strip("|").split(" | ")]


def codes(text: str) -> list[str]:
    """Everything in backticks."""
    return _CODE.findall(text)


def named(text: str) -> dict[str, list[str]]:
    """The rows of the tables in *text*, by each name in their first cell."""
    return {name: row for row in rows(text) for name in codes(row[0])}


def anchors(text: str) -> set[str]:
    """What the headings of a page can be linked by."""
    headings = (found[2] for found in _HEADING.finditer(prose(text)))
    bare = (re.sub(r"[^\w\- ]", "", heading).lower() for heading in headings)
    return {heading.replace(" ", "-") for heading in bare}


def links(text: str) -> list[str]:
    """Where a page leads, other than to another host."""
    return [link for link in _LINK.findall(prose(text)) if "://" not in link]
