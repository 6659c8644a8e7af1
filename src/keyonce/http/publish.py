# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The published policy as a page: what callers may rely on, from what really runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keyonce.core.guarantee import Guarantee
from keyonce.http.catalogue import CATALOGUE
from keyonce.http.cors import allowed_headers, exposed_headers
from keyonce.http.dialect import DIALECT, KEY_HEADER
from keyonce.http.ending import NEVER_STORED
from keyonce.http.keep import BY_DEFAULT, NEVER
from keyonce.http.scope import FunctionScope, HeaderScope, SharedScope
from keyonce.http.terms import (
    after_expiry_text,
    in_flight_text,
    key_text,
    mode_text,
    retention_text,
    store_down_text,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from keyonce.http.dialect import Dialect
    from keyonce.http.operation import Rule
    from keyonce.http.scope import ScopeReader

_UNCLEAR = {
    Guarantee.EXACTLY_ONCE: "cannot happen: effect and answer are one transaction",
    Guarantee.RESUME: "it runs again; what it calls must deduplicate by the key",
    Guarantee.AT_MOST_ONCE: "it never runs again; retries get 409 `outcome-unknown`",
    Guarantee.AT_LEAST_ONCE: "it runs again",
}


def markdown(
    rules: Iterable[Rule], scope: ScopeReader, *, dialect: Dialect = DIALECT
) -> str:
    """Write the whole policy as a Markdown page."""
    parts = [
        _heading(scope, dialect),
        "## Operations\n\nThe first that matches counts; all others run as they are.",
        *(_operation(rule) for rule in rules),
        _kept(),
        _errors(dialect),
        _cors(dialect),
    ]
    return "\n\n".join(parts) + "\n"


def _heading(scope: ScopeReader, dialect: Dialect) -> str:
    header = dialect.key_header
    return f"""# Idempotency keys

Send a fresh `{header}` with each operation, such as a UUID, and the same one on every
retry of it: the work runs once and every retry gets the first answer, marked
`Idempotency-Replayed: true`. `Idempotency-Expires` says until when. An answer marked
`Idempotency-Status: unprotected` or `unrecorded` is not protected: a retry may run it
again.

- Header: `{header}: "key"` or `{header}: key`, one line, 1 to 255 characters.
- Whose key it is, is told by {_scope_text(scope)}. Nobody meets another's keys.
- One key is for one operation: method and path. Under another of them it is another
  key; another request to the same one is refused.
- A retry is the same method, path, query, media type and body. In JSON the order of
  members and white space do not matter; in forms, the order of different names.
- How a running request stands: the `Location` of a 202, below
  `{dialect.prefix}/status/`."""


def _scope_text(scope: ScopeReader) -> str:
    # A reader of the author's own says nothing useful about itself.
    told = isinstance(scope, HeaderScope | SharedScope | FunctionScope)
    return str(scope) if told else "the principal that the service knows you as"


def _operation(rule: Rule) -> str:
    policy = rule.policy
    rows = (
        ("Key", key_text(policy)),
        ("Answer is kept for", retention_text(policy)),
        ("While the first request runs", in_flight_text(policy)),
        ("Key with another request", f"{policy.mismatch_status} `key-reused`"),
        ("Retry after that time", after_expiry_text(policy)),
        ("Guarantee", str(policy.guarantee)),
        ("After an unclear end", _UNCLEAR[policy.guarantee]),
        ("While the store is down", store_down_text(policy)),
        ("Largest request", f"{policy.max_request} bytes"),
        ("Largest kept answer", f"{policy.max_response} bytes"),
        ("Body fields that may differ", _listed(policy.fingerprint.exclude)),
        ("Headers that must not differ", _listed(policy.fingerprint.headers)),
        ("Headers kept as well", _listed(policy.keep_headers)),
        ("Headers not kept either", _listed(policy.drop_headers)),
        ("Rolled out", mode_text(policy.rollout())),
    )
    table = "\n".join(f"| {name} | {text} |" for name, text in rows)
    return f"### `{rule.match}`\n\n| | |\n|---|---|\n{table}"


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "none"


def _kept() -> str:
    statuses = ", ".join(str(status) for status in sorted(NEVER_STORED))
    return "\n".join(
        (
            "## What a retry gets",
            "",
            "The status, the headers in their order and the body bytes of the first",
            f"answer. Never kept are answers of status {statuses}: the key stays free.",
            "Of the headers all are kept but these:",
            "",
            "| header | reason |",
            "|---|---|",
            *(f"| {name} | {reason} |" for name, reason in NEVER),
            *(f"| {name} (unless kept by name) | {why} |" for name, why in BY_DEFAULT),
        )
    )


def _errors(dialect: Dialect) -> str:
    return "\n".join(
        (
            "## Errors",
            "",
            "Media type `application/problem+json`, never cached. Retry those marked",
            "so with the same key, not before `Retry-After`.",
            "",
            "| code | status | title | retry |",
            "|---|---|---|---|",
            *_error_rows(dialect),
        )
    )


def _error_rows(dialect: Dialect) -> Iterator[str]:
    for code, kind in CATALOGUE.items():
        statuses = ", ".join(str(status) for status in kind.statuses)
        title = kind.title.replace(KEY_HEADER, dialect.key_header)
        retry = "yes" if kind.retryable else "no, unless `retryable` is true"
        yield f"| `{code}` | {statuses} | {title} | {retry} |"


def _cors(dialect: Dialect) -> str:
    allowed = _listed(allowed_headers(dialect))
    exposed = _listed(exposed_headers(dialect))
    return f"## From browsers\n\nCORS allows {allowed} and exposes {exposed}."
