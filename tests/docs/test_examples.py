# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What the documentation shows as output is what the program says."""

from __future__ import annotations

import json

from keyonce.http.catalogue import key_reused
from keyonce.http.problem import response
from keyonce.proxy.banner import banner
from keyonce.proxy.config import load
from keyonce.stores.memory import TRAITS
from tests.docs.pages import codes, fences, page, prose


def test_the_problem_in_the_readme_is_the_one_that_is_sent():
    shown = _block("README.md", "HTTP/1.1 422")

    sent = response(key_reused(fields=["/item"]))

    assert json.loads(sent.body) == json.loads(shown[shown.index("{") :])


def test_the_lines_at_the_start_are_those_that_serve_says():
    flags = {"upstream": "http://127.0.0.1:8000", "scope": "X-Api-Key"}
    config = load(None, flags, {})
    traits = type(TRAITS)("sqlite", frozenset(), durable=True, many_processes=True)

    said = banner(
        config, traits, (), listening="127.0.0.1:8080", admin="127.0.0.1:9090"
    )

    assert said == _block("docs/sidecar.md", "keyonce on ")


def test_what_serve_promises_without_a_file_is_in_the_readme():
    readme = page("README.md")

    config = load(None, {"upstream": "http://127.0.0.1:8000", "scope": "none"}, {})

    assert str(config.listen) in readme
    assert "./" + config.store.removeprefix("sqlite:///") in codes(prose(readme))


def _block(name, beginning):
    """The text of the block of a page that begins so, newlines in JSON undone."""
    found = [
        fence.text
        for fence in fences(page(name), "console")
        if fence.text.startswith(beginning)
    ]
    assert 1 == len(found)
    head, brace, body = found[0].partition("{")
    return head + brace + body.replace("\n ", " ")
