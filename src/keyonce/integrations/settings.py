# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Settings of a gateway, looked at once, before the first request."""

from __future__ import annotations

import inspect
from datetime import timedelta
from typing import Any

from keyonce.core.errors import ConfigurationError
from keyonce.http.operation import Rule, Rules


def check_async_store(store: object) -> None:
    """Refuse what is no store for an event loop.

    Raises:
        ConfigurationError: saying which store to take.
    """
    if not hasattr(store, "blocking"):
        message = (
            f"store is a URL or an async store, not {type(store).__name__}: this "
            "gateway runs on an event loop. Take AsyncMemoryStore(), "
            "AsyncSQLiteStore('keyonce.db'), or a URL such as "
            "'sqlite:///keyonce.db'."
        )
        raise ConfigurationError(message)


def check_store(store: object) -> None:
    """Refuse what is no store for threads.

    Raises:
        ConfigurationError: saying which store to take.
    """
    claim = getattr(store, "claim", None)
    if claim is None or inspect.iscoroutinefunction(claim):
        message = (
            f"store is a URL or a store for threads, not {type(store).__name__}: "
            "this gateway runs in threads. Take MemoryStore(), "
            "SQLiteStore('keyonce.db'), or a URL such as 'sqlite:///keyonce.db'."
        )
        raise ConfigurationError(message)


def check_span(name: str, span: object) -> None:
    """Refuse what is no time span longer than zero.

    Raises:
        ConfigurationError: naming the setting.
    """
    if not isinstance(span, timedelta) or span <= timedelta(0):
        message = (
            f"{name} is a timedelta longer than zero, such as timedelta(seconds=5), "
            f"not {span!r}."
        )
        raise ConfigurationError(message)


def checked_rules(rules: Any) -> Rules:
    """Give *rules* in their order.

    Raises:
        ConfigurationError: something in it is no rule, or there is none, so that
            nothing would be guarded.
    """
    if isinstance(rules, Rules):
        chosen = rules
    elif isinstance(rules, Rule | str) or not hasattr(rules, "__iter__"):
        message = (
            f"rules is a list, such as [Rule('POST /payments')], not {rules!r}. "
            "Leave it out to guard every POST and PATCH that has a key."
        )
        raise ConfigurationError(message)
    else:
        found = list(rules)
        for rule in found:
            if not isinstance(rule, Rule):
                message = f"rules holds Rule values, not {rule!r}: Rule('POST /**')."
                raise ConfigurationError(message)
        chosen = Rules(found)
    if not len(chosen):
        message = (
            "rules is empty, so nothing would be guarded. Leave it out to guard every "
            "POST and PATCH that has a key, or name what to guard."
        )
        raise ConfigurationError(message)
    return chosen
