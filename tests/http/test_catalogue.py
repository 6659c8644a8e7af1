# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json

import pytest

from keyonce.http import catalogue
from keyonce.http.problem import Problem, response

EVERY = [
    (catalogue.invalid_key("Too long."), 400, "invalid-key", False),
    (catalogue.missing_key(), 400, "missing-key", False),
    (catalogue.missing_scope("Who?"), 400, "missing-scope", False),
    (catalogue.request_too_large(10), 413, "request-too-large", False),
    (catalogue.store_unavailable(), 503, "store-unavailable", True),
    (catalogue.no_room(), 503, "store-unavailable", True),
    (catalogue.key_reused(), 422, "key-reused", False),
    (catalogue.key_reused(status=409), 409, "key-reused", False),
    (catalogue.request_in_progress(3), 409, "request-in-progress", True),
    (catalogue.request_accepted(3, "/s"), 202, "request-in-progress", True),
    (catalogue.outcome_unknown(), 409, "outcome-unknown", False),
    (catalogue.unclear_end(), 500, "outcome-unknown", False),
    (catalogue.unclear_end(502), 502, "outcome-unknown", False),
    (catalogue.unclear_end(504), 504, "outcome-unknown", False),
    (catalogue.key_expired(), 410, "key-expired", False),
    (catalogue.response_not_kept(201, None), 409, "response-not-kept", False),
    (catalogue.record_newer(), 409, "record-unreadable", True),
    (catalogue.record_corrupt(), 500, "record-unreadable", False),
    (catalogue.handler_failed(), 500, "handler-failed", False),
    (catalogue.handler_failed(freed=True), 500, "handler-failed", True),
    (catalogue.not_committed(), 500, "not-committed", False),
    (catalogue.commit_unclear(), 500, "outcome-unknown", True),
    (catalogue.answer_not_built(), 503, "answer-not-built", True),
    (catalogue.replay_forbidden(), 403, "replay-forbidden", False),
    (catalogue.upstream_unreachable(), 502, "upstream-unreachable", True),
    (catalogue.upstream_failed(), 502, "upstream-failed", False),
    (catalogue.upstream_failed(504), 504, "upstream-failed", False),
    (catalogue.authorization_unavailable(), 503, "authorization-unavailable", True),
    (catalogue.length_required(), 411, "length-required", False),
    (catalogue.request_incomplete(), 400, "request-incomplete", False),
    (catalogue.never_seen(), 404, "never-seen", False),
]


@pytest.mark.parametrize(("problem", "status", "code", "retryable"), EVERY)
def test_every_refusal_has_its_status_code_and_advice(problem, status, code, retryable):
    assert (status, code, retryable) == (
        problem.status,
        problem.code,
        problem.retryable,
    )
    assert problem.title
    assert problem.detail
    assert status in catalogue.CATALOGUE[code].statuses


def test_every_code_is_reachable():
    assert set(catalogue.CATALOGUE) == {code for _, _, code, _ in EVERY}


@pytest.mark.parametrize(("problem", "retryable"), [(e[0], e[3]) for e in EVERY])
def test_whoever_may_retry_is_told_when(problem, retryable):
    assert retryable == (problem.retry_after is not None)


@pytest.mark.parametrize(
    ("problem", "title"),
    [
        (catalogue.missing_key(), "Idempotency-Key is missing"),
        (catalogue.key_reused(), "Idempotency-Key is already used"),
        (
            catalogue.request_in_progress(1),
            "A request is outstanding for this Idempotency-Key",
        ),
        (catalogue.missing_key(header="X-Once"), "X-Once is missing"),
        (
            catalogue.outcome_unknown(header="X-Once"),
            "The outcome for this X-Once is unknown",
        ),
    ],
)
def test_titles_are_the_drafts_and_name_the_header(problem, title):
    assert title == problem.title


def test_a_reused_key_names_the_fields_that_differ():
    problem = catalogue.key_reused(fields=("/amount", "/a~1b"))

    assert {"fields": ["/amount", "/a~1b"]} == problem.extra


def test_a_reused_key_says_where_to_look_when_the_fields_are_alike():
    problem = catalogue.key_reused(fields=())

    assert {} == problem.extra
    assert "compare the query string, the media type" in problem.detail
    assert "compare" not in catalogue.key_reused().detail


def test_only_so_many_fields_are_named():
    extra = catalogue.key_reused(fields=[f"/{n}" for n in range(100)]).extra

    assert 32 == len(extra["fields"])
    assert extra["fields_truncated"] is True


def test_a_response_that_was_not_kept_tells_its_status_and_location():
    problem = catalogue.response_not_kept(201, "/payments/7")

    assert {
        "original_status": 201,
        "original_location": "/payments/7",
    } == problem.extra


def test_a_request_too_large_is_told_the_limit():
    assert {"limit": 10} == catalogue.request_too_large(10).extra


def test_an_unknown_outcome_says_who_resolves_it():
    assert "operator of this service" in catalogue.outcome_unknown().detail


@pytest.mark.parametrize("problem", [entry[0] for entry in EVERY])
def test_every_problem_can_be_sent(problem: Problem):
    sent = json.loads(response(problem).body)

    assert {"type", "title", "status", "detail", "code", "retryable"} <= set(sent)
