# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Effect and answer commit together, in each of three forms, or neither does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keyonce.testing.integration_scenarios.behaviours import pattern
from keyonce.testing.integration_scenarios.committing_app import WINNER
from keyonce.testing.integration_scenarios.known_app import NARROW

if TYPE_CHECKING:
    from keyonce.testing.integration_scenarios.lab import Lab
    from keyonce.testing.integration_scenarios.messages import Reply, Request

OWN = "/own/open/insert/say/shut"
LARGE = 300_000  # spilled, and kept


def twice(lab: Lab, target: str) -> tuple[Request, Reply, Reply]:
    """Send a request to *target*, and again."""
    request = lab.request(target)
    return request, lab.send(request), lab.send(request)


def run_of(request: Request) -> str:
    """Give the name of the run of *request*."""
    return dict(request.headers)["X-Run"]


def free_and_undone(lab: Lab, target: str) -> tuple[Reply, list[str]]:
    """Send *target* twice: it runs twice, and leaves nothing."""
    request, first, second = twice(lab, target)
    assert 2 == lab.runs(request), target
    assert 0 == lab.rows(request), target
    assert [False, False] == [first.replayed, second.replayed], target
    assert not first.has("Idempotency-Expires"), target
    return first, lab.outcomes(request)


class HandlersCommit:
    """Scenarios in which the handler owns the transaction."""

    def test_what_the_handler_said_is_the_answer(self, lab: Lab) -> None:
        request, first, second = twice(lab, f"{OWN}/answer-200")

        assert (201, {"order": run_of(request)}) == (first.status, first.json())
        assert "application/json" == first.header("Content-Type")
        assert "tea" == first.header("X-Item")
        assert first.lasting() == second.lasting()
        assert (False, True) == (first.replayed, second.replayed)
        assert first.header("Idempotency-Expires") is not None
        assert (1, 1) == (lab.runs(request), lab.rows(request))
        assert ["executed", "replayed"] == lab.outcomes(request)

    def test_after_the_commit_nothing_else_counts(self, lab: Lab) -> None:
        too_much = f"stream-{NARROW * 2}"
        for later in ("raise", "tame/raise", "answer-500", too_much, "events", "open"):
            request, first, second = twice(lab, f"{OWN}/{later}")

            assert (201, {"order": run_of(request)}) == (first.status, first.json())
            assert not first.cut_off, later
            assert first.lasting() == second.lasting(), later
            assert (1, 1) == (lab.runs(request), lab.rows(request)), later
            assert ["executed", "replayed"] == lab.outcomes(request), later

    def test_what_raises_before_the_commit_undoes_all(self, lab: Lab) -> None:
        for words in ("open/insert/raise", "open/insert/say/raise", "raise"):
            first, outcomes = free_and_undone(lab, f"/own/{words}")

            assert (500, "handler-failed") == (first.status, first.code), words
            assert first.json()["retryable"] is True
            assert ["released", "released"] == outcomes, words

    def test_an_error_that_is_answered_frees_the_key(self, lab: Lab) -> None:
        for words, status in (
            ("tame/open/insert/raise", 500),
            ("answer-404", 404),
            ("release", 200),
        ):
            first, outcomes = free_and_undone(lab, f"/own/{words}")

            assert status == first.status, words
            assert ["released", "released"] == outcomes, words

    def test_a_handler_that_never_commits_is_an_error_of_its_own(
        self, lab: Lab
    ) -> None:
        forgot = "open/insert/shut/answer-201"
        for words in ("answer-201", forgot, f"tame/{forgot}", "tame/open/insert/shut"):
            first, outcomes = free_and_undone(lab, f"/own/{words}")

            assert (500, "not-committed") == (first.status, first.code), words
            assert ["not-committed", "not-committed"] == outcomes, words

    def test_what_no_retry_could_get_is_refused_before_the_commit(
        self, lab: Lab
    ) -> None:
        for said in ("say-401", "say-429", "say-big", "refer"):
            first, _ = free_and_undone(lab, f"/own/open/insert/{said}/shut")

            assert (500, "handler-failed") == (first.status, first.code), said

    def test_an_error_said_in_so_many_words_is_an_outcome(self, lab: Lab) -> None:
        request, first, second = twice(lab, "/own/open/insert/say-402/shut/answer-402")

        assert 402 == first.status
        assert first.lasting() == second.lasting()
        assert (1, 1) == (lab.runs(request), lab.rows(request))

    def test_a_step_inside_the_transaction_is_refused(self, lab: Lab) -> None:
        first, _ = free_and_undone(lab, "/own/open/insert/step/say/shut")

        assert (500, "handler-failed") == (first.status, first.code)

    def test_a_conflict_frees_the_key(self, lab: Lab) -> None:
        for tame in ("", "tame/"):
            request = lab.request(f"/own/{tame}open/insert/collide-1/say/shut")

            first, second = lab.send(request), lab.send(request)

            assert (500, "handler-failed") == (first.status, first.code)
            assert first.has("Retry-After")
            assert (201, False) == (second.status, second.replayed)
            assert (2, 1) == (lab.runs(request), lab.rows(request))
            assert ["released", "executed"] == lab.outcomes(request)

    def test_who_lost_the_key_answers_with_the_winners_outcome(self, lab: Lab) -> None:
        request, first, second = twice(lab, "/own/rob/open/insert/say/shut")

        assert (201, WINNER) == (first.status, first.body)
        assert first.lasting() == second.lasting()
        assert (1, 0) == (lab.runs(request), lab.rows(request))
        assert ["lost", "replayed"] == lab.outcomes(request)


class GatewaysCommit:
    """Scenarios in which the gateway opens the transaction."""

    def test_the_response_is_committed_with_the_effect(self, lab: Lab) -> None:
        request, first, second = twice(lab, "/route/insert/answer-201")

        assert (201, b"run 1", "cup") == (
            first.status,
            first.body,
            first.header("X-Item"),
        )
        assert (True, False) == (first.has("Set-Cookie"), second.has("Set-Cookie"))
        assert (first.status, first.body) == (second.status, second.body)
        assert (False, True) == (first.replayed, second.replayed)
        assert first.header("Idempotency-Expires") is not None
        assert (1, 1) == (lab.runs(request), lab.rows(request))
        assert ["executed", "replayed"] == lab.outcomes(request)

    def test_a_large_one_is_held_back_and_committed(self, lab: Lab) -> None:
        request, first, second = twice(lab, f"/route/insert/stream-{LARGE}")

        assert (200, pattern(LARGE)) == (first.status, first.body)
        assert first.lasting() == second.lasting()
        assert (1, 1) == (lab.runs(request), lab.rows(request))

    def test_what_the_handler_said_goes_first(self, lab: Lab) -> None:
        request, first, second = twice(lab, "/route/insert/say/answer-200")

        assert (201, {"order": run_of(request)}) == (first.status, first.json())
        assert first.lasting() == second.lasting()
        assert (1, 1) == (lab.runs(request), lab.rows(request))

    def test_a_failure_undoes_all_and_frees_the_key(self, lab: Lab) -> None:
        for words, status in (
            ("answer-404", 404),
            ("answer-503", 503),
            ("say/answer-500", 500),
            ("release", 200),
            ("tame/raise", 500),
            ("raise", 500),
            ("say/raise", 500),
        ):
            first, outcomes = free_and_undone(lab, f"/route/insert/{words}")

            assert status == first.status, words
            assert ["released", "released"] == outcomes, words

    def test_an_answer_that_cannot_be_kept_is_refused_before_the_commit(
        self, lab: Lab
    ) -> None:
        for words in ("events", f"stream-{NARROW + 1}"):
            first, outcomes = free_and_undone(lab, f"/route/insert/{words}")

            assert (500, "handler-failed") == (first.status, first.code), words
            assert ["released", "released"] == outcomes, words

    def test_a_conflict_runs_the_handler_anew(self, lab: Lab) -> None:
        request, first, second = twice(lab, "/route/insert/collide-2/answer-201")

        assert (201, b"run 3") == (first.status, first.body)
        assert second.replayed
        assert (3, 1) == (lab.runs(request), lab.rows(request))
        assert ["executed", "replayed"] == lab.outcomes(request)

    def test_it_does_so_three_times_and_frees_the_key(self, lab: Lab) -> None:
        request = lab.request("/route/insert/collide-3/answer-201")

        first, second = lab.send(request), lab.send(request)

        assert (500, "handler-failed") == (first.status, first.code)
        assert first.has("Retry-After")
        assert (201, b"run 4") == (second.status, second.body)
        assert 1 == lab.rows(request)


class AnswersAreBuilt:
    """Scenarios in which only a reference is kept."""

    def test_every_answer_is_built_from_the_reference(self, lab: Lab) -> None:
        for target in (
            "/built/open/insert/refer/shut",
            "/route/insert/refer/answer-200",
        ):
            request, first, second = twice(lab, target)

            built = {"built": f"row-{run_of(request)}"}
            assert (201, built) == (first.status, first.json()), target
            assert first.lasting() == second.lasting(), target
            assert (False, True) == (first.replayed, second.replayed)
            assert (1, 1) == (lab.runs(request), lab.rows(request))
            assert ["executed", "replayed"] == lab.outcomes(request)

    def test_one_that_cannot_be_built_frees_nothing(self, lab: Lab) -> None:
        request = lab.request("/built/open/insert/refer/shut")

        lab.building("off")
        failed = [lab.send(request), lab.send(request)]
        lab.building("on")
        last = lab.send(request)

        assert [(503, "answer-not-built")] * 2 == [(r.status, r.code) for r in failed]
        assert all(reply.json()["retryable"] for reply in failed)
        assert all(reply.has("Retry-After") for reply in failed)
        assert (201, True) == (last.status, last.replayed)
        assert (1, 1) == (lab.runs(request), lab.rows(request))
        assert ["executed", "not-kept", "replayed"] == lab.outcomes(request)


class NobodyGuards:
    """Scenarios in which the same handlers run unguarded."""

    def test_a_handler_says_the_same_in_every_stage(self, lab: Lab) -> None:
        for rule in ("watched", "off"):
            request = lab.request(f"/{rule}/open/insert/say/shut/answer-200")

            replies = [lab.send(request), lab.send(request)]

            assert [201, 201] == [reply.status for reply in replies], rule
            assert {"order": run_of(request)} == replies[0].json()
            assert not any(reply.has("Idempotency-Expires") for reply in replies)
            assert (2, 2) == (lab.runs(request), lab.rows(request)), rule

    def test_and_without_a_key(self, lab: Lab) -> None:
        request = lab.request(f"{OWN}/answer-200", key=None)
        routed = lab.request("/route/insert/answer-201", key=None)

        replies = [lab.send(request), lab.send(routed)]

        assert [201, 201] == [reply.status for reply in replies]
        assert [1, 1] == [lab.rows(request), lab.rows(routed)]

    def test_the_gateways_transaction_is_there_as_well(self, lab: Lab) -> None:
        request = lab.request("/watched-route/insert/answer-201")
        failing = lab.request("/watched-route/insert/answer-500")

        replies = [lab.send(request), lab.send(request), lab.send(failing)]

        assert [201, 201, 500] == [reply.status for reply in replies]
        assert [2, 0] == [lab.rows(request), lab.rows(failing)]

    def test_a_reference_is_built_there_too(self, lab: Lab) -> None:
        request = lab.request("/watched/open/insert/refer/shut")

        reply = lab.send(request)

        assert {"built": f"row-{run_of(request)}"} == reply.json()

    def test_what_would_be_an_error_is_only_looked_at(self, lab: Lab) -> None:
        for words, status in (("answer-201", 201), ("events", 200), ("raise", 500)):
            request = lab.request(f"/watched/{words}")

            assert status == lab.send(request).status, words

    def test_words_of_exactly_once_are_refused_under_another_guarantee(
        self, lab: Lab
    ) -> None:
        request = lab.request("/promised/open/insert/say/shut")

        reply = lab.send(request)

        assert (500, "handler-failed") == (reply.status, reply.code)
        assert 0 == lab.rows(request)


class Commits(HandlersCommit, GatewaysCommit, AnswersAreBuilt, NobodyGuards):
    """All of them."""
