# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyonce.core.errors import ConfigurationError
from keyonce.http.messages import RequestHead
from keyonce.http.scope import MissingScope, by_function, by_header, shared


def head(*headers: tuple[bytes, bytes], **context: Any) -> RequestHead:
    return RequestHead("POST", b"/a", headers=headers, context=context)


def test_a_hashed_header_does_not_show_its_value():
    scope = by_header("X-Api-Key")(head((b"x-api-key", b"secret-42")))

    assert isinstance(scope, str)
    assert 22 == len(scope)
    assert "secret" not in scope


def test_a_hashed_scope_is_the_same_in_every_release():
    # SHA-256 of "keyonce scope 1", NUL, "x-api-key", NUL, "secret-42"
    assert "WNGnl4hQmg_j1LZattYbPQ" == by_header("X-Api-Key")(
        head((b"x-api-key", b"secret-42"))
    )


def test_a_header_can_be_taken_as_it_is():
    read = by_header("X-Tenant", hashed=False)

    assert "x-tenant:t1" == read(head((b"x-tenant", b" t1 ")))


@pytest.mark.parametrize(
    "headers",
    [
        (),
        ((b"x-tenant", b""),),
        ((b"x-tenant", b" \t"),),
        ((b"x-tenant", b"a"), (b"x-tenant", b"b")),
        ((b"x-tenant", b"a"), (b"x-tenant", b"a")),
        ((b"x-tenant", b"a,b"),),
        ((b"x-tenant", b"a, b"),),
    ],
)
@pytest.mark.parametrize("hashed", [True, False])
def test_a_header_absent_empty_or_there_twice_tells_no_scope(headers, hashed):
    told = by_header("X-Tenant", hashed=hashed)(head(*headers))

    assert isinstance(told, MissingScope)
    assert "X-Tenant" in told.detail


def test_commas_are_taken_where_they_are_meant():
    read = by_header("X-Subject", hashed=False, commas_ok=True)

    assert "x-subject:CN=a,O=b" == read(head((b"x-subject", b"CN=a,O=b")))


@pytest.mark.parametrize("name", ["Authorization", "cookie", "Proxy-Authorization"])
def test_a_rotating_header_is_refused_and_told_why(name):
    with pytest.raises(ConfigurationError, match="no stable principal"):
        by_header(name)


def test_a_rotating_header_is_taken_when_said_aloud():
    read = by_header("Authorization", rotating_ok=True)

    assert isinstance(read(head((b"authorization", b"Bearer abc"))), str)


@pytest.mark.parametrize("name", ["", "X Api", "X-Api:", "Idempotency-Key"])
def test_what_is_no_header_of_a_principal_is_refused(name):
    with pytest.raises(ConfigurationError):
        by_header(name)


def test_a_shared_scope_is_asked_for_by_name():
    assert "(anonymous)" == shared("anonymous")(head())


def test_a_shared_scope_without_a_name_is_refused():
    with pytest.raises(ConfigurationError, match="name"):
        shared("")


def test_a_function_tells_the_scope_from_the_context():
    read = by_function(lambda context: context["user"])

    assert "@alice" == read(head(user="alice"))


@pytest.mark.parametrize("nobody", [None, ""])
def test_a_function_that_knows_nobody_tells_no_scope(nobody):
    assert isinstance(by_function(lambda _: nobody)(head()), MissingScope)


def test_a_function_that_gives_no_text_is_a_clear_error():
    wrong: Any = lambda context: 42  # noqa: E731

    with pytest.raises(ConfigurationError, match=r"str\(user.id\)"):
        by_function(wrong)(head())


def test_readers_of_different_kinds_never_meet():
    value = "(all)"
    scopes = [
        shared("all")(head()),
        by_function(lambda _: value)(head()),
        by_header("X-A", hashed=False)(head((b"x-a", value.encode()))),
        by_header("X-B", hashed=False)(head((b"x-b", value.encode()))),
        by_header("X-A")(head((b"x-a", value.encode()))),
        by_header("X-B")(head((b"x-b", value.encode()))),
    ]

    assert len(scopes) == len(set(scopes))


@given(st.text(min_size=1, max_size=600))
def test_a_scope_is_short_printable_ascii(principal):
    scope = by_function(lambda _: principal)(head())

    assert isinstance(scope, str)
    assert 0 < len(scope) <= 255
    assert scope.isascii()
    assert scope.isprintable()


def known_as(principal: str) -> str | MissingScope:
    return by_function(lambda _: principal)(head())


@given(st.text(min_size=1, max_size=300), st.text(min_size=1, max_size=300))
def test_two_principals_have_two_scopes(left, right):
    assert (left == right) == (known_as(left) == known_as(right))


def test_principals_too_long_to_keep_have_two_scopes():
    assert known_as("a" * 300) != known_as("a" * 301)


def test_readers_say_what_they_read():
    assert "the header X-Api-Key (hashed)" == str(by_header("X-Api-Key"))
    assert "the header X-Tenant" == str(by_header("X-Tenant", hashed=False))
    assert "shared by all callers" in str(shared("anonymous"))
    assert "principal" in str(by_function(lambda _: "a"))
