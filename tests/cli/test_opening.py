# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Which store is looked at when several are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from keyonce.cli.opening import store_url
from keyonce.core.errors import ConfigurationError
from keyonce.stores.showing import without_secrets


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KEYONCE_STORE", raising=False)
    return tmp_path


def write(name: str, text: str) -> Path:
    path = Path(name)
    path.write_text(text)
    return path


def test_without_a_word_it_is_the_file_in_this_folder():
    assert "sqlite:///keyonce.db" == store_url(None, None)


def test_the_configuration_in_this_folder_is_found():
    write("keyonce.toml", 'store = "sqlite:///here.db"')

    assert "sqlite:///here.db" == store_url(None, None)


def test_the_environment_wins_over_the_file_and_the_option_over_both(monkeypatch):
    write("keyonce.toml", 'store = "sqlite:///here.db"')
    monkeypatch.setenv("KEYONCE_STORE", "sqlite:///env.db")

    assert "sqlite:///env.db" == store_url(None, None)
    assert "sqlite:///flag.db" == store_url("sqlite:///flag.db", None)


def test_another_file_can_be_named():
    other = write("other.toml", 'store = "sqlite:///other.db"')

    assert "sqlite:///other.db" == store_url(None, other)


@pytest.mark.parametrize(
    ("text", "problem"), [("store = 17", "is a URL in quotes"), ("=", "no TOML file")]
)
def test_a_file_that_cannot_be_read_is_refused(text, problem):
    with pytest.raises(ConfigurationError, match=problem):
        store_url(None, write("keyonce.toml", text))


def test_a_file_that_is_not_there_is_refused():
    with pytest.raises(ConfigurationError, match=r"no file gone\.toml"):
        store_url(None, Path("gone.toml"))


def test_a_password_is_not_shown():
    assert "redis://me:***@h:1/0" == without_secrets("redis://me:hush@h:1/0")
    assert "redis://h:1/0" == without_secrets("redis://h:1/0")
