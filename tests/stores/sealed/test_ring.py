# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Key rings: how they are written, and what is said of one that is wrong."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime

import pytest

from keyonce.core.errors import ConfigurationError
from keyonce.stores.sealed import KeyRing
from keyonce.stores.sealed.environment import settings_in
from keyonce.stores.sealed.ring import written

ONE = b64encode(b"\x01" * 32).decode()
TWO = b64encode(b"\xff" * 32).decode()


@pytest.mark.parametrize(
    "text",
    [
        f"2026:{ONE},2025:{TWO}",
        f" 2026:{ONE} ,\n 2025:{TWO}\n",
        f"# ours\n2026:{ONE}  # since May\n\n2025:{TWO}\n",
        f"2026:{ONE}\r\n2025:{TWO}\r\n",
    ],
)
def test_the_first_key_seals_and_all_open(text):
    ring = KeyRing.read(text)

    assert "2026" == ring.current
    assert {"2026": b"\x01" * 32, "2025": b"\xff" * 32} == ring.keys


def test_what_is_written_is_read():
    assert b"k" * 32 == KeyRing.read(written("a.b-c_1", b"k" * 32)).keys["a.b-c_1"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "there is no key"),
        ("# nothing\n", "there is no key"),
        (ONE, "key 1 has no id"),
        (f"2026:{ONE},{TWO}", "key 2 has no id"),
        (f"a/b:{ONE}", "key 1 has no proper id"),
        (f":{ONE}", "key 1 has no proper id"),
        (f"{'x' * 33}:{ONE}", "key 1 has no proper id"),
        (f"2026:{ONE[:-4]}", "key 1, '2026', is not 32 bytes"),
        (f"2026:{ONE}!", "key 1, '2026', is not 32 bytes"),
        ("2026:", "key 1, '2026', is not 32 bytes"),
        (f"2026:{ONE},2026:{TWO}", "two keys with the id '2026'"),
    ],
)
def test_a_ring_that_is_none_is_refused_without_telling_a_key(text, problem):
    with pytest.raises(ConfigurationError, match=problem) as refusal:
        KeyRing.read(text)

    assert ONE[:8] not in str(refusal.value)
    assert TWO[:8] not in str(refusal.value)


@pytest.mark.parametrize(
    ("keys", "current", "problem"),
    [
        ({}, "2026", "no seal key with the id '2026'"),
        ({"2025": b"k" * 32}, "2026", "no seal key with the id '2026'"),
        ({"2026": b"k" * 31}, "2026", "has 31 bytes: it needs 32"),
        ({"20 26": b"k" * 32}, "20 26", "is no id of a seal key"),
    ],
)
def test_a_ring_is_checked(keys, current, problem):
    with pytest.raises(ConfigurationError, match=problem):
        KeyRing(keys, current=current)


def test_a_ring_does_not_show_its_keys():
    assert "kkk" not in repr(KeyRing({"2026": b"k" * 32}, current="2026"))


def test_a_ring_keeps_its_keys_when_the_mapping_changes():
    keys = {"2026": b"k" * 32}
    ring = KeyRing(keys, current="2026")
    keys.clear()

    assert {"2026": b"k" * 32} == ring.keys


def test_the_environment_names_the_keys(tmp_path):
    file = tmp_path / "keys"
    file.write_text(f"2026:{ONE}\n")

    told = settings_in({"KEYONCE_SEAL_KEYS": f"2026:{ONE}"})

    assert told == settings_in({"KEYONCE_SEAL_KEYS_FILE": str(file)})
    assert ("2026", None) == (told.ring.current, told.accept_plain_until)


def test_the_environment_says_until_when_plain_outcomes_are_taken():
    told = settings_in(
        {
            "KEYONCE_SEAL_KEYS": f"2026:{ONE}",
            "KEYONCE_SEAL_ACCEPT_PLAIN_UNTIL": "2026-12-01T00:00:00Z",
        }
    )

    assert datetime(2026, 12, 1, tzinfo=UTC) == told.accept_plain_until


@pytest.mark.parametrize(
    ("environ", "problem"),
    [
        ({}, "needs its keys: set KEYONCE_SEAL_KEYS"),
        (
            {"KEYONCE_SEAL_KEYS": ONE, "KEYONCE_SEAL_KEYS_FILE": "x"},
            "Both KEYONCE_SEAL_KEYS and KEYONCE_SEAL_KEYS_FILE",
        ),
        ({"KEYONCE_SEAL_KEYS": ONE}, "KEYONCE_SEAL_KEYS: key 1 has no id"),
        ({"KEYONCE_SEAL_KEYS_FILE": "/no/where"}, "/no/where cannot be read: No such"),
        (
            {
                "KEYONCE_SEAL_KEYS": f"1:{ONE}",
                "KEYONCE_SEAL_ACCEPT_PLAIN_UNTIL": "2026-12-01",
            },
            "an instant with its time zone",
        ),
        (
            {
                "KEYONCE_SEAL_KEYS": f"1:{ONE}",
                "KEYONCE_SEAL_ACCEPT_PLAIN_UNTIL": "soon",
            },
            "an instant with its time zone",
        ),
    ],
)
def test_an_environment_that_is_wrong_is_told(environ, problem):
    with pytest.raises(ConfigurationError, match=problem) as refusal:
        settings_in(environ)

    assert ONE[:8] not in str(refusal.value)


def test_a_file_that_is_no_text_is_told(tmp_path):
    file = tmp_path / "keys"
    file.write_bytes(b"\xff\xfe")

    with pytest.raises(ConfigurationError, match="it is no text"):
        settings_in({"KEYONCE_SEAL_KEYS_FILE": str(file)})
