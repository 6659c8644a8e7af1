# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json

import pytest

from keyonce.http.problem import Problem, response, whole_seconds

PLAIN = Problem(409, "some-code", "A title", "A detail.", retryable=True)


def test_a_problem_is_problem_json_that_nobody_stores():
    answer = response(PLAIN)

    assert 409 == answer.status
    assert (
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(answer.body)).encode()),
        (b"cache-control", b"no-store"),
    ) == answer.headers
    assert {
        "type": "urn:keyonce:problem:some-code",
        "title": "A title",
        "status": 409,
        "detail": "A detail.",
        "code": "some-code",
        "retryable": True,
    } == json.loads(answer.body)


@pytest.mark.parametrize(
    ("span", "seconds"),
    [(0, b"1"), (0.2, b"1"), (1.0, b"1"), (1.01, b"2"), (29.5, b"30")],
)
def test_retry_after_is_whole_seconds_and_at_least_one(span, seconds):
    answer = response(Problem(503, "c", "t", "d", retryable=True, retry_after=span))

    assert (b"retry-after", seconds) in answer.headers
    assert int(seconds) == whole_seconds(span)


@pytest.mark.parametrize(
    ("span", "told"),
    [(1, {1, 2}), (2, {2, 3}), (5, {5, 6, 7, 8}), (9.5, set(range(10, 16)))],
)
def test_callers_who_were_told_together_come_back_spread_by_half(span, told):
    problem = Problem(409, "c", "t", "d", retryable=True, retry_after=span)

    answers = [response(problem, spread=number / 100) for number in range(100)]

    assert told == {int(dict(one.headers)[b"retry-after"]) for one in answers}


def test_documentation_is_linked_by_option():
    answer = response(PLAIN, docs_url="https://docs.example/keys")

    link = b'<https://docs.example/keys>; rel="describedby"'
    assert (b"link", link) in answer.headers


def test_further_members_and_a_location_are_sent():
    problem = Problem(
        202, "c", "t", "d", retryable=True, extra={"limit": 5}, location="/_keyonce/x"
    )

    answer = response(problem)

    assert 5 == json.loads(answer.body)["limit"]
    assert (b"location", b"/_keyonce/x") in answer.headers


def test_the_same_problem_is_the_same_bytes():
    assert response(PLAIN) == response(PLAIN)
