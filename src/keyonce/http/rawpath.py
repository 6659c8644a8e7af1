# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""One spelling for a raw path, so that equal ones are equal text."""

from __future__ import annotations

import re
from typing import Final

# Printable ASCII save '%', which needs a look, and '?', where the query begins.
_PLAIN: Final = re.compile(rb"[!-$&->@-~]*").fullmatch
_ODD: Final = re.compile(rb"%[0-9A-Fa-f]{2}|[^!-$&-~]")
_ESCAPE: Final = 3


def normal_path(raw: bytes) -> str:
    """Give *raw* as printable ASCII, percent-escapes in upper case.

    Nothing is decoded: ``%2F`` is not ``/`` and ``%41`` is not ``A``. A byte that
    cannot stand in a path, and a ``%`` that begins no escape, is written ``%xHH``,
    which no escape looks like; so two paths have one spelling only if they differ
    in nothing but the letter case of their escapes. A query is left out.
    """
    if _PLAIN(raw):
        return raw.decode("ascii")
    return _ODD.sub(_spell, raw.partition(b"?")[0]).decode("ascii")


def _spell(found: re.Match[bytes]) -> bytes:
    odd = found.group()
    return odd.upper() if len(odd) == _ESCAPE else b"%%x%02X" % odd[0]
