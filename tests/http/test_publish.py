# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from datetime import timedelta

import pytest

from keyonce.core.guarantee import Guarantee
from keyonce.core.policy import (
    AfterExpiry,
    FingerprintRecipe,
    InFlightAnswer,
    KeyFormat,
    OnStoreDown,
    Policy,
)
from keyonce.core.rollout import Rollout, Stage
from keyonce.http.catalogue import CATALOGUE
from keyonce.http.cors import EXPOSED
from keyonce.http.dialect import Dialect
from keyonce.http.keep import BY_DEFAULT, NEVER
from keyonce.http.operation import Rule
from keyonce.http.publish import markdown
from keyonce.http.scope import by_header

SCOPE = by_header("X-Api-Key")
RULES = [
    Rule(
        "POST /payments",
        Policy(
            required=True,
            retention=timedelta(days=7),
            in_flight=InFlightAnswer.WAIT,
            fingerprint=FingerprintRecipe(("/sent_at",), ("x-version",)),
            keep_headers=("Set-Cookie",),
        ),
    ),
    Rule("/orders/**", Policy(in_flight=InFlightAnswer.ACCEPT, retention="forever")),
    Rule(
        "/**", Policy(mode=Rollout(Stage.ENFORCE, 25), after_expiry=AfterExpiry.REFUSE)
    ),
]
PAGE = markdown(RULES, SCOPE)


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_every_operation_is_published(rule):
    assert f"### `{rule.match}`" in PAGE


@pytest.mark.parametrize(
    "text",
    [
        "| Key | required, 1 to 255 characters, quoted or bare |",
        "| Key | optional, 1 to 255 characters, quoted or bare |",
        "| Answer is kept for | 7d |",
        "| Answer is kept for | forever |",
        "waits up to 10s for the answer, then 409 with Retry-After",
        "202 with Retry-After and the Location of its status",
        "409 with Retry-After",
        "422 `key-reused`",
        "Under another of them it is another\n  key; another request to the same one",
        "410 for another 30d",
        "a new request: it runs",
        "`/sent_at`",
        "`x-version`",
        "`Set-Cookie`",
        "| Rolled out | enforce 25% |",
        "the header X-Api-Key (hashed)",
        "401, 403, 407, 408, 421, 425, 429",
    ],
)
def test_the_page_says_what_callers_may_rely_on(text):
    assert text in PAGE


def test_every_error_is_published():
    assert all(f"| `{code}` |" in PAGE for code in CATALOGUE)


def test_every_header_that_is_not_kept_is_published_with_its_reason():
    for name, reason in (*NEVER, *BY_DEFAULT):
        assert any(
            line.startswith(f"| {name}") and reason in line
            for line in PAGE.splitlines()
        )


def test_what_browsers_need_is_published():
    assert all(f"`{name}`" in PAGE for name in EXPOSED)


@pytest.mark.parametrize("guarantee", list(Guarantee))
def test_every_guarantee_says_what_happens_after_an_unclear_end(guarantee):
    page = markdown([Rule("/a", Policy(guarantee=guarantee))], SCOPE)

    assert f"| Guarantee | {guarantee} |" in page


@pytest.mark.parametrize(
    ("key_format", "text"), [("quoted", "characters, quoted |"), ("uuid", "a UUID")]
)
def test_a_stricter_key_is_published(key_format, text):
    page = markdown([Rule("/a", Policy(key_format=KeyFormat(key_format)))], SCOPE)

    assert text in page


def test_a_passing_unprotected_answer_is_published():
    page = markdown([Rule("/a", Policy(on_store_down=OnStoreDown.PROCEED))], SCOPE)

    assert "Idempotency-Status: unprotected |" in page


def test_the_header_is_named_as_the_service_spells_it():
    page = markdown(RULES, SCOPE, dialect=Dialect(key_header="X-Once"))

    assert '`X-Once: "key"`' in page
    assert "| X-Once is missing |" in page


def test_a_reader_of_the_authors_own_shows_nothing_of_itself():
    page = markdown(RULES, lambda _: "a")

    assert "lambda" not in page
    assert "the principal that the service knows you as" in page
