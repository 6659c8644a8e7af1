# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""``keyonce serve``: check, listen, say what runs, serve, drain."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

from keyonce.proxy import logs, metrics
from keyonce.proxy.admin import AdminListener, Live
from keyonce.proxy.banner import banner
from keyonce.proxy.checks import listen_on, open_checked
from keyonce.proxy.config_values import Address
from keyonce.proxy.supervisor import Supervisor
from keyonce.proxy.worker import Worker

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from keyonce.core.events import Observer
    from keyonce.proxy.config import Config


def serve(config: Config, *, say: Callable[[str], object] = sys.stdout.write) -> int:
    """Guard the upstream until a signal ends it; give the exit status.

    One worker serves in this process; more are processes of their own, and this one
    keeps them. *say* gets the lines at the start.

    Raises:
        ConfigurationError: it cannot start as configured: a port is taken, or the
            store cannot keep a guarantee.
        StoreError: the store cannot be opened.
    """
    logs.set_up(config)
    with ExitStack() as stack:
        traffic = stack.enter_context(listen_on(config.listen, setting="listen"))
        admin = _admin_socket(config, stack)
        store, findings = open_checked(config)
        stack.callback(store.close)
        told = banner(
            config,
            store.traits,
            findings,
            listening=_where(traffic),
            admin=_where(admin) if admin else None,
        )
        live = Live(config, config.rules, store)
        if config.workers == 1:
            # The one worker opens the store anew, inside its event loop.
            store.close()
            live.store = None
            run = _alone(config, live, traffic)
        else:
            run = _supervised(config, live, traffic, stack)
        if admin:
            stack.callback(AdminListener(live, admin).close)
        say(told)
        sys.stdout.flush()
        return run()


def _admin_socket(config: Config, stack: ExitStack) -> socket.socket | None:
    if config.admin is None:
        return None
    return stack.enter_context(listen_on(config.admin, setting="admin"))


def _where(bound: socket.socket) -> str:
    host, port = bound.getsockname()[:2]
    return str(Address(host, port))


def _alone(config: Config, live: Live, traffic: socket.socket) -> Callable[[], int]:
    observer: Observer | None = None
    if metrics.available():
        observer, live.metrics = metrics.of_this_process(live.stats)
    worker = Worker(config, observer=observer, reloaded=_taker(live))

    def opened() -> None:
        store = worker.sidecar.store
        live.store = None if store is None else store.blocking()

    worker.sidecar.on_open = opened
    return lambda: worker.run(traffic)


def _supervised(
    config: Config, live: Live, traffic: socket.socket, stack: ExitStack
) -> Callable[[], int]:
    if metrics.available():
        stack.enter_context(metrics.shared_folder())
        live.metrics = metrics.of_all_workers(live.stats)
    return Supervisor(config, traffic, _taker(live)).run


def _taker(live: Live) -> Callable[[Config], None]:
    def take(config: Config) -> None:
        live.rules = config.rules

    return take
