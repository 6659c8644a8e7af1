# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyonce.core.errors import ConfigurationError
from keyonce.core.policy import Policy
from keyonce.http.keep import (
    check_headers,
    kept_headers,
    replayed_headers,
    without_own,
    without_steering,
)

PLAIN = (
    (b"Content-Type", b"text/plain"),
    (b"link", b"<a>"),
    (b"x-more", b"1"),
    (b"link", b"<b>"),
    (b"content-encoding", b"gzip"),
    (b"etag", b'"1"'),
    (b"location", b"/a"),
    (b"x-empty", b""),
    (b"x-latin", b"caf\xe9"),
)

FORBIDDEN = [
    *(b"connection", b"keep-alive", b"te", b"trailer", b"transfer-encoding"),
    *(b"upgrade", b"proxy-authenticate", b"proxy-connection", b"proxy-anything"),
    *(b"date", b"age", b"server", b"via", b"content-length"),
    *(b"set-cookie", b"www-authenticate", b"authentication-info", b"clear-site-data"),
    *(b"ratelimit", b"ratelimit-policy", b"ratelimit-remaining"),
    *(b"x-ratelimit-reset", b"retry-after"),
    *(b"traceparent", b"tracestate", b"x-request-id", b"x-correlation-id"),
    *(b"access-control-allow-origin", b"access-control-expose-headers"),
    *(b"keyonce-outcome", b"keyonce-reference", b"keyonce-anything"),
    *(b"idempotency-replayed", b"idempotency-expires", b"idempotency-status"),
    b"idempotent-replayed",
]
ALWAYS = [*FORBIDDEN[:9], b"content-length", b"date", *FORBIDDEN[-7:]]


def test_everything_end_to_end_is_kept_in_order_with_duplicates():
    assert PLAIN == kept_headers(PLAIN, Policy())


@pytest.mark.parametrize("name", FORBIDDEN)
@pytest.mark.parametrize("spelled", [bytes.lower, bytes.title, bytes.upper])
def test_what_belongs_to_another_moment_is_not_kept(name, spelled):
    headers = (PLAIN[0], (spelled(name), b"1"), PLAIN[1])

    assert PLAIN[:2] == kept_headers(headers, Policy())


def test_what_connection_names_is_not_kept():
    headers = ((b"Connection", b"close, X-More"), (b"connection", b"LINK"), *PLAIN)

    assert {b"x-more", b"link"}.isdisjoint(
        name for name, _ in kept_headers(headers, Policy(keep_headers=("link",)))
    )


def test_a_policy_keeps_more():
    policy = Policy(keep_headers=("Set-Cookie", "X-RateLimit-*"))
    headers = ((b"set-cookie", b"a=1"), (b"x-ratelimit-left", b"3"), (b"via", b"x"))

    assert headers[:2] == kept_headers(headers, policy)


def test_a_policy_drops_more():
    policy = Policy(drop_headers=("ETag", "X-*"))

    kept = kept_headers(PLAIN, policy)

    assert {b"Content-Type", b"link", b"content-encoding", b"location"} == {
        name for name, _ in kept
    }


def test_dropping_wins_over_keeping():
    policy = Policy(keep_headers=("Set-Cookie",), drop_headers=("Set-Cookie",))

    assert () == kept_headers(((b"set-cookie", b"a=1"),), policy)


@pytest.mark.parametrize(
    "name",
    ["Connection", "content-length", "Proxy-Status", "Keyonce-*", "*", "Tra*", "a b"],
)
def test_a_policy_cannot_keep_what_is_never_kept(name):
    with pytest.raises(ConfigurationError, match="keep_headers"):
        check_headers(Policy(keep_headers=(name,)))


def test_a_policy_cannot_drop_what_is_no_header():
    with pytest.raises(ConfigurationError, match="drop_headers"):
        check_headers(Policy(drop_headers=("a:b",)))


CORS = (
    (b"access-control-allow-origin", b"https://shop.example"),
    (b"access-control-expose-headers", b"etag"),
)


def test_the_sidecar_keeps_cors():
    assert CORS == kept_headers(CORS, Policy(), keep_cors=True)


def test_in_process_cors_is_not_kept():
    assert () == kept_headers(CORS, Policy())


def test_cors_is_replayed_to_the_same_origin_only():
    assert (*CORS, *PLAIN) == replayed_headers((*CORS, *PLAIN), b"https://shop.example")
    assert PLAIN == replayed_headers((*CORS, *PLAIN), b"https://evil.example")
    assert PLAIN == replayed_headers((*CORS, *PLAIN), None)


def test_cors_for_every_origin_is_replayed_to_every_origin():
    headers = ((b"access-control-allow-origin", b"*"), *PLAIN)

    assert headers == replayed_headers(headers, b"https://any.example")


def test_cors_that_allowed_no_origin_or_two_is_not_replayed():
    twice = (CORS[0], *CORS)

    assert () == replayed_headers(CORS[1:], b"https://shop.example")
    assert () == replayed_headers(twice, b"https://shop.example")


@pytest.mark.parametrize("value", [b"a\r\nx: y", b"a\n", b"\x00", b"a\x7f", b"\r"])
def test_a_forged_value_is_not_replayed(value):
    assert PLAIN == replayed_headers((*PLAIN, (b"x-forged", value)), None)


@pytest.mark.parametrize("name", [b"", b"x y", b"x\r\ny", b"x:", b"\xff"])
def test_a_forged_name_is_not_replayed(name):
    assert PLAIN == replayed_headers((*PLAIN, (name, b"a")), None)


NAMES = st.sampled_from([*FORBIDDEN, b"link", b"x-a", b"etag"]).flatmap(
    lambda name: st.sampled_from([name, name.upper(), name.title()])
) | st.binary(max_size=12)
VALUES = st.sampled_from([b"close", b"x-a, link", b"*", b"a\r\nb: c"]) | st.binary(
    max_size=12
)
HEADERS = st.lists(st.tuples(NAMES, VALUES), max_size=12).map(tuple)
WORDS = st.lists(
    st.sampled_from(["Set-Cookie", "X-*", "Link", "Via", "Retry-After"]), max_size=3
).map(tuple)


@given(HEADERS, WORDS, WORDS, st.booleans())
def test_no_forbidden_header_is_replayed_whatever_the_app_sent(
    headers, keep, drop, cors
):
    policy = Policy(keep_headers=keep, drop_headers=drop)

    kept = kept_headers(headers, policy, keep_cors=cors)
    replayed = replayed_headers(kept, b"https://shop.example")

    allowed = {name.lower().encode() for name in keep}
    names = {name.lower() for name, _ in replayed}
    assert names.isdisjoint(ALWAYS)
    assert not any(name.startswith((b"proxy-", b"keyonce-")) for name in names)
    assert names.isdisjoint(
        name
        for name in FORBIDDEN
        if name not in allowed
        and not (name.startswith(b"x-") and "X-*" in keep)
        and not (name.startswith(b"access-control-") and cors)
    )
    assert not any(set(value) & set(b"\r\n\x00") for _, value in replayed)
    # What is left is a part of what was sent, in its order.
    rest = iter(headers)
    assert all(header in rest for header in replayed)


@given(HEADERS)
def test_nothing_unlisted_is_lost(headers):
    plain = tuple(
        (name, value)
        for name, value in headers
        if name.lower() in {b"link", b"x-a", b"etag"}
        and not any(n.lower() == b"connection" for n, _ in headers)
    )

    kept = kept_headers(headers, Policy())

    assert plain == tuple(h for h in kept if h in plain)


def test_our_own_headers_are_taken_off():
    headers = ((b"Keyonce-Outcome", b"store"), *PLAIN, (b"idempotency-replayed", b"1"))

    assert PLAIN == without_own(headers)


def test_the_marks_of_an_unguarded_upstream_are_its_own():
    marked = (*PLAIN, (b"Idempotency-Replayed", b"true"))

    assert marked == without_steering((*marked, (b"KEYONCE-Outcome", b"release")))
    assert marked is without_steering(marked)


def test_headers_without_any_of_ours_are_left_as_they_are():
    assert PLAIN is without_own(PLAIN)
