# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from keyonce.core.errors import ConfigurationError
from keyonce.core.guarantee import Guarantee
from keyonce.core.policy import (
    AfterExpiry,
    FingerprintRecipe,
    ForwardKey,
    InFlightAnswer,
    KeyFormat,
    OnStoreDown,
    Policy,
    Terms,
)
from keyonce.core.rollout import Rollout, Stage

SPANS = ("lease", "work_limit", "retention", "patience", "late_for")
WORDS = {
    "guarantee": Guarantee,
    "in_flight": InFlightAnswer,
    "on_store_down": OnStoreDown,
    "after_expiry": AfterExpiry,
    "key_format": KeyFormat,
    "forward_key": ForwardKey,
}


def refusal(**settings):
    with pytest.raises(ConfigurationError) as refused:
        Policy(**settings)
    return str(refused.value)


def test_the_defaults_are_the_documented_ones():
    policy = Policy()

    assert (Guarantee.AT_MOST_ONCE, Rollout(Stage.ENFORCE, 100)) == (
        policy.guarantee,
        policy.rollout(),
    )
    assert (timedelta(hours=24), timedelta(seconds=30), timedelta(minutes=15)) == (
        policy.retention,
        policy.lease,
        policy.work_limit,
    )
    assert (InFlightAnswer.REJECT, timedelta(seconds=10)) == (
        policy.in_flight,
        policy.patience,
    )
    assert (3, OnStoreDown.REFUSE) == (policy.max_executions, policy.on_store_down)
    assert (AfterExpiry.NEW, False, 422) == (
        policy.after_expiry,
        policy.required,
        policy.mismatch_status,
    )
    assert (64 * 2**20, 16 * 2**20) == (policy.max_request, policy.max_response)


def test_the_engine_gets_its_terms_in_seconds():
    expected = Terms(
        guarantee=Guarantee.AT_MOST_ONCE,
        lease_for=30.0,
        work_limit=900.0,
        retention_for=86_400.0,
        late_for=0.0,
        patience=10.0,
        max_crashes=3,
    )

    assert expected == Policy().terms


def test_keeping_for_ever_is_said_by_name():
    assert Policy(retention="forever").terms.retention_for is None


def test_late_retries_are_refused_for_as_long_as_it_says():
    refusing = Policy(after_expiry=AfterExpiry.REFUSE, late_for=timedelta(days=2))

    assert 172_800.0 == refusing.terms.late_for


def test_policies_are_equal_when_their_words_are():
    assert Policy(guarantee=Guarantee.RESUME) == Policy(guarantee="resume")  # type: ignore[arg-type]
    assert Policy(mode=Rollout(Stage.OBSERVE)) == Policy(mode="observe")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "member"), [(name, member) for name in WORDS for member in WORDS[name]]
)
def test_every_choice_may_be_said_by_its_word(name, member):
    assert member is getattr(Policy(**{name: member.value}), name)


@pytest.mark.parametrize("name", WORDS)
@pytest.mark.parametrize("value", ["", "exactly", None, 3])
def test_a_wrong_word_is_told_the_right_ones(name, value):
    told = refusal(**{name: value})

    assert told.startswith(f"{name} is one of ")
    assert told.endswith(f", not {value!r}.")
    for member in WORDS[name]:
        assert repr(member.value) in told


@pytest.mark.parametrize("stage", Stage)
def test_a_mode_may_be_a_word_a_stage_a_rollout_or_a_flag(stage):
    told = Rollout(stage)

    assert told == Policy(mode=stage.value).rollout()
    assert told == Policy(mode=stage).rollout()
    assert told == Policy(mode=told).rollout()
    assert told == Policy(mode=lambda: told).rollout()


def test_a_flag_is_asked_every_time():
    flag = iter([Rollout(Stage.OFF), Rollout(Stage.ENFORCE)])
    policy = Policy(mode=lambda: next(flag))

    assert Stage.OFF is policy.rollout().stage
    assert Stage.ENFORCE is policy.rollout().stage


def test_a_wrong_stage_is_told_the_right_ones():
    assert "mode is one of 'off', 'observe', 'validate', 'enforce', not 'on'." == (
        refusal(mode="on")
    )


@pytest.mark.parametrize("mode", [None, 0.25, True])
def test_what_is_no_mode_at_all_is_refused_at_once(mode):
    assert refusal(mode=mode).startswith("mode is a stage, a Rollout or a function")


@pytest.mark.parametrize("name", SPANS)
@pytest.mark.parametrize("span", [timedelta(0), timedelta(seconds=-1)])
def test_a_span_is_longer_than_zero(name, span):
    assert refusal(**{name: span}).startswith(
        f"{name} is {span}: it must be longer than zero."
    )


@pytest.mark.parametrize("name", SPANS)
@pytest.mark.parametrize("span", [30, 0, None, "1h", 2.5])
def test_a_span_is_a_timedelta(name, span):
    told = refusal(**{name: span})

    assert told.startswith(f"{name} is a timedelta")
    assert told.endswith(f", not {span!r}.")


def test_only_retention_can_be_for_ever():
    assert "retention is a timedelta or 'forever', not 'never'." == (
        refusal(retention="never")
    )
    assert "lease is a timedelta, not 'forever'." == refusal(lease="forever")


@pytest.mark.parametrize(
    ("name", "least"), [("max_executions", 1), ("max_request", 1), ("max_response", 0)]
)
def test_a_count_is_a_whole_number_and_not_too_small(name, least):
    assert least == getattr(Policy(**{name: least}), name)
    for value in (least - 1, 2.0, "3", None, True):
        assert f"{name} is a whole number from {least} on, not {value!r}." == (
            refusal(**{name: value})
        )


@pytest.mark.parametrize("status", [422, 409, 400])
def test_a_mismatch_has_one_of_three_statuses(status):
    assert status == Policy(mismatch_status=status).mismatch_status


@pytest.mark.parametrize("status", [200, 500, 0, None])
def test_a_mismatch_has_no_other_status(status):
    assert f"mismatch_status is 422, 409 or 400, not {status}." == (
        refusal(mismatch_status=status)
    )


def test_a_recipe_excludes_by_json_pointer():
    assert ("/a", "/b/0") == FingerprintRecipe(exclude=("/a", "/b/0")).exclude

    with pytest.raises(ConfigurationError, match="'b' is no JSON pointer"):
        FingerprintRecipe(exclude=("/a", "b"))


@pytest.mark.parametrize("name", ["required", "show_reference"])
def test_a_switch_is_no_word(name):
    assert refusal(**{name: "no"}) == f"{name} is True or False, not 'no'."


@pytest.mark.parametrize("name", ["keep_headers", "drop_headers"])
def test_one_text_is_not_a_tuple_of_letters(name):
    said = refusal(**{name: "X-Trace"})
    assert said == f"{name} is a tuple of texts: ('X-Trace',), not 'X-Trace'."
    assert "tuple of texts" in refusal(**{name: (5,)})


def test_a_fingerprint_is_a_recipe():
    assert "FingerprintRecipe(exclude=" in refusal(fingerprint=["/sent_at"])
    letters: Any = "/sent_at"
    with pytest.raises(ConfigurationError, match="exclude is a tuple"):
        FingerprintRecipe(exclude=letters)
