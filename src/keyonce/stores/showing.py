# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""URLs as people may see them."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote, unquote, urlsplit

_SECRET_OPTION: Final = re.compile(r"([?&]\w*password=)[^&]*")
# The URLs that a tiered:// one holds; unescaped, the inner options look like its own.
_INNER: Final = re.compile(r"(?<=[?&])(fast|durable)=([^&]*)")
_READABLE: Final = ":/@*,?=[]"


def without_secrets(url: str) -> str:
    """Write *url* without the passwords in it, nor those of URLs within."""
    if url.startswith(("tiered:", "sealed+tiered:")):
        url = _INNER.sub(_shown, url)
    url = _SECRET_OPTION.sub(r"\1***", url)
    parts = urlsplit(url)
    if parts.password is None:
        return url
    where = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{parts.username or ''}:***@{where}").geturl()


def _shown(inner: re.Match[str]) -> str:
    shown = without_secrets(unquote(inner[2]))
    return f"{inner[1]}={quote(shown, safe=_READABLE)}"
