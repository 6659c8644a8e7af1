# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyonce.core.decide import (
    Expired,
    Incomparable,
    InFlight,
    Mismatch,
    Replay,
    Unknown,
)
from keyonce.core.ending import Keep, Unclear
from keyonce.core.errors import SafeToRetry
from keyonce.core.events import Outcome
from keyonce.core.guarantee import Guarantee
from keyonce.core.model import StoredResult
from keyonce.core.outcomes import outcome_of
from keyonce.core.policy import InFlightAnswer, Policy
from keyonce.core.states import Status
from keyonce.http.answer import (
    answer,
    expires_header,
    failure_answer,
    first_headers,
    http_date,
    mark_unprotected,
    mark_unrecorded,
    retry_after,
)
from keyonce.http.dialect import Dialect
from keyonce.http.ending import raised
from keyonce.http.status import status_path
from tests.http.samples import CREATED, IDENTITY, completed, post, record

POLICY = Policy()


def told(decision, **options):
    response = answer(
        decision, head=post(), policy=options.pop("policy", POLICY), **options
    )
    return response.status, json.loads(response.body), dict(response.headers)


def test_a_replay_is_the_stored_answer_marked_and_measured():
    response = answer(Replay(completed()), head=post(), policy=POLICY)

    assert (
        *CREATED.headers,
        (b"content-length", b"8"),
        (b"idempotency-replayed", b"true"),
        (b"idempotency-expires", b"Fri, 02 Jan 1970 00:16:42 GMT"),
    ) == response.headers
    assert (201, b'{"id":7}') == (response.status, response.body)


def test_a_replay_is_marked_with_the_alias_too_by_option():
    response = answer(
        Replay(completed()),
        head=post(),
        policy=POLICY,
        dialect=Dialect(replayed_alias=True),
    )

    assert (b"idempotency-replayed", b"true") in response.headers
    assert (b"idempotent-replayed", b"true") in response.headers


def test_a_replay_kept_for_ever_names_no_expiry():
    response = answer(Replay(completed(expires_at=None)), head=post(), policy=POLICY)

    assert b"idempotency-expires" not in dict(response.headers)


@pytest.mark.parametrize("status", [204, 304])
def test_a_replay_without_body_has_no_length(status):
    stored = StoredResult(status, ((b"etag", b'"1"'),))

    response = answer(Replay(completed(stored)), head=post(), policy=POLICY)

    assert b"" == response.body
    assert b"content-length" not in dict(response.headers)
    assert (b"etag", b'"1"') in response.headers


def test_an_empty_body_has_length_zero():
    response = answer(Replay(completed(StoredResult(200))), head=post(), policy=POLICY)

    assert (b"content-length", b"0") in response.headers


@pytest.mark.parametrize(
    ("origin", "seen"), [(b"https://a.example", True), (b"https://b.example", False)]
)
def test_stored_cors_is_for_the_same_origin(origin, seen):
    stored = StoredResult(
        200, ((b"access-control-allow-origin", b"https://a.example"),)
    )

    response = answer(
        Replay(completed(stored)),
        head=post(b"/payments", (b"origin", origin)),
        policy=POLICY,
    )

    assert seen == (b"access-control-allow-origin" in dict(response.headers))


@given(
    st.integers(200, 599),
    st.lists(st.tuples(st.sampled_from([b"x-a", b"X-B", b"link"]), st.just(b"v"))),
    st.binary(max_size=50),
)
def test_status_headers_and_bytes_are_those_of_the_first_answer(status, headers, body):
    body = b"" if status in {204, 304} else body
    stored = StoredResult(status, tuple(headers), body, size=len(body))

    response = answer(Replay(completed(stored)), head=post(), policy=POLICY)

    assert status == response.status
    assert tuple(headers) == response.headers[: len(headers)]
    assert body == response.body


@given(st.lists(st.tuples(st.binary(max_size=12), st.binary(max_size=12))).map(tuple))
def test_a_forged_record_injects_nothing(headers):
    stored = StoredResult(200, headers)

    response = answer(Replay(completed(stored)), head=post(), policy=POLICY)

    for name, value in response.headers:
        assert name
        assert not set(name + value) & set(b"\r\n\x00")
    assert 1 == sum(n.lower() == b"content-length" for n, _ in response.headers)


def test_a_body_that_was_not_kept_is_a_409_with_its_status_and_location():
    stored = StoredResult(201, CREATED.headers, b"", kept=False, size=10**9)

    status, problem, headers = told(Replay(completed(stored)))

    assert (409, "response-not-kept") == (status, problem["code"])
    assert (201, "/payments/7") == (
        problem["original_status"],
        problem["original_location"],
    )
    assert b"idempotency-replayed" not in headers


def test_a_completed_record_without_outcome_is_never_run():
    status, problem, _ = told(Replay(completed(None)))

    assert (500, "record-unreadable") == (status, problem["code"])


def test_a_running_request_is_a_409_with_retry_after():
    status, problem, headers = told(InFlight(record(), 4.0), likely_for=10.0)

    assert (409, "request-in-progress", True) == (
        status,
        problem["code"],
        problem["retryable"],
    )
    assert b"6" == headers[b"retry-after"]


def test_waiting_ends_in_a_409():
    status, _, _ = told(
        InFlight(record(), 4.0), policy=Policy(in_flight=InFlightAnswer.WAIT)
    )

    assert 409 == status


def test_accepting_is_a_202_with_the_status_address():
    status, problem, headers = told(
        InFlight(record(), 4.0), policy=Policy(in_flight=InFlightAnswer.ACCEPT)
    )

    assert (202, "request-in-progress") == (status, problem["code"])
    assert status_path(IDENTITY).encode() == headers[b"location"]
    assert b"retry-after" in headers


@pytest.mark.parametrize(
    ("age", "likely_for", "seconds"),
    [
        (4.0, 10.0, 6.0),  # the rest of what it usually takes
        (4.0, 4.5, 1.0),  # at least one second
        (0.0, None, 1.0),
        (7.0, None, 7.0),  # nothing known: as long again
        (9.0, 3.0, 9.0),  # overdue: as long again
        (4.0, 500.0, 36.0),  # not past the lease's end and its grace
        (39.9, None, 1.0),
        (99.0, None, 1.0),
    ],
)
def test_retry_after_is_what_the_running_attempt_is_likely_to_need(
    age, likely_for, seconds
):
    decision = InFlight(record(), age)

    assert pytest.approx(seconds) == retry_after(decision, likely_for)


@pytest.mark.parametrize("status", [422, 409, 400])
def test_a_reused_key_names_the_differing_fields(status):
    met, problem, headers = told(
        Mismatch(record()),
        policy=Policy(mismatch_status=status),
        differing=("/amount",),
    )

    assert (status, "key-reused", ["/amount"]) == (
        met,
        problem["code"],
        problem["fields"],
    )
    assert b"retry-after" not in headers


def test_an_unknown_outcome_is_a_409_that_is_not_retryable():
    status, problem, _ = told(Unknown(record(status=Status.UNKNOWN)))

    assert (409, "outcome-unknown", False) == (
        status,
        problem["code"],
        problem["retryable"],
    )


def test_an_expired_key_is_a_410():
    status, problem, _ = told(Expired(record(status=Status.TOMBSTONE)))

    assert (410, "key-expired") == (status, problem["code"])


def test_a_record_of_a_newer_version_is_a_retryable_409():
    status, problem, headers = told(Incomparable(completed()))

    assert (409, "record-unreadable", True) == (
        status,
        problem["code"],
        problem["retryable"],
    )
    assert b"retry-after" in headers


@pytest.mark.parametrize(
    ("decision", "outcome"),
    [
        (Replay(completed()), Outcome.REPLAYED),
        (Replay(completed(StoredResult(200, kept=False))), Outcome.NOT_KEPT),
        (Replay(completed(None)), Outcome.UNREADABLE),
        (InFlight(record(), 1.0), Outcome.IN_PROGRESS),
        (Mismatch(record()), Outcome.MISMATCH),
        (Unknown(record()), Outcome.UNKNOWN),
        (Expired(record()), Outcome.EXPIRED),
        (Incomparable(record()), Outcome.UNREADABLE),
    ],
)
def test_every_decision_has_one_outcome(decision, outcome):
    assert outcome is outcome_of(decision)


def test_the_documentation_is_linked_and_the_header_named():
    dialect = Dialect(key_header="X-Once", docs_url="https://docs.example")

    _, problem, headers = told(Mismatch(record()), dialect=dialect)

    assert "X-Once is already used" == problem["title"]
    assert b'<https://docs.example>; rel="describedby"' == headers[b"link"]


def test_first_answer_and_replay_of_a_failure_agree():
    end = raised(POLICY, ValueError())

    first = failure_answer(end)

    assert isinstance(end, Keep)
    assert 500 == first.status
    again = answer(Replay(completed(end.result)), head=post(), policy=POLICY)
    marks = {b"idempotency-replayed", b"idempotency-expires"}
    assert (first.status, first.body) == (again.status, again.body)
    assert first.headers == tuple(h for h in again.headers if h[0] not in marks)


def test_a_failure_that_freed_the_key_says_that_it_may_be_retried():
    policy = Policy(guarantee=Guarantee.AT_LEAST_ONCE)

    for end in (raised(policy, ValueError()), raised(POLICY, SafeToRetry())):
        problem = json.loads(failure_answer(end).body)

        assert ("handler-failed", True) == (problem["code"], problem["retryable"])


def test_an_unclear_end_in_process_is_a_500():
    response = failure_answer(Unclear("raised"))

    assert 500 == response.status
    assert "outcome-unknown" == json.loads(response.body)["code"]


@pytest.mark.parametrize("status", [502, 504])
def test_an_unclear_end_behind_the_sidecar_is_a_gateway_error(status):
    response = failure_answer(Unclear("timeout"), unclear_status=status)

    assert status == response.status
    assert "outcome-unknown" == json.loads(response.body)["code"]


@given(st.floats(0, 4_000_000_000))
def test_the_expiry_is_never_later_than_the_truth(instant):
    ((name, value),) = expires_header(instant)

    said = parsedate_to_datetime(value.decode()).timestamp()
    assert b"idempotency-expires" == name
    assert said <= instant < said + 1


def test_an_http_date_is_written_as_http_wants_it():
    at = datetime(2026, 2, 3, 4, 5, 6, 999_999, tzinfo=UTC).timestamp()

    assert b"Tue, 03 Feb 2026 04:05:06 GMT" == http_date(at)


@pytest.mark.parametrize("instant", [None, float("inf"), 1e15])
def test_what_does_not_expire_names_no_expiry(instant):
    assert () == expires_header(instant)


def test_the_first_answer_is_told_its_expiry_and_loses_the_steering():
    headers = (
        (b"keyonce-outcome", b"store"),
        (b"set-cookie", b"a=1"),
        (b"idempotency-replayed", b"true"),
    )

    first = first_headers(headers, 0.0)

    expires = (b"idempotency-expires", b"Thu, 01 Jan 1970 00:00:00 GMT")
    assert ((b"set-cookie", b"a=1"), expires) == first


@pytest.mark.parametrize(
    ("mark", "word"),
    [(mark_unprotected, b"unprotected"), (mark_unrecorded, b"unrecorded")],
)
def test_an_answer_not_to_rely_on_is_marked_and_names_no_expiry(mark, word):
    headers = ((b"x-a", b"1"), (b"Idempotency-Expires", b"never"))

    assert ((b"x-a", b"1"), (b"idempotency-status", word)) == mark(headers)
