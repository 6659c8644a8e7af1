# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Fetch the newest pip wheel to the path given: for a Python that came without pip."""

from __future__ import annotations

import html
import os
import re
import sys
from pathlib import Path
from urllib.parse import urldefrag, urljoin
from urllib.request import urlopen

WHEEL = re.compile(r'href="([^"]*/pip-([\d.]+)-py3-none-any\.whl[^"]*)"')


def main(target: Path) -> None:
    """Read the index page of pip, then download the wheel it lists highest."""
    index = os.environ.get("PIP_INDEX_URL", "https://pypi.org/simple")
    page = f"{index.rstrip('/')}/pip/"
    with urlopen(page, timeout=60) as answer:  # noqa: S310  # the user's own index
        wheels = WHEEL.findall(answer.read().decode())
    newest = max(wheels, key=lambda wheel: [int(n) for n in wheel[1].split(".")])
    address = urldefrag(urljoin(page, html.unescape(newest[0]))).url
    with urlopen(address, timeout=60) as answer:  # noqa: S310  # as above
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(answer.read())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
