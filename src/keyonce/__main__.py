# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""``python -m keyonce``: the command line, where its program is not on the path."""

from __future__ import annotations

import sys

from keyonce.cli import main

if __name__ == "__main__":
    sys.exit(main())
