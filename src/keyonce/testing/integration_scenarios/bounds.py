# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Bodies that are too large, and streams that do not end soon."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keyonce.testing.integration_scenarios.behaviours import EVENT, pattern
from keyonce.testing.integration_scenarios.known_app import NARROW, SMALL
from keyonce.testing.integration_scenarios.lab import changed

if TYPE_CHECKING:
    from keyonce.testing.integration_scenarios.lab import Lab

PIECE = 100_000


class Bounds:
    """Scenarios around size and time."""

    def test_a_request_over_the_bound_is_refused(self, lab: Lab) -> None:
        for chunked in (False, True):
            fits = lab.request("/small/empty", body=b"b" * SMALL, chunked=chunked)
            over = lab.request("/small/empty", body=b"b" * (SMALL + 1), chunked=chunked)

            assert 204 == lab.send(fits).status
            refused = lab.send(over)

            assert (413, "request-too-large") == (refused.status, refused.code)
            assert (1, 0) == (lab.runs(fits), lab.runs(over))
            assert ["too-large"] == lab.outcomes(over)

    def test_a_refused_large_request_does_not_use_up_its_key(self, lab: Lab) -> None:
        over = lab.request("/small/empty", body=b"b" * (SMALL + 1))

        assert 413 == lab.send(over).status
        assert 204 == lab.send(changed(over, body=b"b")).status

    def test_an_answer_over_the_bound_is_not_kept(self, lab: Lab) -> None:
        for size in (SMALL - 1, SMALL):
            request = lab.request(f"/small/bytes/{size}")

            assert lab.send(request).lasting() == lab.send(request).lasting()
        for target in (f"bytes/{SMALL + 1}", f"stream/11/{SMALL // 10}"):
            self._not_kept(lab, f"/small/{target}")

    def test_a_stream_over_the_bound_is_not_kept(self, lab: Lab) -> None:
        whole = lab.request(f"/narrow/stream/{NARROW // PIECE}/{PIECE}")

        assert lab.send(whole).lasting() == lab.send(whole).lasting()
        for kind in ("stream", "declared"):
            self._not_kept(lab, f"/narrow/{kind}/{NARROW // PIECE + 1}/{PIECE}")
        self._not_kept(lab, f"/narrow/bytes/{NARROW + 1}")

    def _not_kept(self, lab: Lab, target: str) -> None:
        request = lab.request(target)

        first, *others = [lab.send(request) for _ in range(3)]

        assert (200, False) == (first.status, first.cut_off), target
        assert first.has("Idempotency-Expires")
        for other in others:
            assert (409, "response-not-kept") == (other.status, other.code), target
            assert 200 == other.json()["original_status"]
            assert other.json()["retryable"] is False
        assert 1 == lab.runs(request), target

    def test_a_stream_goes_out_while_it_comes(self, lab: Lab) -> None:
        gate = lab.name("gate")
        request = lab.request(f"/plain/trickle/{gate}/9/{PIECE}")
        call = lab.start(request)

        early = call.read(4 * PIECE)
        open_yet = lab.arrived(gate) and lab.has_left(gate)
        lab.open(gate)
        whole = call.reply()

        assert pattern(PIECE) * 4 == early
        assert not open_yet
        assert 9 * PIECE + 3 == len(whole.body)
        assert whole.lasting() == lab.send(request).lasting()

    def test_a_small_answer_is_held_until_its_end(self, lab: Lab) -> None:
        gate = lab.name("gate")
        request = lab.request(f"/plain/trickle/{gate}/3/10")
        call = lab.start(request)
        lab.wait_at(gate)

        meanwhile = lab.send(request)
        lab.open(gate)

        assert "request-in-progress" == meanwhile.code
        assert 33 == len(call.reply().body)

    def test_an_event_stream_passes_through(self, lab: Lab) -> None:
        gate = lab.name("gate")
        request = lab.request(f"/plain/events/{gate}")
        call = lab.start(request)

        early = call.read(len(EVENT))
        lab.wait_at(gate)
        lab.open(gate)
        first = call.reply()
        second = lab.send(request)

        assert EVENT == early
        for reply in (first, second):
            assert (200, 2 * EVENT) == (reply.status, reply.body)
            assert "unprotected" == reply.header("Idempotency-Status")
            assert not reply.has("Idempotency-Expires")
        assert 2 == lab.runs(request)
        assert ["unprotected"] * 2 == lab.outcomes(request)

    def test_an_event_stream_may_lose_its_reader(self, lab: Lab) -> None:
        gate = lab.name("gate")
        request = lab.request(f"/plain/events/{gate}")
        call = lab.start(request)
        call.read(len(EVENT))
        lab.wait_at(gate)

        call.hang_up()
        lab.open(gate)
        lab.wait_until(lambda: lab.has_left(gate))

        again = lab.settled(request)
        assert (200, False) == (again.status, again.replayed)
        assert 2 == lab.runs(request)
