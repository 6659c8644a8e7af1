# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The text of a scheme says everything, and only what this program knows."""

from __future__ import annotations

import pytest

from keyonce.core.errors import ConfigurationError
from keyonce.core.policy import FingerprintRecipe
from keyonce.core.scheme import Scheme, parse_scheme


@pytest.mark.parametrize(
    ("scheme", "text"),
    [
        (Scheme(), "v1"),
        (Scheme(key_id="2026-01"), "v1;key=2026-01"),
        (Scheme(headers=("X-B", "a", "x-b")), "v1;headers=a,x-b"),
        (Scheme(exclude=("/b", "/a/0", "/b")), "v1;exclude=/a/0,/b"),
        (
            Scheme(("via",), ("/a,b;c=d%/~0 é",), "k"),
            "v1;key=k;headers=via;exclude=/a%2Cb%3Bc=d%25/~0%20%C3%A9",
        ),
    ],
)
def test_the_text_reads_back(scheme, text):
    assert text == scheme.text
    assert scheme == parse_scheme(text)


def test_the_order_of_a_recipe_does_not_matter():
    assert Scheme(("a", "B"), ("/x", "/y")) == Scheme(("b", "A"), ("/y", "/x"))


def test_the_recipe_comes_back():
    recipe = FingerprintRecipe(exclude=("/a",), headers=("via",))

    assert recipe == Scheme(recipe.headers, recipe.exclude).recipe


@pytest.mark.parametrize(
    "text",
    [
        "",
        "v2",
        "v1;",
        "v1;extract=mine",
        "v1;key=",
        "v1;key=a;key=b",
        "v1;headers=",
        "v1;headers=B",
        "v1;headers=b,a",
        "v1;headers=a,a",
        "v1;headers=a;key=k",
        "v1;exclude=a",
        "v1;exclude=/~2",
        "v1;exclude=/%41",
        "v1;exclude=/%ff",
        "v1;exclude=/%FF",
        "v1;exclude=/b,/a",
        "v1 ",
        "v1;exclude=/\ud800",
        "v1;exclude=/é",
    ],
)
def test_another_text_is_an_unknown_scheme(text):
    assert parse_scheme(text) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"key_id": ""},
        {"key_id": "a b"},
        {"key_id": "k" * 33},
        {"headers": ("a b",)},
        {"headers": ("",)},
        {"headers": ("a,b",)},
        {"exclude": ("/~",)},
        {"exclude": ("",)},
        {"exclude": ("/\ud800",)},
    ],
)
def test_a_recipe_that_cannot_work_is_refused(wrong):
    with pytest.raises(ConfigurationError):
        Scheme(**wrong)
