# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Serve the guarded known app by Werkzeug, a thread for each request."""

from __future__ import annotations

import sys
from pathlib import Path

from werkzeug.serving import WSGIRequestHandler, make_server

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.e2e.wsgi_known import app


class Handler(WSGIRequestHandler):
    """Speaks HTTP/1.1, so that an answer without a length is chunked."""

    protocol_version = "HTTP/1.1"

    def log_request(self, code="-", size="-"):
        """Say nothing of what went well."""


if __name__ == "__main__":
    server = make_server(
        "127.0.0.1", 0, app, threaded=True, request_handler=Handler, fd=int(sys.argv[1])
    )
    server.serve_forever()
