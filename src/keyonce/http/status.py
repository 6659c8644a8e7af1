# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The status resource: how the record of an earlier request stands.

Its address holds operation and key; the scope comes from whoever asks. So nobody
can ask for a record of another scope: its address leads to nothing.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import TYPE_CHECKING, Any, Final

from keyonce.core.model import Identity
from keyonce.core.states import Status
from keyonce.core.transitions import effective_status, standing
from keyonce.http import catalogue
from keyonce.http.dialect import DIALECT
from keyonce.http.messages import Response
from keyonce.http.problem import response
from keyonce.http.scope import MissingScope

if TYPE_CHECKING:
    from keyonce.core.model import Record
    from keyonce.http.dialect import Dialect
    from keyonce.http.messages import RequestHead
    from keyonce.http.scope import ScopeReader

LONGEST: Final = 1100
_LENGTH: Final = 2


def record_id(identity: Identity) -> str:
    """Name a record within its scope, in letters that can stand in a path."""
    operation = identity.operation.encode()
    named = len(operation).to_bytes(_LENGTH, "big") + operation + identity.key.encode()
    return urlsafe_b64encode(named).rstrip(b"=").decode("ascii")


def identity_of(record_id: str, scope: str) -> Identity | None:
    """Give the identity that *record_id* names in *scope*, or None for nonsense."""
    if len(record_id) > LONGEST:
        return None
    try:
        padded = record_id + "=" * (-len(record_id) % 4)
        named = urlsafe_b64decode(padded.encode("ascii"))
        split = _LENGTH + int.from_bytes(named[:_LENGTH], "big")
        operation, key = named[_LENGTH:split].decode(), named[split:].decode()
    except ValueError:
        return None
    identity = Identity(scope, operation, key)
    # One record, one address: what does not come out the same was not made by us.
    return identity if _named(identity) == record_id else None


def _named(identity: Identity) -> str | None:
    if not identity.key or not identity.operation:
        return None
    return record_id(identity)


def status_path(identity: Identity, *, dialect: Dialect = DIALECT) -> str:
    """Give the path of the status resource for *identity*."""
    return f"{dialect.prefix}/status/{record_id(identity)}"


def status_request(
    head: RequestHead, scope: ScopeReader, *, dialect: Dialect = DIALECT
) -> Identity | Response | None:
    """Say whether *head* asks for a status: whose record, or already the answer.

    None where the path is another one. Any method but GET and HEAD gets a 405.
    """
    start = f"{dialect.prefix}/status/".encode()
    if not head.raw_path.startswith(start):
        return None
    if head.method not in {"GET", "HEAD"}:
        return Response(405, ((b"allow", b"GET, HEAD"), (b"content-length", b"0")))
    told = scope(head)
    if isinstance(told, MissingScope):
        problem = catalogue.missing_scope(told.detail, header=dialect.key_header)
        return response(problem, docs_url=dialect.docs_url)
    named = head.raw_path[len(start) :].decode("latin-1")
    identity = identity_of(named, told)
    return status_response(None, 0.0, dialect=dialect) if identity is None else identity


def status_response(
    record: Record | None,
    now: float,
    *,
    dialect: Dialect = DIALECT,
    show_reference: bool = False,
) -> Response:
    """Tell how *record* stands at *now*, or that there is none to be told of.

    *show_reference*: also what its work noted of its effect.
    """
    seen = None if record is None else standing(record, now)
    if seen is None:
        return response(catalogue.never_seen(), docs_url=dialect.docs_url)
    told = _told(seen, now)
    if show_reference and seen.reference is not None:
        told["reference"] = seen.reference
    body = json.dumps(told).encode("ascii")
    headers = (
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
    )
    return Response(200, headers, body)


def _told(record: Record, now: float) -> dict[str, Any]:
    status = effective_status(record, now)
    match status:
        case Status.IN_PROGRESS:
            age = max(0.0, now - record.claimed_at)
            return {"status": "in_progress", "age": round(age, 3)}
        case Status.COMPLETED if record.result is not None:
            return {"status": "completed", "response_status": record.result.status}
        case Status.TOMBSTONE:
            return {"status": "expired"}
        case _:
            return {"status": status.word}
