# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A server that speaks as DynamoDB does: moto's, in a process of its own.

What passes here says that our requests are understood and our answers read well.
It is no proof of concurrency: moto checks a condition and writes in two steps of
Python, between which another thread may come. DynamoDB serialises the writes to
one item, so this server does as well: one request at a time. Nor does it keep
anything on a disk: what a killed DynamoDB keeps cannot be tried on it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from urllib.request import Request, urlopen

from tests.servers.programs import free_port, missing

REGION = "eu-central-1"
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "nobody",
    "AWS_SECRET_ACCESS_KEY": "nothing",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
}

PROGRAM = """
import sys, threading
from werkzeug.serving import WSGIRequestHandler, run_simple
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

class Handler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_request(self, *args):
        pass

dispatch = DomainDispatcherApplication(create_backend_app)
turn = threading.Lock()

def one_at_a_time(environ, start_response):
    with turn:
        return list(dispatch(environ, start_response))

run_simple("127.0.0.1", int(sys.argv[1]), one_at_a_time, threaded=True, request_handler=Handler)
"""


class Moto:
    """One server on a free port of this machine."""

    def __init__(self):
        self.port = free_port()
        self.process: subprocess.Popen[bytes]

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.port}"

    def url(self, table, **options):
        """The URL of a store on *table*."""
        options = {"region": REGION, "endpoint": self.endpoint, **options}
        given = "&".join(f"{name}={value}" for name, value in options.items())
        return f"dynamodb://{table}?{given}"

    def start(self):
        """Start, and wait until it answers."""
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(self.port)],
            env={**os.environ, **ENVIRONMENT},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until = time.monotonic() + 30
        while not self._answers():
            assert self.process.poll() is None, "moto ended by itself"
            assert time.monotonic() < until, "moto does not answer"
            time.sleep(0.05)
        return self

    def _answers(self):
        """Ask for its tables, so that it has loaded what it needs."""
        scope = f"nobody/20270101/{REGION}/dynamodb/aws4_request"
        headers = {
            "Content-Type": "application/x-amz-json-1.0",
            "X-Amz-Target": "DynamoDB_20120810.ListTables",
            "Authorization": f"AWS4-HMAC-SHA256 Credential={scope}",
        }
        try:
            with urlopen(Request(self.endpoint, b"{}", headers), timeout=30):
                return True
        except OSError:
            return False

    def pause(self):
        """Let it fall silent with its connections open."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        """End it without a word; it forgets everything."""
        self.process.kill()
        self.process.wait()

    def restart(self):
        """Start an empty one on the same port."""
        self.kill()
        self.start()

    def stop(self):
        """End it, silent or not."""
        self.resume()
        self.kill()


def need_moto():
    """Skip where moto is not installed, unless services are required."""
    if find_spec("moto") is not None:
        return
    missing("moto", brought_by="pip install moto[dynamodb] flask-cors")
