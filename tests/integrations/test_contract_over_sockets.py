# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Both gateways behind real servers, held against the contract for gateways."""

from __future__ import annotations

import pytest

from keyonce.testing.integration_contract import IntegrationContract, Lab
from tests.integrations.servers import GUNICORN, HYPERCORN, UVICORN, WERKZEUG, serving


class TestUnderUvicorn(IntegrationContract):
    @pytest.fixture(scope="class", params=["httptools", "h11"])
    @classmethod
    def lab(cls, request, tmp_path_factory):
        command = (*UVICORN, "--http", request.param, "tests.e2e.asgi_known:app")
        with serving(command, tmp_path_factory.mktemp("uvicorn") / "log") as caller:
            yield Lab(caller)


class TestUnderHypercorn(IntegrationContract):
    @pytest.fixture(scope="class")
    @classmethod
    def lab(cls, tmp_path_factory):
        command = (*HYPERCORN, "tests.e2e.asgi_known:app")
        with serving(command, tmp_path_factory.mktemp("hypercorn") / "log") as caller:
            yield Lab(caller)


class TestUnderGunicorn(IntegrationContract):
    @pytest.fixture(scope="class")
    @classmethod
    def lab(cls, tmp_path_factory):
        command = (*GUNICORN, "tests.e2e.wsgi_known:app")
        with serving(command, tmp_path_factory.mktemp("gunicorn") / "log") as caller:
            yield Lab(caller)


class TestUnderWerkzeug(IntegrationContract):
    @pytest.fixture(scope="class")
    @classmethod
    def lab(cls, tmp_path_factory):
        with serving(WERKZEUG, tmp_path_factory.mktemp("werkzeug") / "log") as caller:
            yield Lab(caller)
