# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyonce.core.errors import ConfigurationError
from keyonce.core.policy import Policy
from keyonce.http.operation import Rule, Rules, operation_of

METHODS = st.sampled_from(["POST", "PATCH", "PUT", "DELETE", "MOVE"])
PATHS = st.text("/abAB09._~-", max_size=12).map(lambda text: f"/{text}".encode())


def test_an_operation_is_method_and_raw_path():
    assert "POST /a%2Fb/c" == operation_of("POST", b"/a%2fb/c")


def test_an_operation_has_no_query():
    assert "POST /a" == operation_of("POST", b"/a?b=c")


def test_an_escaped_slash_is_no_slash():
    assert operation_of("POST", b"/a%2Fb") != operation_of("POST", b"/a/b")


def test_an_escaped_letter_is_not_that_letter():
    assert operation_of("POST", b"/%61") != operation_of("POST", b"/a")


def test_the_letter_case_of_a_method_makes_no_other_operation():
    assert operation_of("POST", b"/a") == operation_of("post", b"/a")


@given(st.tuples(METHODS, PATHS), st.tuples(METHODS, PATHS))
def test_two_operations_have_two_names(left, right):
    assert (left == right) == (operation_of(*left) == operation_of(*right))


@given(METHODS, st.binary(max_size=900))
def test_a_name_is_short_printable_ascii(method, path):
    name = operation_of(method, path)

    assert name.isascii()
    assert name.isprintable()
    assert len(name) <= 512


def test_long_paths_keep_two_names():
    long = b"/" + b"a" * 3000

    names = {operation_of("POST", long + end) for end in (b"", b"a", b"b")}

    assert 3 == len(names)


def test_no_short_path_has_the_name_of_a_long_one():
    shortened = operation_of("POST", b"/" + b"a" * 3000)

    assert shortened != operation_of("POST", shortened.removeprefix("POST ").encode())


@pytest.mark.parametrize(
    ("match", "path", "found"),
    [
        ("POST /payments", b"/payments", True),
        ("POST /payments", b"/payments/", False),
        ("POST /payments", b"/payments/7", False),
        ("POST /payments", b"//payments", False),
        ("POST /", b"/", True),
        ("POST /a.b", b"/aXb", False),
        ("POST /a%2fb", b"/a%2Fb", True),
        ("POST /a%2Fb", b"/a/b", False),
        ("POST /a", b"/%61", False),
        ("POST /café", b"/caf%c3%a9", True),
        ("/orders/*", b"/orders/7", True),
        ("/orders/*", b"/orders/", False),
        ("/orders/*", b"/orders/7/lines", False),
        ("/orders/*", b"/orders/7%2F8", True),
        ("/orders/{id}/lines", b"/orders/7/lines", True),
        ("/orders/{id}", b"/orders/7/lines", False),
        ("/orders/**", b"/orders", True),
        ("/orders/**", b"/orders/7/lines", True),
        ("/orders/**", b"/ordersX", False),
        ("/**", b"/", True),
        ("/**", b"/a/\n/\xff", True),
        ("/**", b"*", True),
        ("/a/*/**", b"/a", False),
        ("/a/*/**", b"/a/b/c/d", True),
    ],
)
def test_a_rule_matches_the_raw_path(match, path, found):
    rule = Rule(match, Policy())

    assert (rule if found else None) is Rules([rule]).find("POST", path)


@pytest.mark.parametrize(
    ("match", "methods"),
    [
        ("/a", {"POST", "PATCH"}),
        ("PUT /a", {"PUT"}),
        ("post,Delete /a", {"POST", "DELETE"}),
        ("POST, PATCH /a", {"POST", "PATCH"}),
        ("  DELETE   /a ", {"DELETE"}),
    ],
)
def test_post_and_patch_are_the_default_and_others_are_named(match, methods):
    rules = Rules([Rule(match, Policy())])

    found = {m for m in ("POST", "PATCH", "PUT", "DELETE") if rules.find(m, b"/a")}

    assert methods == found


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "TRACE", "get", ""])
def test_a_safe_method_is_never_guarded(method):
    assert None is Rules([Rule("/**", Policy())]).find(method, b"/a")


def test_a_method_in_small_letters_is_guarded_too():
    assert None is not Rules([Rule("/**", Policy())]).find("post", b"/a")


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "TRACE"])
def test_naming_a_safe_method_is_refused(method):
    with pytest.raises(ConfigurationError, match="never guarded"):
        Rule(f"{method} /a", Policy())


@pytest.mark.parametrize(
    ("match", "says"),
    [
        ("PSOT /a", "PSOT"),
        ("POST", "no path"),
        ("", "no path"),
        (", /a", "names no method"),
        ("POST /a b", "white space"),
        ("POST /a?b=c", "query"),
        ("POST /a%2", "hexadecimal"),
        ("POST /**/a", "comes last"),
        ("POST /a*", "mixes"),
        ("POST /{a}b", "mixes"),
    ],
)
def test_a_match_that_cannot_work_is_refused(match, says):
    with pytest.raises(ConfigurationError, match=says):
        Rule(match, Policy())


def test_the_first_match_wins():
    rules = [
        Rule("POST /payments", Policy(required=True)),
        Rule("POST /*", Policy()),
        Rule("/**", Policy()),
    ]
    every = Rules(rules)

    found = [every.find("POST", path) for path in (b"/payments", b"/a", b"/a/b")]

    assert rules == found
    assert rules[2] is every.find("PATCH", b"/payments")
    assert rules == list(every)
    assert 3 == len(every)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("/**", "POST /a"),
        ("/a/*", "/a/b"),
        ("/a/{x}", "/a/{y}"),
        ("/a", "/a"),
        ("/a/**", "/a/b/**"),
        ("/a/**", "/a"),
        ("/**", "/**"),
    ],
)
def test_a_rule_that_can_never_apply_is_refused(first, second):
    with pytest.raises(ConfigurationError, match="can never apply"):
        Rules([Rule(first, Policy()), Rule(second, Policy())])


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("POST /**", "/a"),
        ("/a/b", "/a/*"),
        ("/a/*", "/a/**"),
        ("/a/*", "/a/"),
        ("/a/b/**", "/a/**"),
        ("/a/b", "/a"),
    ],
)
def test_a_rule_that_still_has_requests_is_taken(first, second):
    assert 2 == len(Rules([Rule(first, Policy()), Rule(second, Policy())]))


def test_many_rules_are_told_apart():
    rules = Rules([Rule(f"/r{n}/*", Policy()) for n in range(300)])

    found = rules.find("PATCH", b"/r299/x")

    assert found is not None
    assert "/r299/*" == found.label


def test_without_rules_nothing_is_guarded():
    assert None is Rules().find("POST", b"/a")


def test_a_policy_that_would_keep_what_is_never_kept_is_refused():
    with pytest.raises(ConfigurationError, match="Transfer-Encoding"):
        Rule("/a", Policy(keep_headers=("Transfer-Encoding",)))
