# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""``keyonce keys resolve``, ``release`` and ``forget``: decide about one key."""

from __future__ import annotations

import getpass
import os
import sys
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any, Final

import click

from keyonce.cli.opening import takes_store
from keyonce.cli.output import console, emit, json_option
from keyonce.cli.records import fields_of, status_text
from keyonce.cli.responses import built_response, parse_response
from keyonce.cli.which import clock_of, one_key, one_record
from keyonce.core.errors import ConfigurationError, RecordUnreadable
from keyonce.core.model import Query, Settlement
from keyonce.core.states import Status
from keyonce.http.durations import parse_duration

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyonce.cli.which import Which
    from keyonce.core.model import Record, StoredResult
    from keyonce.core.protocols import Store

LOOKED_AT: Final = 20  # outcomes, for whether this is a sealed store

_DECISION: Final = (
    click.option("--reason", required=True, help="Why; it goes to the audit."),
    click.option(
        "--actor", help="Who decides  [default: you, as the system knows you]"
    ),
    click.option("--yes", is_flag=True, help="Do not ask."),
    json_option,
)
_OPTIONS: Final = (
    *_DECISION[:2],
    click.option(
        "--retention",
        default="24h",
        show_default=True,
        help="How long the record lives on, or 'forever'.",
    ),
    click.option(
        "--unreadable",
        is_flag=True,
        help="Give up, for good, an outcome that the seal keys at hand do not open.",
    ),
    *_DECISION[2:],
)


def _settling(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def _deciding(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_DECISION):
        command = option(command)
    return command


@click.command()
@one_key
@_deciding
@takes_store
def forget(
    store: Store,
    /,
    *,
    key: str,
    which: Which,
    reason: str,
    actor: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Take the record of KEY away: the next attempt is a new request, and runs.

    Whatever the work has done stays done, and is done once more. Only a key whose
    work has ended can be forgotten; an unknown one is resolved or released. Processes
    with a cache in their memory may give the old answer until its hold_for ends.
    """
    record = one_record(store, key, which)
    command = Settlement(
        identity=record.identity,
        reason=_said(reason),
        actor=actor or _who(),
        execution=record.executions,
        forgets=True,
    )
    if not yes and sys.stdin.isatty():
        _ask(record, command, clock_of(store, [record]))
    forgotten = store.settle(command)
    if as_json:
        emit({"forgotten": fields_of(forgotten, clock_of(store, [forgotten]))})
        return
    console().print("The key is forgotten: the next attempt runs.")


@click.command()
@one_key
@_settling
@takes_store
def release(store: Store, /, *, key: str, which: Which, **how: Any) -> None:
    """Free KEY: the work did NOT happen, and the next attempt may run it.

    Only an unknown key can be released, or one whose answer nobody can read. If the
    work did happen after all, the next attempt does it a second time: look before
    you release.
    """
    record = one_record(store, key, which)
    _settle(store, record, None, **how)


@click.command()
@one_key
@click.option(
    "--completed-with",
    "raw",
    type=click.File("rb"),
    help="A raw HTTP response: status line, headers, empty line, body. '-': stdin.",
)
@click.option("--status", type=click.IntRange(200, 599), help="Or only a status,")
@click.option("--header", "headers", multiple=True, metavar="'N: v'", help="headers,")
@click.option("--body", type=click.File("rb"), help="and the bytes of a body.")
@click.option(
    "--unsealed",
    is_flag=True,
    help="Store it in the clear, though other outcomes here are sealed.",
)
@_settling
@takes_store
def resolve(
    store: Store,
    /,
    *,
    key: str,
    which: Which,
    raw: IO[bytes] | None,
    status: int | None,
    headers: tuple[str, ...],
    body: IO[bytes] | None,
    unsealed: bool,
    **how: Any,
) -> None:
    """Complete KEY: the work DID happen, and this is the answer for every retry.

    Only an unknown key can be resolved, or one whose answer nobody can read.
    """
    if (raw is None) == (status is None):
        raise click.UsageError(
            "Give the answer: either --completed-with FILE, or --status with "
            "--header and --body."
        )
    if raw is not None and (headers or body):
        raise click.UsageError("--header and --body go with --status.")
    result = (
        parse_response(raw.read())
        if raw is not None
        else built_response(status or 0, headers, body.read() if body else b"")
    )
    record = one_record(store, key, which)
    if not unsealed:
        _refuse_in_the_clear(store)
    _settle(store, record, result, **how)


def _refuse_in_the_clear(store: Store) -> None:
    """Refuse an answer that a sealed service would never open.

    Raises:
        ConfigurationError: others in *store* are sealed, and it does not seal.
    """
    if store.traits.sealed:
        return
    for record in store.records(Query(status=Status.COMPLETED, limit=LOOKED_AT)):
        if _is_sealed(store, record):
            raise ConfigurationError(
                "Outcomes in this store are sealed, and the service would refuse one "
                "in the clear: write 'sealed+' before the store's URL, with the keys "
                "in KEYONCE_SEAL_KEYS. Where sealing was given up, say --unsealed."
            )


def _is_sealed(store: Store, record: Record) -> bool:
    found = None
    with suppress(RecordUnreadable):
        found = store.find(record.identity)
    result = found and found.record.result
    return bool(result and result.sealed)


def _settle(
    store: Store,
    record: Record,
    result: StoredResult | None,
    *,
    reason: str,
    actor: str | None,
    retention: str,
    unreadable: bool,
    yes: bool,
    as_json: bool,
) -> None:
    command = Settlement(
        identity=record.identity,
        reason=_said(reason),
        actor=actor or _who(),
        result=result,
        retention_for=_seconds(retention),
        unreadable=unreadable,
    )
    if not yes and sys.stdin.isatty():
        _ask(record, command, clock_of(store, [record]))
    settled = store.settle(command)
    now = clock_of(store, [settled])
    if as_json:
        emit(fields_of(settled, now))
        return
    console().print("The key is now", status_text(settled, now))


def _said(reason: str) -> str:
    if not reason.strip():
        raise click.BadParameter("say why, in a few words.", param_hint="--reason")
    return reason.strip()


def _ask(record: Record, command: Settlement, now: float) -> None:
    what = "release it, so that the next attempt runs the work"
    if command.forgets:
        what = "forget it, so that the next attempt runs the work anew"
    if command.result is not None:
        what = f"answer every retry with the status {command.result.status}"
    console(stderr=True).print("The key is", status_text(record, now))
    click.confirm(f"Really {what}?", abort=True, err=True)


def _seconds(retention: str) -> float | None:
    if retention == "forever":
        return None
    return parse_duration(retention, name="--retention").total_seconds()


def _who() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
