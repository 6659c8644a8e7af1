# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json

import pytest

from keyonce.core.policy import AfterExpiry, InFlightAnswer, KeyFormat, Policy
from keyonce.http.dialect import Dialect
from keyonce.http.openapi import openapi, operation_fragment
from keyonce.http.operation import Rule

PAYMENTS = Rule("POST /payments", Policy(required=True))


def test_an_operation_declares_the_header():
    (parameter,) = operation_fragment(PAYMENTS)["parameters"]

    assert ("Idempotency-Key", "header", True) == (
        parameter["name"],
        parameter["in"],
        parameter["required"],
    )


def test_an_optional_key_is_declared_so():
    (parameter,) = operation_fragment(Rule("/a", Policy()))["parameters"]

    assert parameter["required"] is False


def test_a_uuid_is_declared():
    uuid = Rule("/a", Policy(key_format=KeyFormat.UUID))

    (parameter,) = operation_fragment(uuid)["parameters"]

    assert "UUID" in parameter["schema"]["description"]


def test_the_header_is_named_as_the_service_spells_it():
    fragment = operation_fragment(PAYMENTS, dialect=Dialect(key_header="X-Once"))

    assert "X-Once" == fragment["parameters"][0]["name"]


@pytest.mark.parametrize(
    ("policy", "statuses"),
    [
        (Policy(), {"400", "409", "413", "422", "503"}),
        (Policy(mismatch_status=409), {"400", "409", "413", "503"}),
        (
            Policy(in_flight=InFlightAnswer.ACCEPT),
            {"202", "400", "409", "413", "422", "503"},
        ),
        (
            Policy(after_expiry=AfterExpiry.REFUSE),
            {"400", "409", "410", "413", "422", "503"},
        ),
    ],
)
def test_the_answers_of_this_layer_are_declared_as_problems(policy, statuses):
    responses = operation_fragment(Rule("/a", policy))["responses"]

    assert statuses == set(responses)
    assert all("application/problem+json" in r["content"] for r in responses.values())


def test_the_terms_are_published_as_an_extension():
    terms = operation_fragment(PAYMENTS)["x-idempotency"]

    assert ("POST /payments", "required", "1d", "reject", "at-most-once") == (
        terms["match"],
        terms["key"],
        terms["retention"],
        terms["in_flight"],
        terms["guarantee"],
    )


def test_paths_are_templates_with_their_parameters():
    fragment = openapi([Rule("PUT /orders/{id}/lines/*", Policy())])

    item = fragment["paths"]["/orders/{id}/lines/{segment4}"]
    assert {"put", "parameters"} == set(item)
    assert ["id", "segment4"] == [p["name"] for p in item["parameters"]]


def test_a_rule_for_any_rest_is_only_in_the_list():
    fragment = openapi([PAYMENTS, Rule("/**", Policy())])

    assert {"/payments"} == set(fragment["paths"])
    assert ["POST /payments", "/**"] == [t["match"] for t in fragment["x-idempotency"]]


def test_of_two_rules_for_one_operation_the_first_stands():
    fragment = openapi([PAYMENTS, Rule("/payments", Policy())])

    item = fragment["paths"]["/payments"]
    assert "required" == item["post"]["x-idempotency"]["key"]
    assert "optional" == item["patch"]["x-idempotency"]["key"]


def test_the_fragment_is_json():
    fragment = openapi([PAYMENTS, Rule("/**", Policy(retention="forever"))])

    assert fragment == json.loads(json.dumps(fragment))
