# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What servers do with the exception of a guarded WSGI app."""

from __future__ import annotations

import pytest

from keyonce.testing.integration_contract import Lab
from tests.integrations.servers import GUNICORN, WERKZEUG, serving

THREADS = (*GUNICORN, "tests.e2e.wsgi_known:app")
ONE_BY_ONE = (*THREADS, "--threads", "1", "--worker-class", "sync")


@pytest.mark.parametrize(
    "command", [THREADS, ONE_BY_ONE, WERKZEUG], ids=["gthread", "sync", "werkzeug"]
)
def test_the_server_logs_it_and_the_caller_has_the_whole_answer(command, tmp_path):
    log = tmp_path / "log"
    with serving(command, log) as caller:
        lab = Lab(caller)
        request = lab.request("/plain/raise")
        first, second = lab.send(request), lab.send(request)
        lab.wait_until(lambda: "HandlerError" in log.read_text(encoding="utf-8"))

    assert (500, "handler-failed", False) == (first.status, first.code, first.cut_off)
    assert first.lasting() == second.lasting()
    assert 1 == log.read_text(encoding="utf-8").count("behaviours.HandlerError")
