# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from keyonce.core.events import Outcome
from keyonce.core.model import Identity
from keyonce.core.policy import KeyFormat, Policy
from keyonce.core.rollout import Rollout, Stage
from keyonce.http.admit import Bypass, Guarded, Refuse, admit
from keyonce.http.dialect import Dialect
from keyonce.http.messages import RequestHead
from keyonce.http.operation import Rule, Rules
from keyonce.http.scope import MissingScope, by_header
from tests.http.samples import post

KEY = (b"idempotency-key", b"k-8f2c1e55")
TENANT = (b"x-tenant", b"t1")
SCOPE = by_header("X-Tenant", hashed=False)


def rule(match: str = "/payments", **policy: Any) -> Rule:
    return Rule(match, Policy(**policy))


def refused(admission: object) -> tuple[int, str, Outcome]:
    assert isinstance(admission, Refuse)
    return admission.problem.status, admission.problem.code, admission.outcome


def test_a_request_with_key_and_scope_is_guarded():
    mine = rule()

    admission = admit(post(b"/payments", KEY, TENANT), Rules([mine]), SCOPE)

    identity = Identity("x-tenant:t1", "POST /payments", "k-8f2c1e55")
    assert Guarded(mine, identity, Stage.ENFORCE) == admission


def test_quoted_and_bare_keys_are_one_key():
    rules = Rules([rule()])
    quoted = (b"idempotency-key", b'"k-8f2c1e55"')

    first = admit(post(b"/payments", KEY, TENANT), rules, SCOPE)
    second = admit(post(b"/payments", quoted, TENANT), rules, SCOPE)

    assert first == second


def test_a_request_that_no_rule_matches_is_not_looked_at():
    def scope(head: RequestHead) -> str:
        raise AssertionError(head)

    assert Bypass() == admit(post(b"/other", KEY, KEY), Rules([rule()]), scope)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("key", [b"good-key-1", b"", b"\xff"])
def test_a_key_is_ignored_where_nothing_is_changed(method, key):
    head = RequestHead(method, b"/a", headers=((b"idempotency-key", key),))

    assert Bypass() == admit(head, Rules([rule("/**", required=True)]), SCOPE)


def test_a_rule_that_is_off_does_nothing():
    off = rule(mode="off", required=True)

    assert Bypass(off) == admit(post(b"/payments"), Rules([off]), SCOPE)


def test_a_request_without_key_is_counted():
    mine = rule()

    admission = admit(post(b"/payments"), Rules([mine]), SCOPE)

    assert Bypass(mine, Outcome.UNKEYED) == admission


@pytest.mark.parametrize("mode", ["validate", "enforce"])
def test_a_required_key_that_is_missing_is_a_clear_400(mode):
    rules = Rules([rule(required=True, mode=mode)])

    admission = admit(post(b"/payments", TENANT), rules, SCOPE)

    assert (400, "missing-key", Outcome.MISSING_KEY) == refused(admission)


BAD_KEYS = [
    (KEY, KEY),
    (KEY, (b"idempotency-key", b"other-key")),
    ((b"idempotency-key", b""),),
    ((b"idempotency-key", b"a,b"),),
    ((b"idempotency-key", b"a" * 256),),
    ((b"idempotency-key", b"a" * 300),),
    ((b"idempotency-key", b"a\x01b"),),
    ((b"idempotency-key", b"caf\xe9"),),
    ((b"idempotency-key", b'"open'),),
]


@pytest.mark.parametrize("mode", ["validate", "enforce"])
@pytest.mark.parametrize("lines", BAD_KEYS)
def test_a_bad_key_is_a_clear_400(mode, lines):
    rules = Rules([rule(mode=mode)])

    admission = admit(post(b"/payments", *lines, TENANT), rules, SCOPE)

    assert (400, "invalid-key", Outcome.INVALID_KEY) == refused(admission)


def test_a_stricter_format_is_the_rules_choice():
    rules = Rules([rule(key_format=KeyFormat.UUID)])

    admission = admit(post(b"/payments", KEY, TENANT), rules, SCOPE)

    assert (400, "invalid-key", Outcome.INVALID_KEY) == refused(admission)


@pytest.mark.parametrize("mode", ["validate", "enforce"])
def test_a_key_without_a_scope_is_a_clear_400(mode):
    rules = Rules([rule(mode=mode)])

    admission = admit(post(b"/payments", KEY), rules, SCOPE)

    assert (400, "missing-scope", Outcome.MISSING_SCOPE) == refused(admission)


def test_the_key_is_judged_before_the_scope():
    rules = Rules([rule(required=True)])

    bad = admit(post(b"/payments", *BAD_KEYS[2]), rules, SCOPE)
    missing = admit(post(b"/payments"), rules, SCOPE)

    assert "invalid-key" == refused(bad)[1]
    assert "missing-key" == refused(missing)[1]


def test_without_a_key_the_scope_is_not_asked():
    asked = []

    def scope(head: RequestHead) -> MissingScope:
        asked.append(head)
        return MissingScope("nobody")

    admit(post(b"/payments"), Rules([rule()]), scope)

    assert [] == asked


@pytest.mark.parametrize(
    ("headers", "outcome", "would"),
    [
        ((), Outcome.UNKEYED, Outcome.MISSING_KEY),
        ((KEY, KEY), Outcome.OBSERVED, Outcome.INVALID_KEY),
        ((KEY,), Outcome.OBSERVED, Outcome.MISSING_SCOPE),
    ],
)
def test_observing_refuses_nothing_and_says_what_would_be(headers, outcome, would):
    mine = rule(required=True, mode="observe")

    admission = admit(post(b"/payments", *headers), Rules([mine]), SCOPE)

    assert Bypass(mine, outcome, would) == admission


@pytest.mark.parametrize("stage", [Stage.OBSERVE, Stage.VALIDATE, Stage.ENFORCE])
def test_a_good_request_carries_the_stage(stage):
    admission = admit(post(b"/payments", KEY, TENANT), Rules([rule(mode=stage)]), SCOPE)

    assert isinstance(admission, Guarded)
    assert (stage, False) == (admission.stage, admission.touch_first)


def test_the_stage_can_be_switched_while_running():
    flag = [Rollout(Stage.ENFORCE), Rollout(Stage.OFF)]
    mine = rule(mode=flag.pop)
    rules = Rules([mine])

    first = admit(post(b"/payments", KEY, TENANT), rules, SCOPE)
    second = admit(post(b"/payments", KEY, TENANT), rules, SCOPE)

    assert Bypass(mine) == first
    assert isinstance(second, Guarded)


def stages(rollout: Rollout) -> set[tuple[Stage, bool] | None]:
    """What a share of many keys meets: stage and touch_first, None for bypass."""
    rules = Rules([rule(mode=rollout)])
    met: set[tuple[Stage, bool] | None] = set()
    for n in range(200):
        key = (b"idempotency-key", b"key-number-%d" % n)
        admission = admit(post(b"/payments", key, TENANT), rules, SCOPE)
        if isinstance(admission, Guarded):
            met.add((admission.stage, admission.touch_first))
        else:
            assert isinstance(admission, Bypass)
            met.add(None)
    return met


@pytest.mark.parametrize(
    ("stage", "percent", "met"),
    [
        (Stage.ENFORCE, 50, {(Stage.ENFORCE, False), (Stage.VALIDATE, True)}),
        (Stage.ENFORCE, 0, {(Stage.VALIDATE, True)}),
        (Stage.VALIDATE, 50, {(Stage.VALIDATE, False), (Stage.OBSERVE, False)}),
        (Stage.OBSERVE, 50, {(Stage.OBSERVE, False), None}),
        (Stage.ENFORCE, 100, {(Stage.ENFORCE, False)}),
    ],
)
def test_outside_the_share_the_stage_before_holds_and_records_are_honoured(
    stage, percent, met
):
    assert met == stages(Rollout(stage, percent))


@pytest.mark.parametrize(
    ("stage", "kind"), [(Stage.ENFORCE, Refuse), (Stage.VALIDATE, Bypass)]
)
def test_a_request_without_identity_is_in_no_partial_share(stage, kind):
    rules = Rules([rule(required=True, mode=Rollout(stage, 50))])

    for headers in ((), (KEY, KEY), (KEY,)):
        assert isinstance(admit(post(b"/payments", *headers), rules, SCOPE), kind)


def test_a_partly_observed_rule_ignores_a_bad_key():
    mine = rule(mode=Rollout(Stage.OBSERVE, 50))

    assert Bypass(mine) == admit(post(b"/payments", KEY, KEY), Rules([mine]), SCOPE)


def test_a_weak_key_is_reported_and_not_refused():
    head = post(b"/payments", (b"idempotency-key", b"17"), TENANT)

    admission = admit(head, Rules([rule()]), SCOPE)

    assert isinstance(admission, Guarded)
    assert admission.weak is not None


def test_the_key_can_be_in_another_header():
    dialect = Dialect(key_header="X-Once")
    rules = Rules([rule(required=True)])

    found = admit(
        post(b"/payments", (b"x-once", b"k-8f2c1e55"), TENANT), rules, SCOPE, dialect
    )
    missing = admit(post(b"/payments", KEY, TENANT), rules, SCOPE, dialect)

    assert isinstance(found, Guarded)
    assert isinstance(missing, Refuse)
    assert "X-Once is missing" == missing.problem.title


def test_a_rule_put_above_changes_no_identity():
    head = post(b"/payments", KEY, TENANT)

    before = admit(head, Rules([rule("/**")]), SCOPE)
    after = admit(head, Rules([rule("POST /{any}"), rule("/**")]), SCOPE)

    assert isinstance(before, Guarded)
    assert isinstance(after, Guarded)
    assert before.identity == after.identity


def test_one_key_of_two_tenants_is_two_identities():
    rules = Rules([rule()])

    admissions = [
        admit(post(b"/payments", KEY, (b"x-tenant", t)), rules, SCOPE)
        for t in (b"t1", b"t2")
    ]

    identities = {a.identity for a in admissions if isinstance(a, Guarded)}
    assert 2 == len(identities)
