# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Which store a URL names."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from base64 import b64encode

import pytest

from keyonce.core.errors import ConfigurationError
from keyonce.stores.memory import AsyncMemoryStore, MemoryStore
from keyonce.stores.sealed import AsyncSealed, Sealed
from keyonce.stores.sqlite import AsyncSQLiteStore, SQLiteStore
from keyonce.stores.sqlite.database import path_of
from keyonce.stores.url import open_async_store, open_store


def test_memory_is_a_store():
    assert isinstance(open_store("memory://"), MemoryStore)
    assert isinstance(open_async_store("memory://"), AsyncMemoryStore)


def test_three_slashes_are_relative(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    store = open_store("sqlite:///here.db")
    store.close()

    assert isinstance(store, SQLiteStore)
    assert (tmp_path / "here.db").exists()


def test_four_slashes_are_absolute(tmp_path):
    store = open_async_store(f"sqlite:///{tmp_path}/there.db")
    asyncio.run(store.close())

    assert isinstance(store, AsyncSQLiteStore)
    assert (tmp_path / "there.db").exists()


def test_escapes_are_decoded(tmp_path):
    store = open_store(f"sqlite:///{tmp_path}/a%20b%3F.db")
    store.close()

    assert (tmp_path / "a b?.db").exists()


@pytest.mark.parametrize(
    "url", ["oracle:///shop", "mongodb://h", "keyonce.db", "", "://", "SQLITE:///x"]
)
def test_what_is_not_there_is_refused_with_what_is(url):
    for opener in (open_store, open_async_store):
        with pytest.raises(ConfigurationError, match=r"memory://.*sqlite:///relative"):
            opener(url)


def test_a_password_in_a_url_is_not_told():
    with pytest.raises(ConfigurationError) as refusal:
        open_store("oracle://me:secret@host/db")

    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize(
    ("url", "mend"),
    [
        ("sqlite://", "sqlite:///keyonce.db"),
        ("sqlite:///", "sqlite:///keyonce.db"),
        ("sqlite:///:memory:", "memory://"),
        ("sqlite://keyonce.db", "three slashes"),
        ("sqlite:keyonce.db", "three slashes"),
        ("sqlite:///a.db?mode=ro", "no|none"),
        ("memory://shared", "memory://"),
    ],
)
def test_urls_that_cannot_work_say_what_to_write(url, mend):
    with pytest.raises(ConfigurationError, match=mend):
        open_store(url)


def test_a_path_is_taken_as_it_is(tmp_path):
    assert tmp_path / "a%20b.db" == path_of(tmp_path / "a%20b.db")


@pytest.mark.parametrize(
    ("opener", "package", "extra"),
    [
        ("open_store", "boto3", "dynamodb"),
        ("open_async_store", "aiobotocore", "aiodynamodb"),
    ],
)
def test_a_package_that_is_missing_is_told_with_its_extra(opener, package, extra):
    program = (
        f"import sys; sys.modules[{package!r}] = None\n"
        "from keyonce.core.errors import ConfigurationError\n"
        f"from keyonce.stores.url import {opener}\n"
        "try:\n"
        f"    {opener}('dynamodb://keyonce?region=eu-central-1')\n"
        "except ConfigurationError as error:\n"
        "    print(error)"
    )

    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert f"pip install 'keyonce[{extra}]'" in ran.stdout


KEY = "KEYONCE_SEAL_KEYS"
RING = f"2026:{b64encode(b'k' * 32).decode()}"


def test_a_sealed_store_is_any_other_with_a_word_before_it(tmp_path, monkeypatch):
    monkeypatch.setenv(KEY, RING)
    url = f"sealed+sqlite:///{tmp_path}/here.db"

    store, aio = open_store(url), open_async_store(url)

    assert isinstance(store, Sealed)
    assert isinstance(aio, AsyncSealed)
    assert "sqlite" == store.traits.name
    store.close()
    asyncio.run(aio.close())


def test_a_sealed_store_without_keys_is_not_opened(tmp_path, monkeypatch):
    monkeypatch.delenv(KEY, raising=False)
    monkeypatch.delenv(f"{KEY}_FILE", raising=False)

    for opener in (open_store, open_async_store):
        with pytest.raises(ConfigurationError, match="set KEYONCE_SEAL_KEYS"):
            opener(f"sealed+sqlite:///{tmp_path}/here.db")

    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("url", "mend"),
    [
        ("sealed+sealed+memory://", "once"),
        ("sealed+oracle://h", "'oracle://'"),
        ("sealed://h", "'sealed\\+' before"),
        ("sealed+", "There is no store"),
    ],
)
def test_a_sealed_url_that_cannot_work_says_why(url, mend, monkeypatch):
    monkeypatch.setenv(KEY, RING)

    for opener in (open_store, open_async_store):
        with pytest.raises(ConfigurationError, match=mend):
            opener(url)


def test_naming_one_store_does_not_import_another():
    program = (
        "import sys; from keyonce.stores.url import open_store\n"
        "open_store('memory://')\n"
        "print('sqlite3' in sys.modules)"
    )

    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert "False" == ran.stdout.strip()


@pytest.mark.parametrize("typed", ["keyonce.db", "/var/lib/keyonce.db"])
def test_a_path_is_answered_with_its_url(typed):
    for open_it in (open_store, open_async_store):
        with pytest.raises(ConfigurationError) as refused:
            open_it(typed)

        assert f"'{typed}' is no URL" in str(refused.value)
        assert f"'sqlite:///{typed}'" in str(refused.value)
