# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A log formatter that writes one JSON object a line."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any, Final

_STANDARD: Final = frozenset(
    [*vars(logging.makeLogRecord({})), "asctime", "message", "taskName"]
)


class JsonFormatter(logging.Formatter):
    """Write records as JSON, each on its line, in ASCII.

    Beside time, level, logger and message stand the ``idempotency_…`` fields of
    KeyFilter, the fields of the event that LogObserver wrote the line for, and
    whatever else the record was given as ``extra``.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Give the line for *record*, without its end."""
        row: dict[str, Any] = {
            "at": _instant(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        extras = {k: v for k, v in vars(record).items() if k not in _STANDARD}
        event = extras.pop("keyonce", None)
        fields = event if isinstance(event, dict) else {}
        row = {**row, **extras, **fields, **row}  # in this order, ours last to win
        if record.exc_info:
            row["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            row["stack"] = record.stack_info
        return json.dumps(row, default=str)


def _instant(seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
