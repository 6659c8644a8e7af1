# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from typing import Any

import pytest

from keyonce.core.ending import Free, Keep, Unclear
from keyonce.core.errors import SafeToRetry
from keyonce.core.guarantee import Guarantee
from keyonce.core.model import StoredResult
from keyonce.core.policy import Policy
from keyonce.core.reconcile import StillUnknown, UnknownWork
from keyonce.http.ending import cut_off, ending, passes_through, raised
from keyonce.http.messages import Response
from keyonce.http.steer import Steered, Steering

HEADERS = ((b"content-type", b"text/plain"), (b"location", b"/a/1"))
AGAIN = [Guarantee.RESUME, Guarantee.AT_LEAST_ONCE, Guarantee.EXACTLY_ONCE]
NEVER = [401, 403, 407, 408, 421, 425, 429]


def policy(guarantee: Guarantee = Guarantee.AT_MOST_ONCE, **rest: Any) -> Policy:
    return Policy(guarantee=guarantee, **rest)


def hook(_work: UnknownWork) -> StillUnknown:
    return StillUnknown()


def answered(status: int, body: bytes = b"done") -> Response:
    return Response(status, HEADERS, body)


@pytest.mark.parametrize("status", [200, 201, 202, 206, 301, 400, 404, 409, 422])
def test_an_outcome_is_kept_with_its_own_status(status):
    end = ending(answered(status), policy())

    assert Keep(StoredResult(status, HEADERS, b"done", size=4)) == end


@pytest.mark.parametrize("status", NEVER)
@pytest.mark.parametrize("guarantee", list(Guarantee))
@pytest.mark.parametrize("outcome", [None, *Steered])
def test_a_status_of_the_moment_is_never_stored_whatever_steers(
    status, guarantee, outcome
):
    end = ending(
        answered(status),
        policy(guarantee, reconcile=hook),
        steering=Steering(outcome),
        behind_proxy=True,
    )

    assert Free(f"status-{status}") == end


@pytest.mark.parametrize("status", [100, 101, 103])
def test_an_interim_status_is_never_stored(status):
    assert isinstance(ending(answered(status), policy()), Free)


@pytest.mark.parametrize("status", [500, 501, 502, 503, 504, 599])
def test_a_failure_is_stored_where_nothing_runs_again(status):
    assert isinstance(ending(answered(status), policy()), Keep)


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_failure_is_unclear_where_somebody_can_ask(status):
    end = ending(answered(status), policy(reconcile=hook))

    assert Unclear(f"status-{status}") == end


@pytest.mark.parametrize("guarantee", AGAIN)
@pytest.mark.parametrize("reconcile", [hook, None])
def test_a_failure_frees_the_key_where_the_work_may_run_again(guarantee, reconcile):
    end = ending(answered(500), policy(guarantee, reconcile=reconcile))

    assert isinstance(end, Free)


@pytest.mark.parametrize("status", [502, 504])
def test_a_broken_upstream_is_unclear_behind_the_sidecar(status):
    assert isinstance(ending(answered(status), policy(), behind_proxy=True), Unclear)


@pytest.mark.parametrize("status", [500, 501, 503])
def test_other_failures_are_stored_behind_the_sidecar(status):
    assert isinstance(ending(answered(status), policy(), behind_proxy=True), Keep)


@pytest.mark.parametrize("guarantee", [Guarantee.RESUME, Guarantee.AT_LEAST_ONCE])
def test_a_broken_upstream_frees_the_key_where_the_work_may_run_again(guarantee):
    end = ending(answered(502), policy(guarantee), behind_proxy=True)

    assert isinstance(end, Free)


@pytest.mark.parametrize("status", [400, 404, 422])
def test_a_refusal_frees_the_key_in_exactly_once(status):
    end = ending(answered(status), policy(Guarantee.EXACTLY_ONCE))

    assert isinstance(end, Free)


@pytest.mark.parametrize("guarantee", list(Guarantee))
@pytest.mark.parametrize("status", [201, 409, 500])
def test_a_steered_release_frees_the_key_in_every_mode(guarantee, status):
    end = ending(
        answered(status), policy(guarantee), steering=Steering(Steered.RELEASE)
    )

    assert Free("steered") == end


def test_a_steered_unknown_is_unclear():
    end = ending(answered(200), policy(), steering=Steering(Steered.UNKNOWN))

    assert Unclear("steered") == end


@pytest.mark.parametrize("guarantee", [Guarantee.RESUME, Guarantee.AT_LEAST_ONCE])
def test_a_steered_unknown_runs_again_where_that_is_promised(guarantee):
    end = ending(answered(200), policy(guarantee), steering=Steering(Steered.UNKNOWN))

    assert isinstance(end, Free)


@pytest.mark.parametrize("status", [500, 502])
def test_a_steered_store_keeps_a_failure(status):
    end = ending(
        answered(status),
        policy(Guarantee.RESUME),
        steering=Steering(Steered.STORE),
        behind_proxy=True,
    )

    assert isinstance(end, Keep)


def test_steering_sets_retention_and_reference():
    end = ending(answered(200), policy(), steering=Steering(None, 60.0, "ch_1"))

    assert isinstance(end, Keep)
    assert (60.0, "ch_1") == (end.retention_for, end.reference)


@pytest.mark.parametrize(("size", "kept"), [(9, True), (10, True), (11, False)])
def test_a_body_over_the_bound_is_an_outcome_without_its_body(size, kept):
    end = ending(answered(201, b"x" * size), policy(max_response=10))

    body = b"x" * size if kept else b""
    assert Keep(StoredResult(201, HEADERS, body, kept, size)) == end


def test_a_store_can_have_a_smaller_bound():
    end = ending(answered(201, b"x" * 11), policy(), store_bound=10)

    assert Keep(StoredResult(201, HEADERS, b"", kept=False, size=11)) == end


def test_a_copy_that_was_given_up_is_not_kept():
    end = ending(answered(200, b""), policy(), size=99, complete=False)

    assert Keep(StoredResult(200, HEADERS, b"", kept=False, size=99)) == end


@pytest.mark.parametrize("status", [204, 304])
def test_what_has_no_body_is_stored_without(status):
    end = ending(answered(status, b"odd"), policy())

    assert Keep(StoredResult(status, HEADERS)) == end


@pytest.mark.parametrize(
    "value", [b"text/event-stream", b"Text/Event-Stream; charset=utf-8"]
)
def test_an_event_stream_passes_through_and_runs_again(value):
    headers = ((b"Content-Type", value),)

    assert passes_through(200, headers)
    assert isinstance(ending(Response(200, headers, b"data"), policy()), Free)


def test_an_upgrade_passes_through():
    assert passes_through(101, ())


def test_other_answers_do_not_pass_through():
    assert not passes_through(200, HEADERS)


def test_the_sidecar_keeps_access_control_headers():
    headers = ((b"access-control-allow-origin", b"*"),)

    kept = [
        ending(Response(200, headers), policy(), behind_proxy=proxied)
        for proxied in (True, False)
    ]

    assert [Keep(StoredResult(200, headers)), Keep(StoredResult(200))] == kept


def test_a_handler_that_raised_leaves_our_own_500():
    end = raised(policy(), ValueError("secret"))

    assert isinstance(end, Keep)
    assert 500 == end.result.status
    assert "handler-failed" == json.loads(end.result.body)["code"]
    assert b"secret" not in end.result.body
    assert b"content-length" not in dict(end.result.headers)
    assert len(end.result.body) == end.result.size


def test_the_stored_500_links_the_documentation():
    end = raised(policy(), docs_url="https://docs.example")

    assert isinstance(end, Keep)
    assert b"link" in dict(end.result.headers)


def test_a_handler_that_raised_is_unclear_where_somebody_can_ask():
    assert Unclear("raised") == raised(policy(reconcile=hook), ValueError())


@pytest.mark.parametrize("guarantee", AGAIN)
def test_a_handler_that_raised_frees_the_key_where_the_work_may_run_again(guarantee):
    assert Free("raised") == raised(policy(guarantee), ValueError())


@pytest.mark.parametrize("guarantee", list(Guarantee))
@pytest.mark.parametrize("reconcile", [hook, None])
def test_safe_to_retry_frees_the_key_in_every_mode(guarantee, reconcile):
    end = raised(policy(guarantee, reconcile=reconcile), SafeToRetry())

    assert Free("safe-to-retry") == end


def test_an_answer_that_broke_off_is_unclear():
    assert Unclear("cut-off") == cut_off(policy())


@pytest.mark.parametrize("guarantee", AGAIN)
def test_an_answer_that_broke_off_frees_the_key_where_it_may_run_again(guarantee):
    assert Free("cut-off") == cut_off(policy(guarantee))
