# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The sidecar that ``keyonce serve --config examples/ticket/keyonce.toml`` starts.

The addresses in the file are those of the page; here they give way to free ones.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from keyonce.cli import main as keyonce

CONFIG = Path(__file__).parents[2] / "examples/ticket/keyonce.toml"


def main() -> None:
    port = os.environ.get("PORT", "8080")
    upstream = os.environ.get("UPSTREAM", "http://127.0.0.1:8000")
    sys.argv = ["keyonce", "serve", "--config", str(CONFIG)]
    sys.argv += ["--listen", f"127.0.0.1:{port}", "--upstream", upstream]
    sys.argv += ["--admin", "off"]
    keyonce()


if __name__ == "__main__":
    main()
