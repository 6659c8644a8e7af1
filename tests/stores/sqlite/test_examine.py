# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What doctor says of an SQLite file."""

from __future__ import annotations

import pytest

from keyonce.stores.sqlite import SQLiteStore, examine
from keyonce.testing.clock import FakeClock
from keyonce.testing.store_scenarios.cases import claim_of, completed, named


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def store(tmp_path, clock):
    table = tmp_path / "mountinfo"
    table.write_text("36 35 0:32 / / rw - ext4 none rw\n")
    store = SQLiteStore(tmp_path / "keyonce.db", clock=clock, mount_table=table)
    yield store
    store.close()


def findings(store):
    return {each.subject: each for each in store.examine()}


def test_a_sound_file_is_sound(store):
    completed(store)

    found = findings(store)

    assert {"ok"} == {each.level for each in found.values()}
    assert {
        "journal mode",
        "version",
        "structure",
        "clock",
        "file system",
        "free disk",
        "write-ahead log",
    } == found.keys()
    assert "wal, synchronous 2" in found["journal mode"].detail


def test_a_clock_that_went_back_is_seen(store, clock):
    store.claim(claim_of())
    clock.advance(-3600)

    assert ("warning", True) == (
        findings(store)["clock"].level,
        "3600 s ahead" in findings(store)["clock"].detail,
    )


def test_a_clock_that_was_never_set_is_an_error(store, clock):
    clock.advance(-clock())

    assert "error" == findings(store)["clock"].level


def mounted(tmp_path, kind):
    """A store whose mount table says that its file is on a *kind*."""
    table = tmp_path / "mountinfo"
    table.write_text(f"36 35 0:32 / / rw - {kind} none rw\n")
    return SQLiteStore(tmp_path / "keyonce.db", mount_table=table)


@pytest.mark.parametrize("kind", ["tmpfs", "ramfs"])
def test_a_file_in_memory_is_not_durable(tmp_path, kind):
    store = mounted(tmp_path, kind)

    found = findings(store)["file system"]

    assert "warning" == found.level
    assert f"{kind} is memory" in found.detail
    assert "local disk" in found.mend
    store.close()


def test_a_file_on_a_disk_is_fine(tmp_path):
    store = mounted(tmp_path, "ext4")

    assert ("ok", "ext4") == (
        findings(store)["file system"].level,
        findings(store)["file system"].detail,
    )
    store.close()


def test_a_full_disk_is_seen_coming(store, monkeypatch):
    monkeypatch.setattr(examine, "LITTLE_ROOM", 1 << 62)

    assert "warning" == findings(store)["free disk"].level


def test_a_large_log_is_seen(store, monkeypatch):
    store.claim(claim_of())
    monkeypatch.setattr(examine, "LARGE_LOG", 1)

    found = findings(store)["write-ahead log"]

    assert "warning" == found.level
    assert "read transaction" in found.mend


def test_a_damaged_file_is_an_error(tmp_path):
    path = tmp_path / "keyonce.db"
    store = SQLiteStore(path)
    for number in range(200):
        completed(store, named(str(number)))
    store.close()
    data = bytearray(path.read_bytes())
    for at in range(8 * 4096, len(data), 4096):
        data[at + 3 : at + 5] = b"\xff\xff"  # the number of cells of a page
    path.write_bytes(data)

    store = SQLiteStore(path)

    assert "error" == findings(store)["structure"].level
    store.close()
