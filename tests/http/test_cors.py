# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from keyonce.http.cors import allowed_headers, exposed_headers, with_cors
from keyonce.http.dialect import Dialect

ORIGIN = (b"access-control-allow-origin", b"https://a.example")
ALL = (
    b"Idempotency-Replayed, Idempotency-Expires, Idempotency-Status, Retry-After, "
    b"Location, ETag"
)


def test_the_key_is_allowed():
    assert ("Idempotency-Key",) == allowed_headers()


def test_the_marks_are_exposed():
    assert ALL.decode() == ", ".join(exposed_headers())


def test_the_alias_is_exposed_where_it_is_sent():
    assert "Idempotent-Replayed" in exposed_headers(Dialect(replayed_alias=True))


def test_an_answer_to_another_origin_exposes_the_marks():
    assert (ORIGIN, (b"access-control-expose-headers", ALL)) == with_cors((ORIGIN,))


def test_what_is_exposed_already_is_not_repeated():
    exposing = (b"Access-Control-Expose-Headers", b"etag, location,Retry-After, X-A")

    widened = with_cors((ORIGIN, exposing))

    added = b"Idempotency-Replayed, Idempotency-Expires, Idempotency-Status"
    assert (ORIGIN, exposing, (b"access-control-expose-headers", added)) == widened
    assert widened == with_cors(widened)


def test_a_preflight_allows_the_key():
    allowing = (b"access-control-allow-headers", b"content-type")

    widened = with_cors((ORIGIN, allowing))

    key = (b"access-control-allow-headers", b"Idempotency-Key")
    assert (ORIGIN, allowing, key) == widened
    assert widened == with_cors(widened)


@pytest.mark.parametrize(
    "name", [b"access-control-allow-headers", b"access-control-expose-headers"]
)
def test_a_wildcard_is_enough_without_credentials(name):
    headers = (ORIGIN, (name, b"*"))

    assert headers == with_cors(headers)


def test_a_wildcard_is_no_wildcard_with_credentials():
    headers = (
        ORIGIN,
        (b"access-control-allow-credentials", b"true"),
        (b"access-control-expose-headers", b"*"),
    )

    assert 4 == len(with_cors(headers))


@pytest.mark.parametrize(
    "headers",
    [
        ((b"content-type", b"text/plain"),),
        ((b"access-control-allow-headers", b"a"),),
        (ORIGIN, (b"access-control-allow-methods", b"POST")),
    ],
)
def test_nothing_is_allowed_that_was_not(headers):
    assert headers == with_cors(headers)


def test_the_key_header_is_the_services_own():
    allowing = (b"access-control-allow-headers", b"")

    widened = with_cors((ORIGIN, allowing), dialect=Dialect(key_header="X-Once"))

    assert (b"access-control-allow-headers", b"X-Once") in widened
