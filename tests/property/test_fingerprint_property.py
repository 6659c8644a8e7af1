# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""No two requests that differ in what counts have one digest."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from keyonce.core.fingerprint import Fingerprinter, FingerprintSource
from keyonce.core.policy import FingerprintRecipe
from keyonce.core.scheme import Scheme, parse_scheme

NAMED = Fingerprinter(FingerprintRecipe(headers=("a", "b")))

short = st.sampled_from([b"", b"1", b":", b"1:", b"a", b"0:", b"r"])
requests = st.tuples(
    st.sampled_from(["POST", "PUT", "P", "1:"]),
    short,
    st.sampled_from([b"", b"r", b"text/plain"]),
    st.lists(st.tuples(st.sampled_from([b"a", b"b", b"c"]), short), max_size=2),
    short,
)


def source(request) -> FingerprintSource:
    method, target, media_type, headers, body = request
    return FingerprintSource(
        method, target, media_type, tuple(headers), len(body), lambda: iter([body])
    )


def what_counts(request) -> object:
    method, target, media_type, headers, body = request
    named = sorted((h for h in headers if h[0] != b"c"), key=lambda header: header[0])
    return method, target, media_type, named, body


@given(requests, requests)
def test_digests_are_equal_exactly_when_what_counts_is(one, other):
    same = NAMED.of(source(one)) == NAMED.of(source(other))

    assert (what_counts(one) == what_counts(other)) is same


pointers = st.text(st.characters(exclude_categories=["Cs"]), max_size=6).map(
    lambda name: "/" + name.replace("~", "~0")
)


@given(
    st.lists(st.sampled_from(["via", "X-A", "!#$%&'*+-.^_`|~"]), max_size=3),
    st.lists(pointers, max_size=3),
    st.none() | st.from_regex(r"[A-Za-z0-9._-]{1,32}", fullmatch=True),
)
def test_the_text_of_a_scheme_reads_back(headers, exclude, key_id):
    scheme = Scheme(tuple(headers), tuple(exclude), key_id)

    assert scheme == parse_scheme(scheme.text)
    assert scheme.text.isascii()
    assert scheme.text.isprintable()


@given(st.text(max_size=20).map(lambda text: "v1;" + text) | st.text(max_size=20))
def test_no_text_breaks_the_reader_of_schemes(text):
    scheme = parse_scheme(text)

    assert scheme is None or text == scheme.text
