# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Which migrations a schema still needs."""

from __future__ import annotations

import pytest

from keyonce.core.errors import ConfigurationError
from keyonce.stores.schema import Migration, pending

ONE = Migration(1, "001_pre_a.sql", "")
TWO = Migration(2, "002_pre_b.sql", "")


@pytest.mark.parametrize(("version", "todo"), [(0, (ONE, TWO)), (1, (TWO,)), (2, ())])
def test_what_is_behind_is_brought_up_to_date(version, todo):
    assert todo == pending(version, (ONE, TWO), "here")


def test_what_is_ahead_is_refused_with_the_mend():
    with pytest.raises(ConfigurationError, match=r"version 3.*up to 2.*Install that"):
        pending(3, (ONE, TWO), "here")
