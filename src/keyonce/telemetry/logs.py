# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Log lines that name the key: a filter for everybody's, an observer for ours."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from keyonce.core.errors import ConfigurationError
from keyonce.core.events import (
    Arrived,
    CacheAsked,
    Ended,
    LeaseEnded,
    LeaseGone,
    LeaseRenewed,
    Outcome,
    Purged,
    Reconciled,
    Recorded,
    Started,
    StoreCalled,
)
from keyonce.telemetry.context import current
from keyonce.telemetry.printable import KeyStyle, digest, escape, key_style, quoted
from keyonce.telemetry.reading import FIRST, NEITHER, RETRY, turn

if TYPE_CHECKING:
    from keyonce.core.events import Event

LOGGER: Final = "keyonce"

_LEVELS: Final = {
    # Not what a caller does by itself, as often as it likes.
    Outcome.UNCLEAR: logging.WARNING,
    Outcome.LOST: logging.WARNING,
    Outcome.STORE_UNAVAILABLE: logging.WARNING,
    Outcome.UNRECORDED: logging.ERROR,
    Outcome.NOT_COMMITTED: logging.ERROR,
    Outcome.UNREADABLE: logging.ERROR,
}


class KeyFilter(logging.Filter):
    """Put the key on every record that is written inside guarded work.

    Adds ``idempotency_key``, ``idempotency_operation``,
    ``idempotency_attempt`` (the number of the execution) and
    ``idempotency_first`` (``first`` or ``retry``); each is ``-`` outside, so
    that one format string fits all lines. Values are escaped: no key can start
    a line of its own or move a terminal's cursor.

    Put it on handlers: a logger's filters do not see what its children write.
    """

    def __init__(self, *, log_keys: KeyStyle = "key") -> None:
        """Write keys as they are, or as digests for those who may not."""
        super().__init__()
        self._written = key_style(log_keys)

    def filter(self, record: logging.LogRecord) -> bool:
        """Mark *record* and let it pass."""
        if hasattr(record, "idempotency_key"):
            return True
        work = current()
        if work is None:
            record.__dict__.update(_OUTSIDE)
            return True
        record.idempotency_key = self._written(work.key)
        record.idempotency_operation = escape(work.operation)
        record.idempotency_attempt = work.execution
        record.idempotency_first = FIRST if work.first else RETRY
        return True


_OUTSIDE: Final[dict[str, Any]] = {
    "idempotency_key": NEITHER,
    "idempotency_operation": NEITHER,
    "idempotency_attempt": NEITHER,
    "idempotency_first": NEITHER,
}


def install(
    target: logging.Logger | logging.Handler, *, log_keys: KeyStyle = "key"
) -> None:
    """Put a KeyFilter on *target*: one handler, or all handlers of a logger.

    Doing it again changes nothing. Handlers added later need it as well.

    Raises:
        ConfigurationError: the logger has no handler yet.
    """
    for handler in _handlers(target):
        if not any(isinstance(known, KeyFilter) for known in handler.filters):
            handler.addFilter(KeyFilter(log_keys=log_keys))


def _handlers(target: logging.Logger | logging.Handler) -> list[logging.Handler]:
    if isinstance(target, logging.Handler):
        return [target]
    if not target.handlers:
        raise ConfigurationError(
            f"The logger {target.name!r} has no handler to put the filter on. "
            "Add its handlers first, or name the logger that has them."
        )
    return target.handlers


class LogObserver:
    """Write one line for each thing that happened, naming its key.

    Ends of arrivals are INFO, or WARNING and ERROR where somebody should look;
    what only matters in bulk (arrivals, starts, renewals, store calls) is DEBUG.
    The fields stand in the line and, for a JSON formatter, on the record:
    ``keyonce`` holds the event, ``idempotency_…`` what KeyFilter would add.
    """

    def __init__(
        self, logger: logging.Logger | None = None, *, log_keys: KeyStyle = "key"
    ) -> None:
        """Write to *logger*, or to the one named ``keyonce``."""
        self._logger = logging.getLogger(LOGGER) if logger is None else logger
        self._written = key_style(log_keys)

    def notify(self, event: Event, /) -> None:
        """Write a line about *event* if its level is wanted."""
        level = _level(event)
        if not self._logger.isEnabledFor(level):
            return
        fields = _fields(event)
        about = self._about(event)
        extra = {"keyonce": fields, **about}
        self._logger.log(level, "%s", _line(fields, about), extra=extra)

    def _about(self, event: Event) -> dict[str, Any]:
        identity = getattr(event, "identity", None)
        if identity is None:
            return dict(_OUTSIDE)
        return {
            "idempotency_key": self._written(identity.key),
            "idempotency_operation": escape(identity.operation),
            "idempotency_attempt": getattr(event, "execution", 0) or NEITHER,
            "idempotency_first": _turn(event),
            "idempotency_scope": digest(identity.scope),
        }


def _turn(event: Event) -> str:
    match event:
        case Ended():
            return turn(event)
        case Started(execution=execution):
            return FIRST if execution == 1 else RETRY
        case _:
            return NEITHER


def _level(event: Event) -> int:
    match event:
        case Ended(outcome=outcome):
            return _LEVELS.get(outcome, logging.INFO)
        case LeaseGone() | LeaseEnded():
            return logging.WARNING
        case StoreCalled(failed=True):
            return logging.WARNING
        case CacheAsked(answer="refused" | "failed"):
            return logging.WARNING
        case Reconciled(answer="failed"):
            return logging.WARNING
        case Recorded() | Reconciled():
            return logging.INFO
        case Purged(count=count) if count:
            return logging.INFO
        case _:
            return logging.DEBUG


def _fields(event: Event) -> dict[str, Any]:
    """Give what *event* says beside its key, without what it leaves open."""
    match event:
        case Arrived(rule=rule):
            return {"event": "arrived", "rule": rule}
        case Started(rule=rule):
            return {"event": "started", "rule": rule}
        case Ended():
            return _ended(event)
        case StoreCalled(store, verb, took, failed, reason):
            name = "store-failed" if failed else "store-called"
            fields = {"event": name, "store": store, "verb": verb, "took": took}
            return {**fields, "reason": reason} if reason else fields
        case CacheAsked(store, answer):
            return {"event": "cache-asked", "store": store, "answer": answer}
        case LeaseRenewed():
            return {"event": "lease-renewed"}
        case LeaseGone(reason=reason):
            return {"event": "lease-gone", "reason": reason}
        case LeaseEnded():
            return {"event": "lease-ended"}
        case Recorded():
            return {"event": "recorded"}
        case Reconciled(answer=answer):
            return {"event": "reconciled", "answer": answer}
        case Purged(count):
            return {"event": "purged", "count": count}


def _ended(event: Ended) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "event": "ended",
        "outcome": event.outcome.value,
        "rule": event.rule,
        "took": event.took,
    }
    if event.would is not None:
        fields["would"] = event.would.value
    if event.key_age is not None:
        fields["key_age"] = event.key_age
    if event.weak is not None:
        fields["weak"] = event.weak
    if event.reference is not None:
        fields["reference"] = event.reference
    if event.reason:
        fields["reason"] = event.reason
    return fields


def _line(fields: dict[str, Any], about: dict[str, Any]) -> str:
    pairs = dict(fields)
    name = pairs.pop("event")
    words = [str(pairs.pop("outcome", name))]
    if "idempotency_scope" in about:
        words.append(_pair("key", about["idempotency_key"]))
        words.append(_pair("operation", about["idempotency_operation"]))
        words.append(_pair("attempt", about["idempotency_attempt"]))
        words.append(_pair("turn", about["idempotency_first"]))
    words += [_pair(field, value) for field, value in pairs.items()]
    return " ".join(words)


def _pair(name: str, value: Any) -> str:
    if isinstance(value, float):
        return f"{name}={value:.6f}"
    return f"{name}={quoted(str(value))}"
