# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Keys in logs and on terminals: nothing moves the cursor, nothing is lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyonce.core.errors import ConfigurationError
from keyonce.telemetry.printable import digest, escape, key_style, quoted

TEXT = st.text(st.characters(codec=None), max_size=60)


@pytest.mark.parametrize("plain", ["", "0c1f-4711", "order 4711", "Käse/é", "a=b,c"])
def test_printable_text_stays_as_it_is(plain):
    assert plain == escape(plain)


@pytest.mark.parametrize(
    ("raw", "written"),
    [
        ("a\r\nb", r"a\r\nb"),
        ("\x1b[2J", r"\x1b[2J"),
        ("a\\nb", r"a\\nb"),
        ("\u202egnp", r"\u202egnp"),
        ("\u2028", r"\u2028"),
        ("\ud800", r"\ud800"),
    ],
)
def test_what_could_forge_a_line_is_escaped(raw, written):
    assert written == escape(raw)


@given(TEXT)
def test_nothing_unprintable_is_left(text):
    assert escape(text).isprintable()
    assert quoted(text).isprintable()


@given(TEXT, TEXT)
def test_two_texts_never_look_alike(one, other):
    assert (one == other) == (escape(one) == escape(other))
    assert (one == other) == (quoted(one) == quoted(other))


@given(TEXT)
def test_a_quoted_word_cannot_pose_as_two_fields(text):
    written = quoted(text)

    assert written.startswith('"') or (" " not in written and "=" not in written)
    assert written.startswith('"') == written.endswith('"')


@given(TEXT)
def test_a_digest_is_short_and_the_same_every_time(text):
    assert digest(text) == digest(text)
    assert len(digest(text)) == len("sha256:") + 16


def test_an_unknown_style_is_refused():
    with pytest.raises(ConfigurationError, match="not as 'none'"):
        key_style("none")
