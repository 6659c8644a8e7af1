# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Every command line of the documentation is one that the program understands."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from keyonce.cli.group import SECTIONS, keyonce
from tests.docs.pages import PAGES, ROOT, codes, fences, name_of, named, page, prose

_SETTING = re.compile(r"[A-Z_]+=").match


def command_lines(text: str) -> list[str]:
    """What a page tells to type: in its blocks, and in its sentences."""
    blocks = fences(text, "sh", "console")
    lines = [
        line.removeprefix("$ ")
        for block in blocks
        for line in block.text.replace("\\\n", " ").splitlines()
        if block.language == "sh" or line.startswith("$ ")
    ]
    return [line for line in [*lines, *codes(prose(text))] if _ours(line)]


def _ours(line: str) -> bool:
    return line.startswith(("keyonce ", "python -m keyonce ", "KEYONCE_"))


LINES = [
    pytest.param(line, id=f"{name_of(found)}: {line}")
    for found in PAGES
    for line in dict.fromkeys(command_lines(found.read_text(encoding="utf-8")))
    if "keyonce " in line
]


def understand(line: str) -> None:
    """Parse *line* as the program would, running nothing.

    Raises:
        click.UsageError: it is no command of ours.
    """
    words = shlex.split(line, comments=True)
    words = [word for word in words if not _SETTING(word)]
    rest = words[words.index("keyonce") + 1 :]
    for word in rest:
        if "." in word and "/" not in word:
            Path(word).touch()  # a file that the reader has
    command: click.Command = keyonce
    while isinstance(command, click.Group):
        context = click.Context(command)
        if not rest:
            return
        found = command.get_command(context, rest[0])
        if found is None:
            raise click.UsageError(f"There is no command {rest[0]!r}.")
        command, rest = found, rest[1:]
    if rest:  # else a sentence only names the command
        with command.make_context(command.name, rest):
            pass


@pytest.mark.parametrize("line", LINES)
def test_every_command_line_is_understood(line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    understand(line)


@pytest.mark.parametrize(
    "line", ["keyonce vanish", "keyonce keys forget K", "keyonce serve --scop X"]
)
def test_a_command_line_that_is_wrong_is_seen(line):
    with pytest.raises(click.UsageError):
        understand(line)


def test_the_table_of_commands_is_whole():
    documented = named(page("docs/operations.md"))

    commands = {f"keyonce {name}" for section in SECTIONS.values() for name in section}

    assert commands == {name for name in documented if name.startswith("keyonce ")}


def test_scripts_that_are_named_exist():
    told = re.findall(r"\bscripts/[\w-]+", "".join(map(page, map(name_of, PAGES))))

    assert {"scripts/demo", "scripts/test"} <= set(told)
    assert [] == [name for name in told if not (ROOT / name).is_file()]
