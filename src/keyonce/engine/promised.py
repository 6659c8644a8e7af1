# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Whether a store can keep what a policy declares."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

from keyonce.core.errors import ConfigurationError

if TYPE_CHECKING:
    from keyonce.core.guarantee import Guarantee
    from keyonce.core.model import Traits


def check_store(store: object) -> None:
    """Refuse what is no store for threads, such as its URL.

    Raises:
        ConfigurationError: saying what to give.
    """
    claim = getattr(store, "claim", None)
    if claim is None or inspect.iscoroutinefunction(claim):
        raise ConfigurationError(
            f"Guard and Inbox take a store for threads, not {_told(store)}: such as "
            "SQLiteStore('keyonce.db'), or open_store('sqlite:///keyonce.db') of "
            "keyonce.stores.url."
        )


def check_async_store(store: object) -> None:
    """Refuse what is no store for an event loop, such as its URL.

    Raises:
        ConfigurationError: saying what to give.
    """
    if not hasattr(store, "blocking"):
        raise ConfigurationError(
            f"AsyncGuard and AsyncInbox take an async store, not {_told(store)}: such "
            "as AsyncSQLiteStore('keyonce.db'), or "
            "open_async_store('sqlite:///keyonce.db') of keyonce.stores.url."
        )


def _told(store: object) -> str:
    return "a text" if isinstance(store, str) else f"a {type(store).__name__}"


def refusal(guarantee: Guarantee, traits: Traits) -> ConfigurationError:
    """Say that a store of these *traits* cannot keep *guarantee*, and what can."""
    offered = ", ".join(sorted(traits.guarantees))
    return ConfigurationError(
        f"The policy declares {guarantee}, which the {traits.name} store cannot keep; "
        f"it offers {offered}. Declare one of these, or take another store."
    )
