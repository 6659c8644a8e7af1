# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""An example for each file of tests, or for each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.examples.programs import Example
from tests.servers.postgres import PostgresServer, newest


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """The URL of an empty database, on a server of its own."""
    server = PostgresServer(newest()).start()
    yield server.url(server.new_database())
    server.close()


@pytest.fixture(scope="module")
def examples(tmp_path_factory) -> Iterator[Callable[..., Example]]:
    """Make examples by name, each in an empty folder; their programs end at last."""
    made: list[Example] = []

    def make(name: str, **settings: str) -> Example:
        made.append(Example(name, tmp_path_factory.mktemp(name), **settings))
        return made[-1]

    yield make
    for example in made:
        example.close()
