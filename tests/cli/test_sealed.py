# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Operators before a sealed store, with its keys and without."""

from __future__ import annotations

import re
from base64 import b64decode

import pytest

from keyonce.stores.showing import without_secrets
from keyonce.stores.url import open_store
from tests.cli.conftest import Shop, run

KEYS = "KEYONCE_SEAL_KEYS"


@pytest.fixture
def ring(monkeypatch):
    ring = run("seal-key", "2026-11").out.strip()
    monkeypatch.setenv(KEYS, ring)
    return ring


@pytest.fixture
def sealed(ring, tmp_path):
    url = f"sealed+sqlite:///{tmp_path}/keyonce.db"
    store = open_store(url)
    yield Shop(url, store)
    store.close()


@pytest.fixture
def plain(sealed):
    return Shop(sealed.url.removeprefix("sealed+"), sealed.store)


def test_a_key_is_made_and_named():
    first, second = run("seal-key"), run("seal-key", "mine")

    assert re.fullmatch(r"\d{4}-\d\d-\d\d:\S{44}\n", first.out)
    assert second.out.startswith("mine:")
    keys = {b64decode(ran.out.split(":")[1]) for ran in (first, second)}
    assert [32, 32] == [len(key) for key in keys]


def test_a_key_cannot_be_called_anything():
    refused = run("seal-key", "no:thing")

    assert (2, "") == (refused.code, refused.out)
    assert "is no id of a seal key" in refused.err


def test_with_the_keys_a_key_shows_its_answer(sealed):
    sealed.completed("pay-1")

    shown = sealed.run("keys", "show", "pay-1", "--body")

    assert 0 == shown.code
    assert "/payments/17" in shown.out
    assert '{"id": 17}' in shown.out


def test_without_the_keys_a_key_says_that_it_is_sealed(sealed, plain):
    sealed.completed("pay-1")

    shown = plain.run("keys", "show", "pay-1", "--body")
    story = plain.run("keys", "show", "pay-1", "--json").json

    assert 0 == shown.code
    assert "201 Created" in shown.out
    assert "sealed under the key '2026-11'" in shown.out
    assert {"status": 201, "sealed": "2026-11"} == story["response"]


def test_with_another_ring_a_key_shows_all_but_the_answer_and_why(sealed, monkeypatch):
    sealed.completed("pay-1")
    monkeypatch.setenv(KEYS, run("seal-key", "2027-01").out.strip())

    shown = sealed.run("keys", "show", "pay-1", "--body")
    story = sealed.run("keys", "show", "pay-1", "--body", "--json").json

    assert 0 == shown.code
    assert "'2026-11', which is not in the ring" in " ".join(shown.out.split())
    assert "ch_123" in shown.out
    assert {"status", "sealed", "unreadable"} == story["response"].keys()
    assert "2026-11" == story["response"]["sealed"]


def test_an_outcome_that_is_not_sealed_is_listed_and_stays_shut(sealed, plain):
    other = open_store(plain.url)
    Shop(plain.url, other).completed("pay-1")
    other.close()

    listed = sealed.run("keys", "list")
    shown = sealed.run("keys", "show", "pay-1", "--body")

    assert 0 == listed.code
    assert "pay-1" in listed.out
    assert 0 == shown.code
    assert "is not sealed" in shown.out
    assert "/payments/17" not in shown.out
    assert '{"id": 17}' not in shown.out


def test_an_answer_in_the_clear_is_refused_where_others_are_sealed(sealed, plain):
    sealed.completed("pay-1")
    sealed.unknown("pay-2")
    words = ("keys", "resolve", "pay-2", "--status", "204", "--reason", "x", "--yes")

    refused = plain.run(*words)

    assert 2 == refused.code
    assert "write 'sealed+' before the store's URL" in refused.err
    assert "unknown" in sealed.run("keys", "show", "pay-2").out
    assert 0 == plain.run(*words, "--unsealed").code


def test_what_an_operator_resolves_is_sealed_as_well(sealed, plain):
    sealed.unknown("pay-1")

    resolved = sealed.run(
        "keys", "resolve", "pay-1", "--status", "204", "--reason", "x", "--yes"
    )

    assert 0 == resolved.code
    story = plain.run("keys", "show", "pay-1", "--json").json
    assert {"status": 204, "sealed": "2026-11"} == story["response"]
    assert "204" in sealed.run("keys", "show", "pay-1").out


def test_doctor_says_which_keys_there_are_and_no_key(sealed, ring, monkeypatch):
    older = run("seal-key", "2025-11").out.strip()
    monkeypatch.setenv(KEYS, f"{ring},{older}")

    told = sealed.run("doctor")

    assert 0 == told.code
    assert "under the key 2026-11" in " ".join(told.out.split())
    assert "2025-11" in told.out
    assert "power loss" in told.out
    for line in (ring, older):
        assert line.partition(":")[2] not in told.out + told.err


def test_without_keys_commands_that_look_leave_answers_shut(sealed, monkeypatch):
    sealed.completed("pay-1")
    monkeypatch.delenv(KEYS)

    shown = sealed.run("keys", "show", "pay-1", "--body")

    assert 0 == shown.code
    assert "sealed under the key '2026-11'" in shown.out
    assert "/payments/17" not in shown.out
    assert [0, 0] == [sealed.run(*it).code for it in (("keys", "list"), ("stats",))]


def test_without_keys_there_is_a_sentence(sealed, monkeypatch):
    sealed.unknown("pay-1")
    monkeypatch.delenv(KEYS)

    refused = sealed.run(
        "keys", "resolve", "pay-1", "--status", "204", "--reason", "x", "--yes"
    )

    assert 2 == refused.code
    assert "set KEYONCE_SEAL_KEYS" in refused.err


def test_nothing_is_made_where_no_store_is(ring, tmp_path):
    refused = run("--store", f"sealed+sqlite:///{tmp_path}/gone.db", "stats")

    assert 2 == refused.code
    assert f"There is no SQLite store at {tmp_path}/gone.db" in refused.err
    assert [] == list(tmp_path.iterdir())


def test_memory_cannot_be_looked_into_sealed_either(ring):
    assert "inside its own process" in run("--store", "sealed+memory://", "stats").err


def test_a_password_of_a_sealed_store_is_not_shown():
    shown = without_secrets("sealed+postgresql://me:hush@h:1/shop")
    inner = "fast=redis://:hush@c/0&durable=postgresql://me:hush@h/shop"

    assert "sealed+postgresql://me:***@h:1/shop" == shown
    assert "hush" not in without_secrets(f"sealed+tiered://?{inner}")


def test_an_answer_without_its_key_is_released_only_when_it_is_said(
    sealed, monkeypatch
):
    sealed.completed("pay-1")
    monkeypatch.setenv(KEYS, run("seal-key", "2027-01").out.strip())
    release = ("keys", "release", "pay-1", "--reason", "the key is lost", "--yes")

    refused = sealed.run(*release)
    released = sealed.run(*release, "--unreadable")

    assert 0 != refused.code
    assert "Put the key back" in refused.err
    assert "--unreadable" in refused.err
    assert 0 == released.code
    assert "released" in released.out
