# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Records and requests that the tests of this room begin with."""

from __future__ import annotations

from typing import Any

from keyonce.core.guarantee import Guarantee
from keyonce.core.model import Fingerprint, Identity, Record, StoredResult
from keyonce.core.states import Status
from keyonce.http.messages import RequestHead

IDENTITY = Identity("@alice", "POST /payments", "k-8f2c1e55")
RECORD = Record(
    identity=IDENTITY,
    status=Status.IN_PROGRESS,
    guarantee=Guarantee.AT_MOST_ONCE,
    owner=b"o" * 16,
    executions=1,
    created_at=1000.0,
    claimed_at=1000.0,
    lease_for=30.0,
    lease_until=1030.0,
    fingerprint=Fingerprint("1", b"digest"),
)
CREATED = StoredResult(
    201,
    ((b"content-type", b"application/json"), (b"location", b"/payments/7")),
    b'{"id":7}',
    size=8,
)


def record(**changes: Any) -> Record:
    return RECORD._replace(**changes)


def completed(result: StoredResult | None = CREATED, **changes: Any) -> Record:
    done = {"status": Status.COMPLETED, "ended_at": 1002.0, "expires_at": 87402.0}
    return record(**(done | {"result": result} | changes))


def post(path: bytes = b"/payments", *headers: tuple[bytes, bytes]) -> RequestHead:
    return RequestHead("POST", path, headers=headers)
