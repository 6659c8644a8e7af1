# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""``stats``, ``purge`` and ``doctor`` over a real SQLite store."""

from __future__ import annotations

import time

import pytest

from keyonce.cli.stats import show
from keyonce.core.model import StoreStats
from keyonce.core.states import Status
from tests.cli.conftest import run

CONFIG = """
upstream = "http://127.0.0.1:8000"
[scope]
header = "X-Api-Key"
[[rule]]
match = "POST /payments"
required = true
retention = "7d"
[[rule]]
match = "POST /**"
mode = "observe"
"""


def test_stats_count_by_status(shop):
    shop.completed("a")
    shop.completed("b")
    shop.unknown("c")

    text, stats = shop.run("stats"), shop.run("stats", "--json").json

    assert (3, 2, 1) == (
        stats["total"],
        stats["counts"]["completed"],
        stats["counts"]["unknown"],
    )
    assert stats["oldest_seconds"]["unknown"] >= 0
    assert "3 keys" in text.out


def test_stats_say_what_waits_to_be_purged(shop):
    shop.completed("old", retention_for=0.01)
    shop.completed("young")
    time.sleep(0.05)

    text, stats = shop.run("stats").out, shop.run("stats", "--json").json

    assert "1 expired and not yet purged" in text
    assert (1, False) == (stats["expired"], stats["estimated"])


def test_a_sampled_count_says_about(capsys):
    sampled = StoreStats(
        counts={Status.COMPLETED: 1000},
        oldest={},
        stored_bytes=3 * 2**20,
        now=0.0,
        expired=20,
        record_bytes=2**20,
        outcome_bytes=2**20,
        index_bytes=2**20,
        estimated=True,
    )

    show(sampled)

    told = capsys.readouterr().out
    assert "about 1,000 keys in 3.0 MiB" in told
    assert "records 1.0 MiB, outcomes apart 1.0 MiB, indexes 1.0 MiB" in told
    assert "about 20 expired and not yet purged" in told


def test_purge_goes_on_until_nothing_is_expired(shop):
    for number in range(7):
        shop.completed(f"old-{number}", retention_for=0.01)
    shop.completed("young")
    shop.unknown("stuck")
    time.sleep(0.05)

    purged = shop.run("purge", "--batch", "2", "--json").json

    assert 7 == purged["purged"]
    left = shop.run("keys", "list", "--json").json["records"]
    assert ["stuck", "young"] == sorted(record["key"] for record in left)


def test_purge_says_what_it_did(shop):
    assert "0 expired records removed.\n" == shop.run("purge").out


def test_doctor_prints_the_promises_of_this_store(shop):
    ran = shop.run("doctor")

    assert 0 == ran.code
    for word in ("exactly-once", "at-most-once", "0 or 1", "at-least-once by nature"):
        assert word in ran.out
    assert "Fit." in ran.out


def test_doctor_reads_the_rules(shop, tmp_path):
    file = tmp_path / "keyonce.toml"
    file.write_text(CONFIG)

    found = shop.run("doctor", "--config", str(file), "--json").json

    assert ["POST /payments", "POST /**"] == [rule["match"] for rule in found["rules"]]
    subjects = [
        f["subject"] for f in found["findings"] if "not required" in f["detail"]
    ]
    assert ["rule POST /**"] == subjects
    effects = {
        promise["guarantee"]: promise["effects"] for promise in found["promises"]
    }
    assert {
        "exactly-once": None,
        "resume": "1",
        "at-most-once": "0 or 1",
        "at-least-once": "1 or more",
    } == effects
    assert any("authorised anew" in note for note in found["notes"])


def test_doctor_says_what_serve_still_has_to_be_told(shop, tmp_path):
    file = tmp_path / "keyonce.toml"
    file.write_text('[[rule]]\nmatch = "POST /payments"\nrequired = true\n')

    found = shop.run("doctor", "--config", str(file), "--json").json

    subjects = [finding["subject"] for finding in found["findings"]]
    assert {"upstream", "scope"} <= set(subjects)


@pytest.mark.parametrize("columns", [80, 120])
def test_the_doctors_page_fits_the_terminal(shop, tmp_path, columns):
    file = tmp_path / "keyonce.toml"
    file.write_text(CONFIG)

    ran = shop.run("doctor", "--config", str(file), columns=columns)

    assert max(map(len, ran.out.splitlines())) <= columns


def test_a_broken_configuration_is_one_clear_message(shop, tmp_path):
    file = tmp_path / "keyonce.toml"
    file.write_text('[[rule]]\nmatch = "POST /payments"\nretention = "0"\n')

    ran = shop.run("doctor", "--config", str(file))

    assert 2 == ran.code
    assert "keyonce.toml" in ran.err
    assert "retention" in ran.err


def test_a_missing_sqlite_file_is_not_created(tmp_path):
    path = tmp_path / "gone.db"

    ran = run("--store", f"sqlite:///{path}", "stats")

    assert 2 == ran.code
    assert f"There is no SQLite store at {path}" in ran.err
    assert not path.exists()


def test_a_memory_store_cannot_be_looked_into():
    ran = run("--store", "memory://", "stats")

    assert (2, True) == (ran.code, "inside its own process" in ran.err)


def test_an_unknown_store_is_a_clear_message():
    ran = run("--store", "carrier-pigeon://x", "stats")

    assert 2 == ran.code
    assert "carrier-pigeon" in ran.err
