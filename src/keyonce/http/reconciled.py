# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What a reconcile hook of a request gives as the answer that the caller should get."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from keyonce.core.model import StoredResult

if TYPE_CHECKING:
    from keyonce.http.messages import Headers


def json_answer(status: int, value: Any, *, headers: Headers = ()) -> StoredResult:
    """Make an answer of *status* whose body is *value* as JSON.

    Every retry gets these bytes.
    """
    body = json.dumps(value).encode()
    whole = ((b"content-type", b"application/json"), *headers)
    return StoredResult(status, whole, body, size=len(body))
