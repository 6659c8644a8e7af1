# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyonce.core.errors import ConfigurationError
from keyonce.http.durations import duration_text, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("500ms", timedelta(milliseconds=500)),
        ("30s", timedelta(seconds=30)),
        ("15m", timedelta(minutes=15)),
        ("24h", timedelta(hours=24)),
        ("7d", timedelta(days=7)),
        ("2w", timedelta(weeks=2)),
        ("1.5h", timedelta(minutes=90)),
        (" 7 D ", timedelta(days=7)),
    ],
)
def test_a_duration_is_a_number_with_its_unit(text, span):
    assert span == parse_duration(text)


@pytest.mark.parametrize("text", ["0", "0s", "0.0h", "00d", 0, 0.0])
def test_zero_is_refused_where_a_duration_is_expected(text):
    with pytest.raises(ConfigurationError, match=r"longer than zero.*leave it out"):
        parse_duration(text, name="lease")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "30",
        30,
        "30 seconds",
        "-5s",
        "s",
        "1h30m",
        "7y",
        None,
        True,
        False,
        [],
        "٣s",
    ],
)
def test_what_is_no_duration_is_refused_with_the_mend(text):
    with pytest.raises(ConfigurationError, match=r"lease is .*'30s'"):
        parse_duration(text, name="lease")


@pytest.mark.parametrize("text", ["999999999999d", "0.0001ms"])
def test_a_duration_beyond_bounds_is_refused(text):
    with pytest.raises(ConfigurationError):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("64MiB", 64 * 1024 * 1024),
        ("2KiB", 2048),
        ("1GiB", 1024**3),
        ("300B", 300),
        ("300", 300),
        (300, 300),
        ("1 MB", 1_000_000),
        ("0.5kib", 512),
        (0, 0),
    ],
)
def test_a_size_is_a_number_of_bytes(text, size):
    assert size == parse_size(text)


@pytest.mark.parametrize("text", ["", "64 megabytes", "-1", -1, 1.5, None, True, "7d"])
def test_what_is_no_size_is_refused_with_the_mend(text):
    with pytest.raises(ConfigurationError, match=r"max_request is .*'64MiB'"):
        parse_size(text, name="max_request")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (604800.0, "7d"),
        (86400, "1d"),
        (90, "90s"),
        (900, "15m"),
        (0.5, "500ms"),
        (0, "0ms"),
    ],
)
def test_a_span_is_written_in_its_largest_whole_unit(seconds, text):
    assert text == duration_text(seconds)


@given(st.integers(1, 10**10))
def test_what_is_written_reads_back(milliseconds):
    span = timedelta(milliseconds=milliseconds)

    assert span == parse_duration(duration_text(span.total_seconds()))
