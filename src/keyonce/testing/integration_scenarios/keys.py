# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Which keys and scopes are taken, and what they tell apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keyonce.testing.integration_scenarios.lab import changed, value, with_header

if TYPE_CHECKING:
    from keyonce.testing.integration_scenarios.lab import Lab

BAD_KEYS = (
    "",
    "   ",
    '""',
    "k" * 256,
    "k" * 300,
    '"open',
    '"closed" and more',
    '"bad \\escape"',
    '"key";=',
    "two keys",
    "one,two",
    "one, two",
    'quo"te',
    "na\xefve",
    "tab\tbed",
)
CONTROL_KEYS = ("bell\x07", "escape\x1b[0m", "delete\x7f")


class Keys:
    """Scenarios around the key, the scope and the operation."""

    def test_a_bad_key_is_refused_and_nothing_runs(self, lab: Lab) -> None:
        for key in BAD_KEYS:
            request = lab.request("/plain/order", key=None)
            request = with_header(request, "Idempotency-Key", key)

            reply = lab.send(request)

            assert (400, "invalid-key") == (reply.status, reply.code), key
            assert reply.json()["retryable"] is False
            assert reply.header("Cache-Control") == "no-store"
            assert 0 == lab.runs(request), key

    def test_a_control_byte_in_a_key_is_refused(self, lab: Lab) -> None:
        for key in CONTROL_KEYS:
            request = lab.request("/plain/order", key=None)
            request = with_header(request, "Idempotency-Key", key)

            reply = lab.send(request)

            # The server may have been quicker than the gateway.
            assert 400 == reply.status, key
            assert reply.code in {None, "invalid-key"}
            assert 0 == lab.runs(request), key

    def test_two_key_lines_are_refused(self, lab: Lab) -> None:
        for first, second in (("one", "two"), ("same", "same"), ('"a"', '"b"')):
            request = lab.request("/plain/order", key=first)
            two = (*request.headers, ("Idempotency-Key", second))
            request = changed(request, headers=two)

            reply = lab.send(request)

            assert (400, "invalid-key") == (reply.status, reply.code)
            assert 0 == lab.runs(request)

    def test_a_refusal_does_not_show_the_key(self, lab: Lab) -> None:
        reply = lab.send(lab.request("/plain/order", key="secret one"))

        assert b"secret" not in reply.body

    def test_a_quoted_key_is_the_same_as_a_bare_one(self, lab: Lab) -> None:
        bare = lab.request("/plain/order")
        quoted = with_header(
            bare, "Idempotency-Key", f'"{value(bare, "Idempotency-Key")}";v=1'
        )

        first, second = lab.send(bare), lab.send(quoted)

        assert (201, False) == (first.status, first.replayed)
        assert (201, True) == (second.status, second.replayed)
        assert 1 == lab.runs(bare)

    def test_a_missing_key_is_refused_where_it_is_required(self, lab: Lab) -> None:
        request = lab.request("/required/order", key=None)

        reply = lab.send(request)

        assert (400, "missing-key") == (reply.status, reply.code)
        assert "Idempotency-Key is missing" == reply.json()["title"]
        assert 0 == lab.runs(request)

    def test_without_a_key_every_request_runs(self, lab: Lab) -> None:
        request = lab.request("/plain/order", key=None)

        replies = [lab.send(request), lab.send(request)]

        assert [201, 201] == [reply.status for reply in replies]
        assert [False, False] == [reply.replayed for reply in replies]
        assert not any(reply.has("Idempotency-Expires") for reply in replies)
        assert 2 == lab.runs(request)

    def test_a_stricter_format_is_kept_to(self, lab: Lab) -> None:
        good, bad = (
            lab.request("/uuid/order"),
            lab.request("/uuid/order", key="order-1"),
        )

        assert 201 == lab.send(good).status
        assert "invalid-key" == lab.send(bad).code
        assert 0 == lab.runs(bad)

    def test_a_key_on_a_read_is_ignored(self, lab: Lab) -> None:
        request = lab.request("/required/order", method="GET", key="one,two", body=b"")

        replies = [lab.send(request), lab.send(request)]

        assert [200, 200] == [reply.status for reply in replies]
        assert 2 == lab.runs(request)

    def test_methods_are_guarded_by_rule(self, lab: Lab) -> None:
        for method, runs in (("PUT", 1), ("DELETE", 1), ("PATCH", 1)):
            request = lab.request("/any/order", method=method)
            lab.send(request)
            lab.send(request)

            assert runs == lab.runs(request), method
        unguarded = lab.request("/plain/order", method="PUT")
        lab.send(unguarded)
        lab.send(unguarded)

        assert 2 == lab.runs(unguarded)

    def test_without_a_scope_nothing_runs(self, lab: Lab) -> None:
        absent = lab.request("/plain/order", scope=None)
        empty = lab.request("/plain/order", scope="")
        once = lab.request("/plain/order", scope="alice")
        twice = changed(once, headers=(*once.headers, ("X-Api-Key", "bob")))

        for request in (absent, empty, twice):
            reply = lab.send(request)

            assert (400, "missing-scope") == (reply.status, reply.code)
            assert 0 == lab.runs(request)

    def test_one_tenants_key_is_nothing_to_another(self, lab: Lab) -> None:
        mine = lab.request("/plain/echo", body=b'{"mine": 1}')
        key = value(mine, "Idempotency-Key")
        theirs = lab.request("/plain/echo", key=key, scope="bob", body=b'{"theirs": 2}')

        replies = [lab.send(mine), lab.send(theirs), lab.send(mine), lab.send(theirs)]

        assert [200] * 4 == [reply.status for reply in replies]
        assert [False, False, True, True] == [reply.replayed for reply in replies]
        bodies = [reply.body for reply in replies]
        assert [b'{"mine": 1}', b'{"theirs": 2}'] * 2 == bodies
        assert (1, 1) == (lab.runs(mine), lab.runs(theirs))

    def test_one_key_on_two_paths_is_two_operations(self, lab: Lab) -> None:
        order = lab.request("/plain/order")
        echo = lab.request("/plain/echo", key=value(order, "Idempotency-Key"))

        assert (201, 200) == (lab.send(order).status, lab.send(echo).status)
        assert (1, 1) == (lab.runs(order), lab.runs(echo))

    def test_escapes_in_a_path_have_one_letter_case(self, lab: Lab) -> None:
        upper = lab.request("/plain/ech%6F")
        lower = changed(upper, target="/plain/ech%6f")

        first, second = lab.send(upper), lab.send(lower)

        assert (200, 200) == (first.status, second.status)
        assert [False, True] == [first.replayed, second.replayed]
        assert 1 == lab.runs(upper)

    def test_an_escaped_slash_is_no_slash(self, lab: Lab) -> None:
        if not lab.paths_are_raw:
            return
        plain = lab.request("/plain/status/200")
        escaped = changed(plain, target="/plain/status%2F200")

        assert [False, False] == [lab.send(r).replayed for r in (plain, escaped)]
        assert 2 == lab.runs(plain)
