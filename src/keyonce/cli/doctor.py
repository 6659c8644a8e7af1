# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""``keyonce doctor``: is the store fit, and what does this configuration promise?"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

import click

from keyonce.cli.opening import (
    config_option,
    config_path,
    existing_store,
    store_option,
    store_url,
)
from keyonce.cli.output import ROOMY, console, emit, json_option, pairs, plain, table
from keyonce.cli.promises import Promise, breaks, notes_for, promises_of
from keyonce.cli.settings import left_open, settings_of
from keyonce.core.model import Finding
from keyonce.http.terms import terms_of
from keyonce.stores.showing import without_secrets

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console
    from rich.table import Table

    from keyonce.core.model import Traits
    from keyonce.core.protocols import Store
    from keyonce.http.operation import Rule
    from keyonce.proxy.config import Config

_STYLES: Final = {"ok": "green", "warning": "yellow", "error": "bold red"}


@dataclass(frozen=True, slots=True)
class Examination:
    """Everything that the doctor found."""

    store: str
    config: str | None
    findings: list[Finding]
    promises: list[Promise]
    breaks: str
    notes: list[str]
    rules: list[Rule] = field(default_factory=list)

    @property
    def well(self) -> bool:
        """Whether nothing has to be mended."""
        return all(finding.level != "error" for finding in self.findings)


@click.command(name="doctor")
@store_option
@config_option
@json_option
@click.pass_context
def command(
    ctx: click.Context, /, *, store: str | None, config: Path | None, as_json: bool
) -> None:
    """Check the store, and say what it promises as it is configured.

    Ends with 1 if something has to be mended for a promise to hold.
    """
    url = store_url(store, config)
    path = config_path(config)
    settings = settings_of(path) if path else None
    with existing_store(url) as opened:
        found = _examine(opened, without_secrets(url), settings, path)
    if as_json:
        emit(_fields(found))
    else:
        _print(console(), found)
    ctx.exit(0 if found.well else 1)


def _examine(
    store: Store, url: str, settings: Config | None, path: Path | None
) -> Examination:
    rules = list(settings.rules) if settings else []
    findings = list(store.examine())
    findings += [found for rule in rules for found in _about_rule(rule, store.traits)]
    findings += [_left_open(name) for name in (left_open(path) if path else ())]
    unauthorised = settings is not None and settings.authorize is None
    return Examination(
        store=url,
        config=str(path) if path else None,
        findings=findings,
        promises=promises_of(store.traits, sidecar=settings is not None),
        breaks=breaks(store.traits),
        notes=notes_for(store.traits, unauthorised_replays=unauthorised),
        rules=rules,
    )


def _about_rule(rule: Rule, traits: Traits) -> list[Finding]:
    findings = []
    subject = f"rule {rule.match}"
    guarantee = rule.policy.guarantee
    if guarantee not in traits.guarantees:
        findings.append(
            Finding(
                level="error",
                subject=subject,
                detail=f"The {traits.name} store cannot keep {guarantee}.",
                mend="Declare another guarantee, or take another store.",
            )
        )
    if not rule.policy.required:
        findings.append(
            Finding(
                level="warning",
                subject=subject,
                detail="A key is not required: a write without one runs unguarded.",
                mend="Set required = true when your callers send keys.",
            )
        )
    return findings


def _left_open(name: str) -> Finding:
    return Finding(
        level="warning",
        subject=name,
        detail=f"Neither the file nor the environment sets {name}.",
        mend=f"Give --{name} to 'keyonce serve', or set it in the file.",
    )


def _fields(found: Examination) -> dict[str, Any]:
    return {
        "ok": found.well,
        "store": found.store,
        "config": found.config,
        "findings": [asdict(finding) for finding in found.findings],
        "promises": [asdict(promise) for promise in found.promises],
        "breaks": found.breaks,
        "rules": [terms_of(rule) for rule in found.rules],
        "notes": found.notes,
    }


def _print(terminal: Console, found: Examination) -> None:
    where = [("store", plain(found.store, "bold"))]
    where.append(("rules", plain(found.config or "none: looking at the store only")))
    terminal.print(pairs(where))
    terminal.print()
    _print_findings(terminal, found.findings)
    terminal.print()
    _print_promises(terminal, found)
    if found.rules:
        terminal.print()
        _print_rules(terminal, found.rules)
    terminal.print()
    terminal.print(_bullets(found.notes))
    terminal.print()
    verdict = "Fit." if found.well else "Not fit: mend the errors above."
    terminal.print(plain(verdict, "bold green" if found.well else "bold red"))


def _bullets(notes: list[str]) -> Table:
    return pairs([("·", plain(note, "dim")) for note in notes])


def _print_findings(terminal: Console, findings: list[Finding]) -> None:
    listing = table("", "checked", "found")
    for finding in findings:
        text = plain(finding.detail)
        if finding.mend:
            text.append_text(plain(f" {finding.mend}", "dim"))
        level = plain(finding.level, _STYLES.get(finding.level, ""))
        listing.add_row(level, plain(finding.subject), text)
    terminal.print(listing)


def _print_promises(terminal: Console, found: Examination) -> None:
    used = {rule.policy.guarantee for rule in found.rules}
    roomy = terminal.width >= ROOMY
    more = ("needs",) if roomy else ()
    listing = table("guarantee", "effects per key", "after an unclear end", *more)
    for promise in found.promises:
        offered = promise.effects is not None
        style = "bold" if promise.guarantee in used else "" if offered else "dim"
        cells = [
            plain(promise.guarantee, style),
            plain(promise.effects or "not offered", style),
            plain(promise.after if offered else "", style),
        ]
        listing.add_row(*cells, *([plain(promise.needs, "dim")] if roomy else ()))
    terminal.print(listing)
    if found.breaks:
        terminal.print(plain(f"What breaks it: {found.breaks}", "dim"))


def _print_rules(terminal: Console, rules: list[Rule]) -> None:
    listing = table("rule", "key", "guarantee", "in flight", "retention", "mode")
    for rule in rules:
        terms = terms_of(rule)
        key = plain(terms["key"], "" if rule.policy.required else "yellow")
        rest = (terms[name] for name in ("guarantee", "in_flight", "retention", "mode"))
        listing.add_row(plain(rule.match), key, *map(plain, rest))
    terminal.print(listing)
