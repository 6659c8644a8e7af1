# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What the page of each example shows is what happens; the index names them all."""

from __future__ import annotations

import re

import pytest

from tests.docs.pages import anchors, links, named, page
from tests.examples.programs import EXAMPLES
from tests.examples.readmes import (
    NAMES,
    Shell,
    is_as_shown,
    killed_at,
    read,
    session,
)

INDEX = "examples/README.md"


@pytest.mark.parametrize("name", NAMES)
def test_every_command_prints_what_is_shown(name, examples):
    shell = Shell(examples(name, PATIENCE="30"))  # where a page needs no silence

    for said in session(read(name)):
        printed = shell.type(said.command)

        assert is_as_shown(said.shown, printed), f"$ {said.command}\n{printed}"


@pytest.mark.parametrize("name", NAMES)
def test_a_page_says_how_to_run_it_and_what_a_kill_does(name):
    started = [each for each in session(read(name)) if each.command.endswith(" &")]

    assert started
    assert killed_at(name)
    assert (EXAMPLES.parent / f"tests/examples/test_{name}.py").is_file()


@pytest.mark.parametrize(
    ("shown", "is_right"),
    [("HTTP/1.1 201 Created\n...\n1\n", True), ("HTTP/1.1 200 OK\n...\n1\n", False)],
)
def test_an_output_that_is_not_as_shown_is_seen(shown, is_right):
    printed = "HTTP/1.1 201 Created\ndate: Mon, 23 Nov 2026\n\n1"

    assert is_right is is_as_shown(shown, printed)


def test_a_kill_at_a_point_that_is_not_there_is_seen(examples):
    with pytest.raises(AssertionError) as failure:
        examples("order").start("app.py", "ship.before")

    assert "has no attribute 'ship'" in failure.value.__notes__[0]


def test_the_index_names_every_example_and_no_other():
    assert {f"{name}/README.md" for name in NAMES} == {
        link for link in links(page(INDEX)) if not link.startswith("..")
    }


def test_every_link_leads_somewhere():
    pages = [EXAMPLES / "README.md", *(EXAMPLES / n / "README.md" for n in NAMES)]

    dead = [
        f"{each.parent.name}: {link}"
        for each in pages
        for link in links(each.read_text(encoding="utf-8"))
        if not leads(each.parent, link)
    ]

    assert [] == dead


def leads(folder, link):
    """Whether *link*, on a page in *folder*, leads to a page and a heading of it."""
    name, _, anchor = link.partition("#")
    target = (folder / name).resolve()
    if not anchor:
        return target.exists()
    return target.is_file() and anchor in anchors(target.read_text(encoding="utf-8"))


def test_guarantees_in_the_index_are_words_of_ours():
    words = named(page("docs/guarantees.md"))

    told = re.findall(r"`([a-z]+(?:-[a-z]+)+)`", page(INDEX))

    assert told
    assert set(told) <= set(words)
