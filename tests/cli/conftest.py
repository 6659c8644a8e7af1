# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A real SQLite store with a few keys in it, and a way to run commands on it."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from typing import Any

import pytest
from click.testing import CliRunner

from keyonce.cli.group import keyonce
from keyonce.core.guarantee import Guarantee
from keyonce.core.model import (
    Claim,
    Completion,
    Fingerprint,
    Identity,
    StoredResult,
)
from keyonce.core.protocols import Store
from keyonce.stores.url import open_store

DAY = 86_400.0
PAID = StoredResult(
    201,
    ((b"Content-Type", b"application/json"), (b"Location", b"/payments/17")),
    b'{"id": 17}',
    size=10,
)


@dataclass
class Ran:
    """What a command wrote and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Shop:
    """The keys of a shop, in every state."""

    def __init__(self, url: str, store: Store) -> None:
        self.url = url
        self.store = store

    def claim(
        self,
        key: str,
        *,
        operation: str = "POST /payments",
        scope: str = "acme",
        lease_for: float = 30.0,
        guarantee: Guarantee = Guarantee.AT_MOST_ONCE,
    ) -> tuple[Identity, bytes]:
        identity = Identity(scope, operation, key)
        owner = secrets.token_bytes(16)
        fingerprint = Fingerprint("1:raw", b"\x01" * 32)
        self.store.claim(
            Claim(identity, owner, fingerprint, guarantee, lease_for, max_crashes=3)
        )
        return identity, owner

    def completed(
        self,
        key: str,
        result: StoredResult = PAID,
        retention_for: float | None = DAY,
        **claimed: Any,
    ) -> Identity:
        identity, owner = self.claim(key, **claimed)
        command = Completion(identity, owner, result, retention_for, reference="ch_123")
        self.store.complete(command)
        return identity

    def unknown(self, key: str, **claimed: Any) -> Identity:
        identity, owner = self.claim(key, **claimed)
        self.store.abandon(identity, owner, "upstream-504")
        return identity

    def run(self, *args: str, stdin: bytes | None = None, columns: int = 120) -> Ran:
        return run("--store", self.url, *args, stdin=stdin, columns=columns)


def run(*args: str, stdin: bytes | None = None, columns: int = 120) -> Ran:
    """Run a command; options of the store go behind its name."""
    words = list(args)
    if words[:1] == ["--store"]:
        words = words[2:] + words[:2]
    env = {"COLUMNS": str(columns), "KEYONCE_STORE": None}
    done = CliRunner().invoke(keyonce, words, input=stdin, env=env)
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return Ran(done.exit_code, done.stdout, done.stderr)


@pytest.fixture
def shop(tmp_path):
    url = f"sqlite:///{tmp_path}/keyonce.db"
    store = open_store(url)
    yield Shop(url, store)
    store.close()
