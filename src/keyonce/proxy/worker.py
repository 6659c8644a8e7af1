# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""One process that serves traffic: a uvicorn server around the sidecar."""

from __future__ import annotations

import logging
import math
import signal
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, Literal

import uvicorn

from keyonce.core.errors import ConfigurationError
from keyonce.core.events import Observers
from keyonce.proxy.app import CUTTING_OFF, Sidecar
from keyonce.proxy.strict import strict_about
from keyonce.telemetry.logs import LogObserver

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator
    from types import FrameType

    from keyonce.core.events import Observer
    from keyonce.proxy.config import Config

STARTUP_FAILED: Final = 3
_BACKLOG: Final = 2048

logger = logging.getLogger("keyonce")


class Worker:
    """Serves *config* on a bound socket until a signal comes, then drains.

    *observer* is told everything beside the log. *reloaded* hears of a configuration
    that was read again on SIGHUP: its rules hold from then on, the rest is as before.
    """

    def __init__(
        self,
        config: Config,
        *,
        observer: Observer | None = None,
        reloaded: Callable[[Config], None] | None = None,
    ) -> None:
        """Serve nothing yet."""
        told: list[Observer] = [observer] if observer else []
        told.append(LogObserver(logger, log_keys=_style(config)))
        self._config = config
        self._reloaded = reloaded
        self.sidecar = Sidecar(config, observer=Observers(*told))

    def run(self, bound: socket.socket) -> int:
        """Serve on *bound*; give the exit status."""
        server = _Server(
            uvicorn.Config(
                self.sidecar,
                http=strict_about(self._config.identity_headers),
                ws=_websockets(),
                lifespan="on",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                date_header=False,
                backlog=_BACKLOG,
                timeout_graceful_shutdown=math.ceil(self._config.drain + CUTTING_OFF),
            ),
            stopping=self.sidecar.stopping,
            reload=self.reload,
        )
        server.run(sockets=[bound])
        return 0 if server.started else STARTUP_FAILED

    def reload(self) -> None:
        """Read the rules again; those that cannot be read change nothing."""
        try:
            config = self._config.read_again()
            self.sidecar.take_rules(config.rules)
        except ConfigurationError as error:
            logger.warning("Configuration not taken, the old one holds: %s", error)
            return
        logger.warning("%d rules taken from %s", len(config.rules), config.source)
        if self._reloaded:
            self._reloaded(config)


def _websockets() -> Literal["websockets-sansio", "none"]:
    """Choose what speaks WebSocket; without it an upgrade is refused upstream."""
    return "websockets-sansio" if find_spec("websockets") else "none"


def _style(config: Config) -> Any:
    return config.log_keys


class _Server(uvicorn.Server):
    """uvicorn's server with signals that end in an exit status, not in a death."""

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        stopping: Callable[[], None],
        reload: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._stopping = stopping
        self._reload = reload

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to drain; a second SIGINT ends at once."""
        self._stopping()
        super().handle_exit(sig, frame)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals inside the block; they are not raised again after it."""
        handlers: dict[int, Any] = {
            signal.SIGINT: self.handle_exit,
            signal.SIGTERM: self.handle_exit,
        }
        if hasattr(signal, "SIGHUP"):
            handlers[signal.SIGHUP] = lambda _signal, _frame: self._reload()
        before = {sig: signal.signal(sig, handle) for sig, handle in handlers.items()}
        try:
            yield
        finally:
            for sig, handle in before.items():
                signal.signal(sig, handle)
