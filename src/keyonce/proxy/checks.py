# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What must hold before the sidecar takes traffic: store and ports."""

from __future__ import annotations

import errno
import socket
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from keyonce.core.errors import ConfigurationError
from keyonce.integrations.fitness import refuse_errors
from keyonce.stores.url import open_store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keyonce.core.model import Finding, Traits
    from keyonce.core.protocols import Store
    from keyonce.proxy.config import Config
    from keyonce.proxy.config_values import Address

_BACKLOG: Final = 2048


def open_checked(config: Config) -> tuple[Store, Sequence[Finding]]:
    """Open the store and look at it; give it with what is worth knowing.

    Raises:
        ConfigurationError: it cannot keep what a rule declares, or not over so many
            workers, or one of its settings breaks its promise.
        StoreError: it cannot be opened.
    """
    store_timeout = timedelta(seconds=config.store_timeout)
    store = open_store(config.store, store_timeout=store_timeout)
    try:
        check_traits(store.traits, config)
        findings = store.examine()
        refuse_errors(findings)
    except BaseException:
        store.close()
        raise
    return store, findings


def check_traits(traits: Traits, config: Config) -> None:
    """Refuse a store that by its nature cannot keep what *config* declares.

    Raises:
        ConfigurationError: naming the rule or the setting, and the mend.
    """
    for rule in config.rules:
        guarantee = rule.policy.guarantee
        if guarantee not in traits.guarantees:
            message = (
                f"Rule {rule.match!r} declares {guarantee}, which the {traits.name} "
                "store cannot keep. Take another store or another guarantee."
            )
            raise ConfigurationError(message)
    if config.workers > 1 and not traits.many_processes:
        message = (
            f"workers is {config.workers}, and each would have a {traits.name} store "
            "of its own: a key would run once in each. Use one worker, or a store that "
            "processes share, such as sqlite:///keyonce.db."
        )
        raise ConfigurationError(message)


def listen_on(address: Address, *, setting: str) -> socket.socket:
    """Take the port of *address*, to be handed to whoever serves it.

    Raises:
        ConfigurationError: it is taken, or not ours to take; *setting* names it.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    # By its name: asyncio sends small pieces at once only where TCP is named, and
    # create_server() leaves it open. Each answer would wait 40 ms otherwise.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((address.host, address.port))
        bound.listen(_BACKLOG)
    except OSError as error:
        bound.close()
        raise ConfigurationError(_taken(address, setting, error)) from error
    return bound


def _taken(address: Address, setting: str, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        mend = "--admin off runs without it" if setting == "admin" else "stop that one"
        return (
            f"{setting}: port {address.port} on {address.host} is taken by another "
            f"program. Choose another with --{setting} HOST:PORT, or {mend}."
        )
    return f"{setting}: cannot listen on {address}: {error.strerror or error}."
