# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What duplicates hear while the first is at work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keyonce.testing.integration_scenarios.lab import value
from keyonce.testing.integration_scenarios.messages import Request

if TYPE_CHECKING:
    from keyonce.testing.integration_scenarios.lab import Lab
    from keyonce.testing.integration_scenarios.messages import Reply

RACERS = 50
APART = 60


class InFlight:
    """Scenarios around many requests at once."""

    def test_of_many_at_once_one_runs(self, lab: Lab) -> None:
        request = lab.request("/plain/order")

        replies = lab.together([request] * RACERS)

        assert 1 == lab.runs(request)
        assert 1 == sum(r.status == 201 and not r.replayed for r in replies)
        for reply in replies:
            assert reply.status == 201 or reply.code == "request-in-progress"
        assert 1 == len(
            {reply.lasting()[2] for reply in replies if reply.status == 201}
        )

    def test_of_many_that_wait_one_runs_and_all_get_its_answer(self, lab: Lab) -> None:
        gate = lab.name("gate")
        request = lab.request(f"/wait/slow/{gate}")
        calls = [lab.start(request) for _ in range(RACERS)]
        lab.wait_at(gate)

        lab.open(gate)
        replies = [call.reply() for call in calls]

        assert [201] * RACERS == [reply.status for reply in replies]
        assert 1 == len({reply.lasting() for reply in replies})
        assert RACERS - 1 == sum(reply.replayed for reply in replies)
        assert 1 == lab.runs(request)

    def test_different_keys_do_not_wait_on_each_other(self, lab: Lab) -> None:
        gate = lab.name("gate")
        calls = [lab.start(lab.request(f"/plain/slow/{gate}")) for _ in range(APART)]

        lab.wait_at(gate, visitors=APART)
        lab.open(gate)

        assert [201] * APART == [call.reply().status for call in calls]

    def test_a_duplicate_is_told_to_come_back(self, lab: Lab) -> None:
        gate = lab.name("gate")
        request = lab.request(f"/plain/slow/{gate}")
        call = lab.start(request)
        lab.wait_at(gate)

        reply = lab.send(request)
        lab.open(gate)

        assert (409, "request-in-progress") == (reply.status, reply.code)
        assert reply.json()["retryable"] is True
        assert 1 <= int(reply.header("Retry-After") or 0)
        title = "A request is outstanding for this Idempotency-Key"
        assert title == reply.json()["title"]
        assert call.reply().lasting() == lab.settled(request).lasting()
        assert 1 == lab.runs(request)

    def test_patience_ends(self, lab: Lab) -> None:
        gate = lab.name("gate")
        request = lab.request(f"/impatient/slow/{gate}")
        call = lab.start(request)
        lab.wait_at(gate)

        reply = lab.send(request)
        lab.open(gate)

        assert (409, "request-in-progress") == (reply.status, reply.code)
        assert 201 == call.reply().status

    def test_of_those_that_wait_one_runs_when_the_key_is_freed(self, lab: Lab) -> None:
        request = lab.request("/wait/once/429")

        replies = lab.together([request] * 10)

        assert 1 == sum(reply.status == 429 for reply in replies)
        assert 9 == sum(reply.status == 201 for reply in replies)
        assert 2 == lab.runs(request)

    def test_a_duplicate_may_be_given_a_status_address(self, lab: Lab) -> None:
        gate = lab.name("gate")
        request = lab.request(f"/accept/slow/{gate}")
        call = lab.start(request)
        lab.wait_at(gate)

        reply = lab.send(request)
        working = status(lab, reply)
        lab.open(gate)
        first = call.reply()
        lab.wait_until(lambda: status(lab, reply).json()["status"] == "completed")

        assert 202 == reply.status
        assert reply.has("Retry-After")
        assert "in_progress" == working.json()["status"]
        assert 0 <= working.json()["age"]
        done = {"status": "completed", "response_status": 201}
        assert done == status(lab, reply).json()
        assert first.lasting() == lab.send(request).lasting()

    def test_a_status_is_for_its_own_scope(self, lab: Lab) -> None:
        gate = lab.name("gate")
        request = lab.request(f"/accept/slow/{gate}")
        call = lab.start(request)
        lab.wait_at(gate)
        reply = lab.send(request)
        lab.open(gate)
        call.reply()

        for scope in ("bob", None):
            stranger = status(lab, reply, scope=scope)

            assert stranger.code in {"never-seen", "missing-scope"}
            assert 200 != stranger.status

    def test_a_status_that_was_never_made_is_not_found(self, lab: Lab) -> None:
        reply = lab.send(
            Request("GET", "/_keyonce/status/AAAA", (("X-Api-Key", "alice"),))
        )

        assert (404, "never-seen") == (reply.status, reply.code)

    def test_a_status_can_be_asked_for_by_head(self, lab: Lab) -> None:
        gate = lab.name("gate")
        request = lab.request(f"/accept/slow/{gate}")
        call = lab.start(request)
        lab.wait_at(gate)
        reply = lab.send(request)

        told = status(lab, reply, method="HEAD")
        lab.open(gate)

        assert (200, b"") == (told.status, told.body)
        assert 201 == call.reply().status
        assert value(request, "Idempotency-Key") not in (reply.header("Location") or "")


def status(
    lab: Lab, reply: Reply, *, scope: str | None = "alice", method: str = "GET"
) -> Reply:
    """Ask for the status that *reply* names."""
    headers = () if scope is None else (("X-Api-Key", scope),)
    return lab.send(Request(method, reply.header("Location") or "", headers))
