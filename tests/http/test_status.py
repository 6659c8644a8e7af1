# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from keyonce.core.guarantee import Guarantee
from keyonce.core.model import Identity
from keyonce.core.states import Status
from keyonce.http.dialect import Dialect
from keyonce.http.messages import RequestHead, Response
from keyonce.http.scope import by_header
from keyonce.http.status import (
    identity_of,
    record_id,
    status_path,
    status_request,
    status_response,
)
from tests.http.samples import IDENTITY, completed, record

SCOPE = by_header("X-Tenant", hashed=False)
WORDS = st.text(
    st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=20
)


def told(found, now):
    response = status_response(found, now)
    assert (b"cache-control", b"no-store") in response.headers
    return response.status, json.loads(response.body)


def test_a_running_record_tells_its_age():
    assert (200, {"status": "in_progress", "age": 2.5}) == told(record(), 1002.5)


def test_a_completed_record_tells_the_status_of_its_answer():
    done = {"status": "completed", "response_status": 201}

    assert (200, done) == told(completed(), 2000.0)


@pytest.mark.parametrize(
    ("status", "word"), [(Status.UNKNOWN, "unknown"), (Status.RELEASED, "released")]
)
def test_other_states_tell_their_word(status, word):
    assert (200, {"status": word}) == told(record(status=status), 1001.0)


def test_a_record_past_retention_that_refuses_late_retries_is_expired():
    late = completed(late_until=10.0**9)

    assert (200, {"status": "expired"}) == told(late, 10.0**6)


def test_a_record_whose_worker_vanished_is_unknown():
    assert (200, {"status": "unknown"}) == told(record(), 2000.0)


def test_a_record_that_will_be_taken_over_is_in_progress():
    again = record(guarantee=Guarantee.AT_LEAST_ONCE)

    assert "in_progress" == told(again, 2000.0)[1]["status"]


@pytest.mark.parametrize("found", [None, completed()])
def test_what_is_not_there_was_never_seen(found):
    status, problem = told(found, 10.0**6)

    assert (404, "never-seen") == (status, problem["code"])


@given(WORDS, WORDS)
def test_an_address_leads_back_to_its_record(operation, key):
    identity = Identity("@alice", operation, key)

    assert identity == identity_of(record_id(identity), "@alice")


@given(WORDS, WORDS, WORDS, WORDS)
@example("a", "bc", "ab", "c")
def test_two_records_have_two_addresses(operation, key, other_operation, other_key):
    assume((operation, key) != (other_operation, other_key))

    one = record_id(Identity("@alice", operation, key))
    other = record_id(Identity("@alice", other_operation, other_key))

    assert one != other


def test_the_longest_identity_has_an_address():
    identity = Identity("@alice", "o" * 512, "k" * 255)

    assert identity == identity_of(record_id(identity), "@alice")


def test_an_address_can_stand_in_a_path():
    named = record_id(Identity("@alice", "POST /a?~\xff/", 'k"/% ~~~'))

    assert named.replace("-", "a").replace("_", "a").isalnum()
    assert named.isascii()


@given(st.text(max_size=40) | st.text("abcdABCD01-_=", max_size=40))
def test_nonsense_is_no_address(text):
    identity = identity_of(text, "@alice")

    assert identity is None or record_id(identity) == text


@pytest.mark.parametrize("text", ["", "AAAA", "A" * 5000, "\ud800", "é", "AAE", "===="])
def test_what_we_did_not_make_is_no_address(text):
    assert None is identity_of(text, "@alice")


def test_another_spelling_of_an_address_is_none():
    named = record_id(IDENTITY)

    assert None is identity_of(f"{named}=", "@alice")
    assert None is identity_of(f"{named[:4]} {named[4:]}", "@alice")


def ask(path: str, *headers: tuple[bytes, bytes], method: str = "GET") -> RequestHead:
    return RequestHead(method, path.encode(), headers=headers)


def test_an_address_leads_into_the_scope_of_whoever_asks():
    path = status_path(IDENTITY)

    found = status_request(ask(path, (b"x-tenant", b"t2")), SCOPE)

    assert Identity("x-tenant:t2", *IDENTITY[1:]) == found


def test_other_paths_are_not_ours():
    assert None is status_request(ask("/payments"), SCOPE)
    assert None is status_request(ask("/_keyonce/health"), SCOPE)


def test_a_bad_address_was_never_seen():
    tenant = (b"x-tenant", b"t1")

    answer = status_request(ask("/_keyonce/status/nonsense", tenant), SCOPE)

    assert isinstance(answer, Response)
    assert status_response(None, 0.0) == answer


def test_whoever_is_nobody_is_told_so():
    answer = status_request(ask(status_path(IDENTITY)), SCOPE)

    assert isinstance(answer, Response)
    assert (400, "missing-scope") == (answer.status, json.loads(answer.body)["code"])


def test_a_status_is_only_read():
    answer = status_request(ask(status_path(IDENTITY), method="POST"), SCOPE)

    assert isinstance(answer, Response)
    assert 405 == answer.status


def test_the_prefix_is_the_services_choice():
    dialect = Dialect(prefix="/idem/v1")
    path = status_path(IDENTITY, dialect=dialect)
    tenant = (b"x-tenant", b"t1")

    assert path.startswith("/idem/v1/status/")
    assert isinstance(
        status_request(ask(path, tenant), SCOPE, dialect=dialect), Identity
    )
