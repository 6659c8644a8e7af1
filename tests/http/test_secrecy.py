# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""No problem shows the key, or what was sent or stored."""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

from keyonce.core.decide import (
    Expired,
    Incomparable,
    InFlight,
    Mismatch,
    Replay,
    Unknown,
)
from keyonce.core.model import Identity, StoredResult
from keyonce.core.policy import Policy
from keyonce.http.admit import Refuse, admit
from keyonce.http.answer import answer
from keyonce.http.messages import RequestHead
from keyonce.http.operation import Rule, Rules
from keyonce.http.problem import response
from keyonce.http.scope import by_header
from tests.http.samples import completed, post, record

# Long and odd enough that no fixed sentence holds it by accident.
SECRETS = st.text("QXZJ0123456789", min_size=8, max_size=40)
LATIN = st.binary(min_size=1, max_size=300)
RULES = Rules([Rule("/**", Policy(required=True))])
SCOPE = by_header("X-Tenant")


@given(SECRETS, SECRETS, SECRETS)
def test_no_refusal_of_a_retry_shows_key_scope_body_or_stored_data(key, scope, body):
    identity = Identity(scope, "POST /payments", key)
    stored = StoredResult(200, ((b"x-a", body.encode()),), body.encode(), kept=False)
    decisions = (
        Replay(completed(stored, identity=identity, reference=body)),
        Replay(completed(None, identity=identity, reference=body)),
        InFlight(record(identity=identity, reason=body), 1.0),
        Mismatch(completed(stored, identity=identity)),
        Unknown(record(identity=identity, reason=body)),
        Expired(record(identity=identity)),
        Incomparable(record(identity=identity)),
    )

    for decision in decisions:
        refusal = answer(decision, head=post(), policy=Policy(), differing=("/amount",))
        sent = refusal.body + repr(refusal.headers).encode()
        assert not any(secret.encode() in sent for secret in (key, scope, body))


@given(
    st.lists(SECRETS.map(str.encode) | LATIN, min_size=1, max_size=2),
    st.lists(SECRETS.map(str.encode), max_size=2),
)
def test_no_refusal_before_the_work_shows_what_was_sent(keys, tenants):
    lines = [(b"idempotency-key", key) for key in keys]
    lines += [(b"x-tenant", tenant) for tenant in tenants]
    head = RequestHead("POST", b"/payments", headers=tuple(lines))

    admission = admit(head, RULES, SCOPE)

    assume(isinstance(admission, Refuse))
    assert isinstance(admission, Refuse)
    sent = response(admission.problem).body
    for secret in (*keys, *tenants):
        assert len(secret) < 8 or secret not in sent


@given(SECRETS)
def test_a_refusal_is_the_same_whatever_the_stored_answer_was(body):
    one = Mismatch(completed(StoredResult(200, (), body.encode()), reference=body))
    other = Mismatch(completed(StoredResult(500)))

    assert answer(one, head=post(), policy=Policy()) == answer(
        other, head=post(), policy=Policy()
    )
