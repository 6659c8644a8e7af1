# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Every line names its key: a real logger, a real handler, real lines."""

from __future__ import annotations

import io
import json
import logging

import pytest

from keyonce.core.errors import ConfigurationError
from keyonce.core.events import (
    Arrived,
    CacheAsked,
    Ended,
    Event,
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
from keyonce.core.model import Identity
from keyonce.telemetry.context import Attending, attending
from keyonce.telemetry.json_lines import JsonFormatter
from keyonce.telemetry.logs import LogObserver, install
from keyonce.telemetry.printable import digest

IDENTITY = Identity("tenant-1", "POST /payments", "pay-4711")
WORK = Attending(IDENTITY, "payments", 1, first=True)
AGAIN = Attending(IDENTITY, "payments", 2, first=False)
FORMAT = (
    "%(idempotency_key)s|%(idempotency_operation)s|"
    "%(idempotency_attempt)s|%(idempotency_first)s|%(message)s"
)
EVENTS: list[Event] = [
    Arrived("payments", IDENTITY),
    Started("payments", IDENTITY, 1),
    Ended("payments", IDENTITY, Outcome.REPLAYED, 0.002, key_age=3.5),
    LeaseRenewed(IDENTITY),
    LeaseGone(IDENTITY, "lost"),
    Recorded(IDENTITY),
    Reconciled(IDENTITY, "completed"),
    StoreCalled("sqlite", "claim", 0.1, failed=True),
    CacheAsked("tiered(sqlite)", "hit"),
    Purged(7),
]


class Lines:
    """A logger of its own, and what it wrote."""

    def __init__(self, formatter, level=logging.DEBUG):
        self._stream = io.StringIO()
        self.handler = logging.StreamHandler(self._stream)
        self.handler.setFormatter(formatter)
        self.logger = logging.Logger("shop", level)  # noqa: LOG001 - one for each test
        self.logger.addHandler(self.handler)

    def read(self):
        return self._stream.getvalue().splitlines()

    def rows(self):
        return [json.loads(line) for line in self.read()]


@pytest.fixture
def text():
    return Lines(logging.Formatter(FORMAT))


@pytest.fixture
def rows():
    return Lines(JsonFormatter())


def test_a_line_inside_guarded_work_names_its_key(text):
    install(text.logger)

    with attending(WORK):
        text.logger.info("charging")
    with attending(AGAIN):
        text.logger.info("charging")

    assert [
        "pay-4711|POST /payments|1|first|charging",
        "pay-4711|POST /payments|2|retry|charging",
    ] == text.read()


def test_a_line_outside_says_so(text):
    install(text.handler)

    text.logger.info("starting")

    assert ["-|-|-|-|starting"] == text.read()


def test_a_key_can_be_written_as_its_digest(text):
    install(text.logger, log_keys="digest")

    with attending(WORK):
        text.logger.info("charging")

    assert text.read()[0].startswith(f"{digest('pay-4711')}|")
    assert "pay-4711" not in text.read()[0]


@pytest.mark.parametrize("bad", ["a\r\nERROR paid", "\x1b[31mred", "\x00", "\u2028x"])
def test_a_key_cannot_forge_a_line(text, bad):
    install(text.logger)

    with attending(WORK._replace(identity=Identity("s", f"POST /{bad}", bad))):
        text.logger.info("charging")
    LogObserver(text.logger).notify(
        Ended("r", Identity("s", bad, bad), Outcome.MISMATCH, 0.1)
    )

    assert 2 == len(text.read())
    assert all(line.isprintable() for line in text.read())


def test_a_key_cannot_forge_a_field(text):
    install(text.logger)
    key = 'k" outcome=executed x="'

    LogObserver(text.logger).notify(
        Ended("r", Identity("s", "o", key), Outcome.LOST, 0)
    )

    assert r'key="k\" outcome=executed x=\""' in text.read()[0]


def test_installing_twice_adds_one_filter(text):
    install(text.logger)
    install(text.logger)

    assert 1 == len(text.handler.filters)


def test_a_logger_without_handlers_is_refused():
    with pytest.raises(ConfigurationError, match="'lonely' has no handler"):
        install(logging.getLogger("lonely"))


def test_an_end_is_one_readable_line(text):
    install(text.logger)

    LogObserver(text.logger).notify(EVENTS[2])

    line = (
        "pay-4711|POST /payments|-|retry|"
        'replayed key=pay-4711 operation="POST /payments" attempt=- turn=retry '
        "rule=payments took=0.002000 key_age=3.500000"
    )
    assert [line] == text.read()


def test_every_event_is_a_row_that_names_its_key(rows):
    install(rows.logger)
    observer = LogObserver(rows.logger)

    for event in EVENTS:
        observer.notify(event)

    found = [(row["event"], row["idempotency_key"]) for row in rows.rows()]
    assert [
        ("arrived", "pay-4711"),
        ("started", "pay-4711"),
        ("ended", "pay-4711"),
        ("lease-renewed", "pay-4711"),
        ("lease-gone", "pay-4711"),
        ("recorded", "pay-4711"),
        ("reconciled", "pay-4711"),
        ("store-failed", "-"),
        ("cache-asked", "-"),
        ("purged", "-"),
    ] == found


def test_a_row_answers_retry_or_new(rows):
    observer = LogObserver(rows.logger)

    observer.notify(Ended("payments", IDENTITY, Outcome.EXECUTED, 0.01, execution=1))
    observer.notify(Ended("payments", IDENTITY, Outcome.REPLAYED, 0.01, key_age=2.0))
    observer.notify(Ended("payments", IDENTITY, Outcome.EXECUTED, 0.01, execution=2))
    observer.notify(Ended("payments", None, Outcome.UNKEYED, 0.01))

    assert ["first", "retry", "retry", "-"] == [
        row["idempotency_first"] for row in rows.rows()
    ]


def test_a_row_tells_scopes_apart_without_naming_them(rows):
    observer = LogObserver(rows.logger)

    for scope in ("tenant-1", "tenant-2"):
        identity = IDENTITY._replace(scope=scope)
        observer.notify(Ended("payments", identity, Outcome.EXECUTED, 0.01))

    one, other = rows.rows()
    assert one["idempotency_scope"] != other["idempotency_scope"]
    assert not any("tenant" in line for line in rows.read())


def test_a_row_keeps_the_users_own_fields_and_the_exception(rows):
    install(rows.logger)

    with attending(WORK):
        try:
            raise ValueError("no card")
        except ValueError:
            rows.logger.exception("failed", extra={"order": 17, "level": "forged"})

    row = rows.rows()[0]
    assert (17, "error", "pay-4711") == (
        row["order"],
        row["level"],
        row["idempotency_key"],
    )
    assert "ValueError: no card" in row["exception"]


@pytest.mark.parametrize(
    ("event", "level"),
    [
        (Ended("r", IDENTITY, Outcome.EXECUTED, 0.1), "INFO"),
        (Ended("r", IDENTITY, Outcome.MISMATCH, 0.1), "INFO"),
        (Ended("r", IDENTITY, Outcome.UNKNOWN, 0.1), "INFO"),
        (Ended("r", IDENTITY, Outcome.UNCLEAR, 0.1), "WARNING"),
        (Ended("r", IDENTITY, Outcome.LOST, 0.1), "WARNING"),
        (Ended("r", IDENTITY, Outcome.STORE_UNAVAILABLE, 0.1), "WARNING"),
        (Ended("r", IDENTITY, Outcome.UNREADABLE, 0.1), "ERROR"),
        (Ended("r", IDENTITY, Outcome.UNRECORDED, 0.1), "ERROR"),
        (LeaseGone(IDENTITY, "lost"), "WARNING"),
        (StoreCalled("sqlite", "claim", 0.1, failed=False), "DEBUG"),
        (CacheAsked("tiered(sqlite)", "hit"), "DEBUG"),
        (CacheAsked("tiered(sqlite)", "refused"), "WARNING"),
        (CacheAsked("tiered(sqlite)", "failed"), "WARNING"),
        (StoreCalled("sqlite", "claim", 0.1, failed=True), "WARNING"),
        (LeaseEnded(IDENTITY), "WARNING"),
        (Purged(0), "DEBUG"),
        (Reconciled(IDENTITY, "completed"), "INFO"),
        (Reconciled(IDENTITY, "failed"), "WARNING"),
        (Purged(3), "INFO"),
    ],
)
def test_what_somebody_should_see_is_louder(event, level):
    lines = Lines(logging.Formatter("%(levelname)s"))

    LogObserver(lines.logger).notify(event)

    assert [level] == lines.read()


def test_why_a_store_failed_is_told(text, rows):
    failed = StoreCalled("redis", "claim", 0.1, failed=True, reason="It said no.")

    for lines in (text, rows):
        LogObserver(lines.logger).notify(failed)

    assert text.read()[0].endswith('reason="It said no."')
    assert "It said no." == rows.rows()[0]["reason"]


def test_a_level_that_is_not_wanted_writes_nothing():
    lines = Lines(JsonFormatter(), level=logging.WARNING)

    for event in EVENTS:
        LogObserver(lines.logger).notify(event)

    assert ["lease-gone", "store-failed"] == [row["event"] for row in lines.rows()]


def test_the_default_logger_is_named_keyonce(caplog):
    with caplog.at_level(logging.INFO, logger="keyonce"):
        LogObserver().notify(EVENTS[2])

    assert ["keyonce"] == [record.name for record in caplog.records]
