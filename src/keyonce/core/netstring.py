# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Bytes with their length in front, so that no two sequences run together."""

from __future__ import annotations


def netstring(data: bytes) -> bytes:
    """Write *data* as ``length:data``."""
    return b"%d:%b" % (len(data), data)


def pairs(items: list[tuple[bytes, bytes]]) -> bytes:
    """Write a list of pairs: how many, then each half with its length."""
    written = [b"%d:%b%d:%b" % (len(a), a, len(b), b) for a, b in items]
    return b"%d;%b" % (len(items), b"".join(written))
