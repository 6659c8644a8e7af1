# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What remains when a handler, the store or the client fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keyonce.testing.faults import Mishap
from keyonce.testing.integration_scenarios.known_app import LEASE

if TYPE_CHECKING:
    from keyonce.testing.integration_scenarios.lab import Lab

BROKEN_AFTER = range(8)
HELD, STREAMED = 1000, 100_000


class Failures:
    """Scenarios around failures."""

    def test_a_handler_that_raises_is_an_outcome(self, lab: Lab) -> None:
        request = lab.request("/plain/raise")

        first, second = lab.send(request), lab.send(request)

        assert (500, "handler-failed") == (first.status, first.code)
        assert not first.cut_off
        assert first.lasting() == second.lasting()
        assert (False, True) == (first.replayed, second.replayed)
        assert 1 == lab.runs(request)
        assert ["failed", "replayed"] == lab.outcomes(request)

    def test_a_handler_that_raises_runs_again_where_promised(self, lab: Lab) -> None:
        for policy in ("again", "resume"):
            request = lab.request(f"/{policy}/raise")

            replies = [lab.send(request), lab.send(request)]

            assert ["handler-failed"] * 2 == [reply.code for reply in replies]
            assert not any(reply.replayed for reply in replies)
            assert all(reply.json()["retryable"] for reply in replies)
            assert 2 == lab.runs(request)

    def test_safe_to_retry_frees_the_key(self, lab: Lab) -> None:
        request = lab.request("/plain/safe")

        first, second = lab.send(request), lab.send(request)

        assert (500, 500) == (first.status, second.status)
        assert first.json()["retryable"] is True
        assert 2 == lab.runs(request)

    def test_a_held_answer_that_breaks_off_is_an_outcome(self, lab: Lab) -> None:
        for pieces in BROKEN_AFTER:
            request = lab.request(f"/plain/break/{pieces}/{HELD}")

            first, second = lab.send(request), lab.send(request)

            assert 500 == first.status
            assert first.code in {"handler-failed", "outcome-unknown"}
            assert not first.cut_off
            assert 1 == lab.runs(request)
            if first.code == "handler-failed":
                assert first.lasting() == second.lasting()
            else:
                assert (409, "outcome-unknown") == (second.status, second.code)

    def test_a_stream_that_breaks_off_is_never_whole(self, lab: Lab) -> None:
        for pieces in BROKEN_AFTER:
            request = lab.request(f"/plain/break/{pieces}/{STREAMED}")

            first, second = lab.send(request), lab.send(request)

            assert first.cut_off or first.status == 500, pieces
            assert not second.cut_off
            assert second.status in {409, 500}, pieces
            assert second.code in {"handler-failed", "outcome-unknown"}
            assert 1 == lab.runs(request), pieces

    def test_a_stream_that_breaks_off_runs_again_where_promised(self, lab: Lab) -> None:
        for pieces in BROKEN_AFTER:
            request = lab.request(f"/again/break/{pieces}/{STREAMED}")

            replies = [lab.send(request), lab.send(request)]

            for reply in replies:
                assert reply.cut_off or reply.status == 500, pieces
                assert not reply.replayed
            assert 2 == lab.runs(request), pieces

    def test_without_a_store_nothing_runs(self, lab: Lab) -> None:
        request = lab.request("/plain/order")

        lab.fail("claim")
        reply = lab.send(request)
        lab.heal()

        assert (503, "store-unavailable") == (reply.status, reply.code)
        assert 1 <= int(reply.header("Retry-After") or 0)
        assert 0 == lab.runs(request)
        assert 201 == lab.send(request).status
        assert 1 == lab.runs(request)

    def test_without_a_store_it_runs_unprotected_where_asked_for(
        self, lab: Lab
    ) -> None:
        request = lab.request("/proceed/echo", body=b'{"kept": 1}')

        lab.fail("claim")
        replies = [lab.send(request), lab.send(request)]
        lab.heal()

        for reply in replies:
            assert (200, b'{"kept": 1}') == (reply.status, reply.body)
            assert "unprotected" == reply.header("Idempotency-Status")
            assert not reply.has("Idempotency-Expires")
        assert 2 == lab.runs(request)
        assert ["unprotected"] * 2 == lab.outcomes(request)

    def test_a_claim_whose_answer_was_lost_is_a_claim(self, lab: Lab) -> None:
        request = lab.request("/plain/order")

        lab.fail("claim", Mishap.LOST_REPLY, times=1)
        first = lab.send(request)
        lab.heal()

        assert (201, False) == (first.status, first.replayed)
        assert lab.send(request).replayed
        assert 1 == lab.runs(request)

    def test_a_completion_whose_answer_was_lost_counts(self, lab: Lab) -> None:
        request = lab.request("/plain/order")

        lab.fail("complete", Mishap.LOST_REPLY, times=1)
        first = lab.send(request)
        lab.heal()

        assert (201, None) == (first.status, first.header("Idempotency-Status"))
        assert first.lasting()[2] == lab.send(request).lasting()[2]
        assert 1 == lab.runs(request)

    def test_an_answer_that_cannot_be_recorded_is_marked(self, lab: Lab) -> None:
        request = lab.request("/plain/order")

        lab.fail("complete")
        first = lab.send(request)
        while_gone = lab.send(request)
        lab.heal()
        later = lab.settled(request)

        assert 201 == first.status
        assert "unrecorded" == first.header("Idempotency-Status")
        assert not first.has("Idempotency-Expires")
        assert "request-in-progress" == while_gone.code
        assert (201, True) == (later.status, later.replayed)
        assert first.body == later.body
        assert 1 == lab.runs(request)
        assert "unrecorded" == lab.outcomes(request)[0]

    def test_a_stream_that_cannot_be_recorded_is_cut_off(self, lab: Lab) -> None:
        for kind in ("stream", "declared"):
            request = lab.request(f"/plain/{kind}/9/{STREAMED}")

            lab.fail("complete")
            first = lab.send(request)
            lab.heal()
            later = lab.settled(request)

            assert first.cut_off
            assert len(first.body) <= 9 * STREAMED
            assert (9 * STREAMED, True) == (len(later.body), later.replayed)
            assert 1 == lab.runs(request)

    def test_a_client_that_hangs_up_gets_its_answer_later(self, lab: Lab) -> None:
        gate = lab.name("gate")
        request = lab.request(f"/plain/slow/{gate}")
        call = lab.start(request)
        lab.wait_at(gate)

        call.hang_up()
        lab.open(gate)
        later = lab.settled(request)

        assert (201, b"run 1", True) == (later.status, later.body, later.replayed)
        assert 1 == lab.runs(request)

    def test_a_client_that_hangs_up_on_a_stream_does_not_end_it(self, lab: Lab) -> None:
        gate = lab.name("gate")
        request = lab.request(f"/plain/trickle/{gate}/9/{STREAMED}")
        call = lab.start(request)
        call.read(STREAMED)

        call.hang_up()
        lab.open(gate)
        later = lab.settled(request)

        assert (200, True) == (later.status, later.replayed)
        assert 9 * STREAMED + 3 == len(later.body)
        assert 1 == lab.runs(request)

    def test_a_handler_that_hangs_is_given_up(self, lab: Lab) -> None:
        gate = lab.name("gate")
        request = lab.request(f"/limited/slow/{gate}")
        call = lab.start(request)
        lab.wait_at(gate)

        later = lab.settled(request)
        lab.open(gate)
        call.reply()

        assert "work-limit" == lab.given_up_for(request)
        assert (409, "outcome-unknown") == (later.status, later.code)
        assert 1 == lab.runs(request)

    def test_a_handler_that_hangs_is_replaced_where_promised(self, lab: Lab) -> None:
        gate = lab.name("gate")
        request = lab.request(f"/limited-again/slow/{gate}")
        call = lab.start(request)
        lab.wait_at(gate)

        lab.wait_until(lambda: lab.given_up_for(request) == "work-limit")
        lab.turn(2 * LEASE.total_seconds())
        second = lab.start(request)
        lab.wait_at(gate, visitors=2)
        lab.open(gate)
        replies = [call.reply(), second.reply(), lab.settled(request)]

        assert 2 == lab.runs(request)
        assert 201 == replies[-1].status
        assert 1 == len({reply.body for reply in replies if reply.status == 201})
