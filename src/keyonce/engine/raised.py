# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Exceptions that are an outcome, as the bytes that a record keeps.

An exception is made again without its ``__init__``: its arguments and attributes
are what they were, as far as they are plain values.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from keyonce.core.errors import (
    LeaseLost,
    OutcomeUnknown,
    SafeToRetry,
    StoreError,
    WorkFailed,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

#: They say what becomes of the key, and are nobody's outcome.
_NEVER: Final = (LeaseLost, OutcomeUnknown, SafeToRetry, StoreError)


def is_declared(error: BaseException, errors: tuple[type[Exception], ...]) -> bool:
    """Whether *error* is one of those that are an outcome."""
    return isinstance(error, errors) and not isinstance(error, _NEVER)


def error_value(error: Exception) -> bytes:
    """Give *error* as it is recorded: its class's name, arguments, attributes."""
    told = {
        "kind": type(error).__qualname__,
        "args": _plain(list(error.args), [str(error)]),
        "state": _plain(vars(error), {}),
    }
    return json.dumps(told, separators=(",", ":")).encode()


def _plain(value: Any, otherwise: Any) -> Any:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return otherwise
    return value


def error_of(value: bytes, errors: tuple[type[Exception], ...]) -> Exception:
    """Give what *value* records as one of *errors*, or as WorkFailed."""
    try:
        told: dict[str, Any] = json.loads(value)
        kind, arguments = str(told["kind"]), list(told["args"])
        state = dict(told["state"])
    except (ValueError, KeyError, TypeError):
        return WorkFailed("The work raised, and what it raised cannot be read.")
    for known in _family(errors):
        if known.__qualname__ == kind:
            error: Exception = known.__new__(known, *arguments)
            error.args = tuple(arguments)
            vars(error).update(state)
            return error
    text = ", ".join(map(str, arguments))
    return WorkFailed(f"The work raised {kind}: {text}", kind=kind)


def _family(errors: tuple[type[Exception], ...]) -> Iterator[type[Exception]]:
    """Give *errors* and all that derive from them."""
    for known in errors:
        yield known
        yield from _family(tuple(known.__subclasses__()))
