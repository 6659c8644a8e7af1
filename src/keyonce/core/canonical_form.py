# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Form bodies (``application/x-www-form-urlencoded``) as one canonical form.

Two bodies have one form when they differ only in how bytes are escaped and in
the order of fields with different names. Fields of one name keep their order,
and so do fields whose names share what stands before the first bracket:
``items[][sku]`` and ``items[][price]`` are put together by their order.
``name`` and ``name=`` stay different, since some readers tell them apart.
"""

from __future__ import annotations

import re
from typing import Final

from keyonce.core.netstring import netstring

_ESCAPE: Final = re.compile(rb"%([0-9A-Fa-f]{2})")
_BROKEN: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")


def canonical_form(body: bytes) -> bytes | None:
    """Give the canonical form of *body*; None when readers may disagree on it.

    That is so for a broken escape, and for a bare semicolon, which some readers
    take for a separator.
    """
    if b";" in body or _BROKEN.search(body):
        return None
    fields = [_field(part) for part in body.split(b"&")]
    fields.sort(key=_group)
    return b"".join([written for _, written in fields])


def _field(part: bytes) -> tuple[bytes, bytes]:
    name, equals, value = part.partition(b"=")
    name = _decoded(name)
    if not equals:
        return name, netstring(name) + b"-"
    return name, netstring(name) + b"=" + netstring(_decoded(value))


def _group(field: tuple[bytes, bytes]) -> bytes:
    return field[0].partition(b"[")[0]


def _decoded(text: bytes) -> bytes:
    text = text.replace(b"+", b" ")
    return _ESCAPE.sub(_byte, text) if b"%" in text else text


def _byte(escape: re.Match[bytes]) -> bytes:
    return bytes.fromhex(escape[1].decode())
