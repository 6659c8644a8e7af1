# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""How far a rule is rolled out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keyonce.testing.integration_scenarios.behaviours import pattern
from keyonce.testing.integration_scenarios.known_app import SMALL
from keyonce.testing.integration_scenarios.lab import changed, with_header

if TYPE_CHECKING:
    from keyonce.testing.integration_scenarios.lab import Lab


class Stages:
    """Scenarios around off, observe, validate, enforce and a share."""

    def test_off_does_nothing(self, lab: Lab) -> None:
        request = lab.request("/off/echo")

        replies = [lab.send(request), lab.send(request)]

        assert [200, 200] == [reply.status for reply in replies]
        assert not any(reply.replayed for reply in replies)
        assert not any(reply.has("Idempotency-Expires") for reply in replies)
        assert 2 == lab.runs(request)
        assert [] == lab.outcomes(request)

    def test_observing_refuses_nothing(self, lab: Lab) -> None:
        bad = with_header(lab.request("/observe/order"), "Idempotency-Key", "a,b")
        unkeyed = lab.request("/observe/order", key=None)
        unscoped = lab.request("/observe/order", scope=None)

        for request in (bad, unkeyed, unscoped):
            assert 201 == lab.send(request).status
            assert 1 == lab.runs(request)

    def test_observing_tells_what_would_have_been(self, lab: Lab) -> None:
        request = lab.request("/observe/echo", body=b'{"a": 1}')
        other = changed(request, body=b'{"a": 2}')

        for number, sent in enumerate((request, request, other), 1):
            reply = lab.send(sent)

            assert (200, sent.body) == (reply.status, reply.body)
            assert not reply.replayed
            assert not reply.has("Idempotency-Expires")
            lab.wait_until(lambda n=number: len(lab.ended(request)) == n)  # type: ignore[misc]

        assert 3 == lab.runs(request)
        told = [
            ("observed", "executed"),
            ("observed", "replayed"),
            ("observed", "mismatch"),
        ]
        assert told == lab.ended(request)

    def test_observing_meets_those_that_never_end_as_outcome(self, lab: Lab) -> None:
        request = lab.request("/observe/once/429")

        replies = []
        for number in (1, 2):
            replies.append(lab.send(request).status)
            lab.wait_until(lambda n=number: len(lab.ended(request)) == n)  # type: ignore[misc]

        assert [429, 201] == replies
        told = [("observed", "released"), ("observed", "executed")]
        assert told == lab.ended(request)

    def test_observing_needs_no_store(self, lab: Lab) -> None:
        request = lab.request("/observe/order")

        lab.fail("claim")
        reply = lab.send(request)
        lab.wait_until(lambda: len(lab.ended(request)) == 1)
        lab.heal()

        assert 201 == reply.status
        assert [("observed", "store-unavailable")] == lab.ended(request)

    def test_observing_streams_both_ways(self, lab: Lab) -> None:
        body = pattern(1_000_000)
        request = lab.request("/observe/echo", body=body, chunked=True)

        assert body == lab.send(request).body

    def test_validating_refuses_bad_keys_only(self, lab: Lab) -> None:
        bad = with_header(lab.request("/validate/order"), "Idempotency-Key", "a,b")
        unkeyed = lab.request("/validate/order", key=None)
        unscoped = lab.request("/validate/order", scope=None)

        codes = [lab.send(request).code for request in (bad, unkeyed, unscoped)]

        assert ["invalid-key", "missing-key", "missing-scope"] == codes
        assert [0, 0, 0] == [lab.runs(request) for request in (bad, unkeyed, unscoped)]

    def test_validating_runs_every_good_request(self, lab: Lab) -> None:
        request = lab.request("/validate/order", body=b"b" * (SMALL + 1))

        replies = [lab.send(request), lab.send(request)]

        assert [201, 201] == [reply.status for reply in replies]
        assert not any(reply.replayed for reply in replies)
        assert 2 == lab.runs(request)

    def test_outside_the_share_nothing_is_enforced(self, lab: Lab) -> None:
        request = lab.request("/share/order")

        lab.share("enforce", 0)
        replies = [lab.send(request), lab.send(request)]
        lab.share("enforce", 100)

        assert not any(reply.replayed for reply in replies)
        assert 2 == lab.runs(request)

    def test_a_record_is_honoured_outside_the_share(self, lab: Lab) -> None:
        request = lab.request("/share/order")

        lab.share("enforce", 100)
        first = lab.send(request)
        lab.share("enforce", 0)
        second = lab.send(request)
        other = lab.send(changed(request, body=b"other"))
        lab.share("enforce", 100)

        assert first.lasting() == second.lasting()
        assert second.replayed
        assert "key-reused" == other.code
        assert 1 == lab.runs(request)

    def test_an_observed_key_is_not_an_enforced_one(self, lab: Lab) -> None:
        request = lab.request("/share/order")

        lab.share("observe", 100)
        lab.send(request)
        lab.share("enforce", 100)
        first, second = lab.send(request), lab.send(request)

        assert [False, True] == [first.replayed, second.replayed]
        assert 2 == lab.runs(request)
