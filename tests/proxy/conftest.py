# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from contextlib import AsyncExitStack

import pytest

from keyonce.proxy.app import Sidecar
from keyonce.proxy.client import AiohttpConnector
from keyonce.proxy.config import Config, load
from keyonce.proxy.config_values import LOOPBACK
from keyonce.proxy.edge import Edge
from keyonce.proxy.upstream import UpstreamApp
from tests.proxy.toy import ToyUpstream, running_upstream, serving


@pytest.fixture
async def toy():
    async with running_upstream(ToyUpstream()) as upstream:
        yield upstream


@pytest.fixture
async def proxy(toy):
    """The port of an unguarded proxy in front of *toy*."""
    async with AsyncExitStack() as stack:
        app = UpstreamApp(
            lambda: AiohttpConnector(toy.url, timeout=0.5), trusted=LOOPBACK
        )
        stack.push_async_callback(app.close)
        yield await stack.enter_async_context(serving(Edge(app)))


@pytest.fixture
def configured(toy, tmp_path):
    """Make a configuration in front of *toy*, from TOML."""

    def make(text: str = "", **flags: str) -> Config:
        path = tmp_path / "keyonce.toml"
        path.write_text(text)
        given = {
            "upstream": toy.url,
            "store": f"sqlite:///{tmp_path}/keys.db",
            "scope": "X-Api-Key",
            "listen": "127.0.0.1:0",
            "admin": "127.0.0.1:0",
        }
        return load(path, given | flags, {})

    return make


@pytest.fixture
async def guarded(configured):
    """Serve a sidecar for a configuration in TOML; gives the port."""
    async with AsyncExitStack() as stack:

        async def serve(text: str = "", **flags: str) -> int:
            config = configured(text, **flags)
            served = serving(
                Sidecar(config), lifespan="on", identity=config.identity_headers
            )
            return await stack.enter_async_context(served)

        yield serve
