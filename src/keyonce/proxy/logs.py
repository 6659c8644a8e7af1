# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The sidecar's log: one handler on stderr, each line with its key."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

from keyonce.telemetry.json_lines import JsonFormatter
from keyonce.telemetry.logs import install

if TYPE_CHECKING:
    from keyonce.proxy.config import Config


class TextFormatter(logging.Formatter):
    """Writes the key behind what was said inside guarded work."""

    def __init__(self) -> None:
        """Begin each line with the time and the level."""
        super().__init__("%(asctime)s %(levelname)-7s %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """Write *record*."""
        line = super().format(record)
        key = getattr(record, "idempotency_key", "-")
        # An event's own line names its key already.
        if key == "-" or hasattr(record, "keyonce"):
            return line
        turn = getattr(record, "idempotency_first", "-")
        return f"{line} [key={key} {turn}]"


def set_up(config: Config) -> None:
    """Log to stderr as *config* says; doing it again replaces the first."""
    handler = logging.StreamHandler(sys.stderr)
    json = config.log_format == "json"
    handler.setFormatter(JsonFormatter() if json else TextFormatter())
    style: Any = config.log_keys
    install(handler, log_keys=style)
    for name in ("keyonce", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.propagate = False
    logging.getLogger("keyonce").setLevel(config.log_level.upper())
    # What uvicorn says below a warning is about its own start and stop.
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
