# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from contextlib import AsyncExitStack

import pytest

from keyonce.proxy.client import AiohttpConnector
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
