# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Tickets behind the sidecar: whatever is killed, never two for one request."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.examples.programs import WITHIN, Answer, Program, Request
from tests.examples.readmes import SIDECAR, Shell, killed_at

POINTS = killed_at("ticket")
OF_THE_SIDECAR = killed_at("ticket", "When the sidecar is killed")
UNKNOWN = (409, "outcome-unknown")


def incident(title: str) -> Request:
    return Request("POST", "/tickets", {"title": title}, f"inc-{title}")


def tickets(tracker: Program, title: str) -> list[int]:
    """Give the number of each ticket of that *title*."""
    return [row["ticket"] for row in tracker.get("/tickets") if row["title"] == title]


class Site:
    """A tracker, a sidecar in front of it, and the operator's shell beside them."""

    def __init__(self, example) -> None:
        self._example = example
        self.tracker: Program = example.start("tracker.py")
        self.sidecar: Program = example.start(SIDECAR)
        self.operator = Shell(example)

    def kill_the_tracker(self, point: str) -> Answer:
        """Kill it at *point*, at a request; start it again; say what the caller got."""
        self.tracker.dies()
        stopping = self._example.start("tracker.py", point)
        asked = self.sidecar.sends(incident(point))
        stopping.reaches(point)
        stopping.dies()
        told = asked.result(WITHIN)
        self.tracker = self._example.start("tracker.py")
        return told

    def decide(self, point: str) -> str:
        """Do as the page tells an operator to, who looks into the tracker first."""
        key, found = f"inc-{point}", tickets(self.tracker, point)
        if not found:
            return self.operator.type(
                f"keyonce keys release {key} --reason 'not there'"
            )
        answer = f'{{"ticket": {found[0]}, "title": "{point}"}}'
        return self.operator.type(
            f"echo '{answer}' | keyonce keys resolve {key} --status 201 --body - "
            "--header 'Content-Type: application/json' --reason 'it is there'"
        )


@pytest.fixture(scope="module")
def site(examples) -> Site:
    """Kill a sidecar at each point, then start another, all in front of one tracker."""
    example = examples("ticket", KEYONCE_UPSTREAM_TIMEOUT="40s")
    tracker = example.start("tracker.py")
    example.kills({point: incident(point) for point in OF_THE_SIDECAR}, file=SIDECAR)
    tracker.dies()
    return Site(example)


@pytest.mark.parametrize("point", POINTS)
def test_a_tracker_killed_in_the_middle_leaves_it_to_an_operator(site, point):
    first = site.kill_the_tracker(point)
    before = tickets(site.tracker, point)
    retries = [site.sidecar.send(incident(point)) for _ in range(2)]

    decided = site.decide(point)
    answer, again = (site.sidecar.send(incident(point)) for _ in range(2))

    assert (502, "outcome-unknown") == (first.status, first.code)
    assert [UNKNOWN] * 2 == [(each.status, each.code) for each in retries]
    assert (point == "create_ticket.after") == bool(before)
    assert ("completed" if before else "released") in decided
    assert [answer.json["ticket"]] == tickets(site.tracker, point)
    assert (201, bool(before)) == (answer.status, answer.replayed)
    assert answer.outcome == again.outcome


@pytest.mark.parametrize("point", OF_THE_SIDECAR)
def test_a_sidecar_killed_in_the_middle_opens_no_second_ticket(site, point):
    told = site.sidecar.settled(incident(point))
    opened = tickets(site.tracker, point)

    again = site.sidecar.send(incident(point))

    assert (point != "claim.after") == bool(opened)
    expected = (201, "") if point == "complete.after" else UNKNOWN
    assert [expected] * 2 == [(each.status, each.code) for each in (told, again)]
    assert opened == tickets(site.tracker, point)
    assert len(opened) <= 1


def test_duplicates_that_come_at_once_open_one_ticket(site):
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(site.sidecar.settled, [incident("storm")] * 10))

    assert {201} == {answer.status for answer in answers}
    assert 1 == len({answer.outcome for answer in answers})
    assert [answers[0].json["ticket"]] == tickets(site.tracker, "storm")
