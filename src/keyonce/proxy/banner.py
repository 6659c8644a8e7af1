# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The lines that the sidecar says when it starts. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keyonce.core.policy import OnStoreDown
from keyonce.http.scope import SharedScope
from keyonce.http.terms import mode_text, retention_text
from keyonce.stores.showing import without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from keyonce.core.model import Finding, Traits
    from keyonce.http.operation import Rule
    from keyonce.proxy.config import Config


def banner(
    config: Config,
    traits: Traits,
    findings: Sequence[Finding],
    *,
    listening: str,
    admin: str | None,
) -> str:
    """Say what runs where, what is guarded how, and what nobody checks."""
    workers = f", {config.workers} workers" if config.workers > 1 else ""
    lines = [
        f"keyonce on http://{listening} -> {config.upstream}{workers}",
        f"  admin    {_admin(admin)}",
        f"  store    {without_secrets(config.store)} ({traits.name})",
        f"  scope    {config.scope}",
        *(f"  rule     {_rule(rule)}" for rule in config.rules),
        *(f"  note     {line}" for line in _notes(config, findings)),
    ]
    return "\n".join(lines) + "\n"


def _admin(address: str | None) -> str:
    if address is None:
        return "off"
    return f"http://{address} (/metrics, /healthz, /readyz, /policy)"


def _rule(rule: Rule) -> str:
    policy = rule.policy
    key = "key required" if policy.required else "key optional"
    kept = retention_text(policy)
    mode = mode_text(policy.rollout())
    return f"{rule.match}: {policy.guarantee}, {key}, kept {kept}, {mode}"


def _notes(config: Config, findings: Sequence[Finding]) -> Iterator[str]:
    if isinstance(config.scope, SharedScope):
        yield "all callers share their keys, and so their answers: you said so"
    if config.authorize is None:
        yield (
            "a replay is not authorised again: set [replay] authorize where a "
            "caller's access can be revoked"
        )
    for rule in config.rules:
        if rule.policy.on_store_down is OnStoreDown.PROCEED:
            yield f"{rule.match} runs unprotected while the store is down"
    for finding in findings:
        if finding.level == "warning":
            yield f"{finding.subject}: {finding.detail} {finding.mend}".strip()
