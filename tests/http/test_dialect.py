# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from keyonce.core.errors import ConfigurationError
from keyonce.http.dialect import DIALECT, Dialect


def test_the_drafts_header_is_the_default():
    assert ("Idempotency-Key", b"idempotency-key") == (
        DIALECT.key_header,
        DIALECT.key_name,
    )


def test_the_header_can_be_another():
    assert b"x-once" == Dialect(key_header="X-Once").key_name


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("key_header", ""),
        ("key_header", "X Once"),
        ("key_header", "X-Once:"),
        ("key_header", "Authorization"),
        ("docs_url", "https://a.example/\r\nx: y"),
        ("docs_url", "https://a.example/> b"),
        ("docs_url", ""),
        ("prefix", ""),
        ("prefix", "/"),
        ("prefix", "keyonce"),
        ("prefix", "/keyonce/"),
        ("prefix", "/a?b"),
    ],
)
def test_a_name_that_cannot_stand_in_http_is_refused(setting, value):
    with pytest.raises(ConfigurationError, match=setting):
        Dialect(**{setting: value})
