# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Scoped sessions of SQLAlchemy are joined as the sessions behind them."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, contextmanager

import pytest
from sqlalchemy.ext.asyncio import async_scoped_session, async_sessionmaker
from sqlalchemy.orm import scoped_session, sessionmaker

from tests.exactly_once.conftest import kinds
from tests.exactly_once.shops import FORMS, AsyncShop, orders

SESSIONS = [param for param in kinds() if "Session" in str(param.values[0])]


@contextmanager
def scoped(shop):
    session = scoped_session(sessionmaker(shop.engine))
    try:
        yield session
    finally:
        session.remove()


@asynccontextmanager
async def scoped_to_task(shop):
    made = async_sessionmaker(shop.engine)
    session = async_scoped_session(made, asyncio.current_task)
    try:
        yield session
    finally:
        await session.remove()


@pytest.mark.parametrize("kind", SESSIONS)
@pytest.mark.parametrize("form", FORMS)
def test_effect_and_outcome_commit_together(shop, url, form):
    scope = scoped_to_task if isinstance(shop, AsyncShop) else scoped
    shop.connect = lambda: scope(shop)

    assert [{"order": "o-1"}] * 2 == [shop.order("o-1", form) for _ in range(2)]
    assert 1 == orders(url, "o-1")
