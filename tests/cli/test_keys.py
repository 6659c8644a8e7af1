# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Looking at keys and settling them, over a real SQLite store."""

from __future__ import annotations

import base64
import time

import pytest

from keyonce.core.model import StoredResult
from keyonce.core.states import Status
from keyonce.http.messages import RequestHead
from keyonce.http.scope import by_header


def test_a_listing_shows_every_key(shop):
    shop.completed("pay-1")
    shop.unknown("pay-2")
    shop.claim("pay-3")

    ran = shop.run("keys", "list")

    assert 0 == ran.code
    for word in ("pay-1", "completed", "pay-2", "unknown", "pay-3", "in_progress"):
        assert word in ran.out


def test_a_listing_as_json_has_stable_fields(shop):
    shop.completed("pay-1")

    listed = shop.run("keys", "list", "--json").json

    assert {"records", "more"} == set(listed)
    assert {
        "key",
        "operation",
        "scope",
        "status",
        "stored_status",
        "reason",
        "guarantee",
        "executions",
        "crashes",
        "created_at",
        "claimed_at",
        "lease_until",
        "ended_at",
        "expires_at",
        "late_until",
        "reference",
    } == set(listed["records"][0])


def test_work_that_lost_its_worker_is_listed_as_unknown(shop):
    shop.claim("dead", lease_for=0.01)
    shop.claim("alive")
    time.sleep(0.05)

    listed = shop.run("keys", "list", "--status", "unknown", "--json").json["records"]

    assert [("dead", "unknown", "in_progress")] == [
        (record["key"], record["status"], record["stored_status"]) for record in listed
    ]


HASHED = by_header("X-Api-Key")
PLAIN = by_header("X-Api-Key", hashed=False)


def scope_of(reader, value: bytes) -> str:
    return str(reader(RequestHead("POST", b"/", headers=((b"x-api-key", value),))))


@pytest.mark.parametrize("reader", [HASHED, PLAIN], ids=["hashed", "as it is"])
def test_a_caller_is_found_by_what_it_sends(shop, reader):
    mine = scope_of(reader, b"shop-1")
    shop.completed("k", scope=mine)
    shop.unknown("stuck", scope=mine)
    shop.completed("k", scope=scope_of(reader, b"shop-2"))
    caller = ("--caller", "X-Api-Key: shop-1")

    listed = shop.run("keys", "list", *caller, "--json").json["records"]
    shown = shop.run("keys", "show", "k", *caller, "--json").json
    freed = shop.run("keys", "release", "stuck", *caller, "--reason", "r", "--json")

    assert {("k", mine), ("stuck", mine)} == {(r["key"], r["scope"]) for r in listed}
    assert mine == shown["scope"]
    assert "released" == freed.json["status"]


def test_a_caller_whom_nobody_knows_has_no_keys(shop):
    shop.completed("k")

    assert (
        [] == shop.run("keys", "list", "--caller", "x-a: b", "--json").json["records"]
    )
    assert 1 == shop.run("keys", "show", "k", "--caller", "x-a: b").code


@pytest.mark.parametrize(
    "options",
    [
        ("--caller", "shop-1"),
        ("--caller", "X-Api-Key:"),
        ("--caller", "no header: a"),
        ("--caller", "x-a: b", "--scope", "acme"),
    ],
)
def test_a_caller_is_told_by_one_header(shop, options):
    ran = shop.run("keys", "list", *options)

    assert 2 == ran.code
    assert "Traceback" not in ran.err


def test_the_oldest_unknown_key_comes_first(shop):
    for key in ("c", "a", "b"):
        shop.unknown(key)
        time.sleep(0.01)

    def keys(*more):
        ran = shop.run("keys", "list", "--status", "unknown", "--json", *more).json
        return [record["key"] for record in ran["records"]], ran["more"]

    assert (["c", "a", "b"], False) == keys()
    assert (["c", "a"], True) == keys("--limit", "2")


def test_a_listing_is_narrowed_by_scope_operation_and_key(shop):
    shop.completed("k", scope="acme", operation="POST /a")
    shop.completed("k", scope="acme", operation="POST /b")
    shop.completed("k", scope="other", operation="POST /a")
    shop.completed("l", scope="acme", operation="POST /a")

    def count(*options):
        return len(shop.run("keys", "list", *options, "--json").json["records"])

    assert (4, 3, 3, 3, 1) == (
        count(),
        count("--key", "k"),
        count("--scope", "acme"),
        count("--operation", "POST /a"),
        count("--scope", "acme", "--operation", "POST /b", "--key", "k"),
    )


def test_a_long_listing_is_cut_and_says_so(shop):
    for number in range(4):
        shop.completed(f"pay-{number}")

    cut = shop.run("keys", "list", "--limit", "3")
    whole = shop.run("keys", "list", "--limit", "4")

    assert "There are more than 3" in cut.err
    assert "pay-3" not in cut.out
    assert "" == whole.err


def test_a_listing_reads_on_behind_the_first_page(shop, monkeypatch):
    monkeypatch.setattr("keyonce.cli.keys.PAGE", 2)
    for number in range(5):
        shop.completed(f"pay-{number}")

    listed = shop.run("keys", "list", "--json").json["records"]

    assert [f"pay-{number}" for number in range(5)] == [r["key"] for r in listed]


@pytest.mark.parametrize("columns", [80, 120])
def test_a_listing_fits_the_terminal_and_keeps_a_uuid_whole(shop, columns):
    uuid = "0c1f6a4e-93d2-4d0c-9d2a-0a4f3b8c1d2e"
    shop.unknown(uuid, operation="POST /payments/17/refunds", scope="s" * 22)

    ran = shop.run("keys", "list", columns=columns)

    assert uuid in ran.out
    assert max(map(len, ran.out.splitlines())) <= columns


def test_no_byte_of_a_key_moves_the_cursor(shop):
    identity = shop.completed("k\x1b[2J\r\n[red]x", scope="s\x07")

    listed, shown = shop.run("keys", "list"), shop.run("keys", "show", identity.key)
    as_json = shop.run("keys", "list", "--json")

    for ran in (listed, shown, as_json):
        assert 0 == ran.code
        assert ran.out.replace("\n", "").isprintable()
    assert r"k\x1b[2J\r\n[red]x" in listed.out
    assert identity.key == as_json.json["records"][0]["key"]


def test_an_empty_store_has_no_keys(shop):
    assert "No keys.\n" == shop.run("keys", "list").out


def test_show_tells_the_whole_story(shop):
    shop.completed("pay-1")

    ran = shop.run("keys", "show", "pay-1")

    for word in (
        "POST /payments",
        "acme",
        "completed",
        "at-most-once",
        "ch_123",
        "201 Created",
        "Location: /payments/17",
        "10 B",
    ):
        assert word in ran.out
    assert '{"id": 17}' not in ran.out


def test_show_gives_the_body_only_when_asked(shop):
    shop.completed("pay-1")

    text = shop.run("keys", "show", "pay-1", "--body").out
    without = shop.run("keys", "show", "pay-1", "--json").json
    with_body = shop.run("keys", "show", "pay-1", "--body", "--json").json

    assert text.endswith('{"id": 17}\n')
    assert "body_base64" not in without["response"]
    assert b'{"id": 17}' == base64.b64decode(with_body["response"]["body_base64"])


def test_a_binary_body_is_shown_as_bytes(shop):
    shop.completed("pay-1", StoredResult(200, (), b"\xff\x00\x1b", size=3))

    assert shop.run("keys", "show", "pay-1", "--body").out.endswith("ff001b\n")


def test_a_key_that_is_not_there_is_a_negative_result(shop):
    ran = shop.run("keys", "show", "never")

    assert (1, "keyonce: No record has the key 'never'.\n") == (ran.code, ran.err)


def test_a_key_of_several_records_must_be_told_apart(shop):
    shop.completed("k", scope="acme")
    shop.completed("k", scope="it's")

    ambiguous = shop.run("keys", "show", "k")
    told = shop.run("keys", "show", "k", "--scope", "it's")

    assert 2 == ambiguous.code
    assert "--scope acme --operation 'POST /payments'" in ambiguous.err
    assert (0, True) == (told.code, "it's" in told.out)


def test_release_frees_an_unknown_key_and_leaves_an_audit_row(shop):
    identity = shop.unknown("pay-1")

    ran = shop.run(
        "keys", "release", "pay-1", "--reason", "bank says no", "--actor", "kim"
    )

    found = shop.store.find(identity)
    assert (0, "The key is now released (operator)\n") == (ran.code, ran.out)
    assert Status.RELEASED is found.record.status
    audit = shop.run("keys", "show", "pay-1", "--json").json["audit"]
    assert [("kim", "release", "bank says no", "unknown")] == [
        (row["actor"], row["action"], row["reason"], row["before"]) for row in audit
    ]


def test_release_frees_a_key_whose_worker_is_gone(shop):
    shop.claim("dead", lease_for=0.01)
    time.sleep(0.05)

    assert 0 == shop.run("keys", "release", "dead", "--reason", "looked").code


@pytest.mark.parametrize("state", ["claim", "completed"])
def test_what_is_clear_is_not_settled(shop, state):
    getattr(shop, state)("pay-1")

    ran = shop.run("keys", "release", "pay-1", "--reason", "because")

    assert 1 == ran.code
    assert ran.err.startswith("keyonce: The ")
    assert [] == shop.store.audits()


def test_forget_takes_the_record_of_ended_work_away(shop):
    identity = shop.completed("pay-1")

    ran = shop.run("keys", "forget", "pay-1", "--reason", "refunded", "--actor", "kim")

    assert (0, "The key is forgotten: the next attempt runs.\n") == (ran.code, ran.out)
    assert shop.store.find(identity) is None
    assert [("kim", "forget", "refunded", "completed")] == [
        (row.actor, row.action, row.reason, row.before) for row in shop.store.audits()
    ]


def test_forget_tells_programs_what_it_took_away(shop):
    shop.completed("pay-1")

    ran = shop.run("keys", "forget", "pay-1", "--reason", "refunded", "--json")

    gone = ran.json["forgotten"]
    assert ("pay-1", "completed") == (gone["key"], gone["stored_status"])


@pytest.mark.parametrize("state", ["claim", "unknown"])
def test_what_has_not_ended_is_not_forgotten(shop, state):
    getattr(shop, state)("pay-1")

    ran = shop.run("keys", "forget", "pay-1", "--reason", "because")

    assert 1 == ran.code
    assert "resolve or release it" in ran.err
    assert [] == shop.store.audits()


def test_the_actor_is_whoever_the_system_knows(shop, monkeypatch):
    monkeypatch.setenv("LOGNAME", "sam")
    shop.unknown("pay-1")

    shop.run("keys", "release", "pay-1", "--reason", "looked")

    assert ["sam"] == [row.actor for row in shop.store.audits()]


@pytest.mark.parametrize("reason", [[], ["--reason", "  "]])
def test_no_decision_without_a_reason(shop, reason):
    shop.unknown("pay-1")

    ran = shop.run("keys", "release", "pay-1", *reason)

    assert 2 == ran.code
    assert "--reason" in ran.err


RAW = (
    b"HTTP/1.1 201 Created\r\nDate: Sun, 22 Nov 2026 00:00:00 GMT\r\n"
    b"Content-Type: application/json\r\nContent-Length: 11\r\nX-A: 1\r\nX-A: 2\r\n"
    b'\r\n{"id": 99}\n'
)


def test_resolve_stores_a_raw_response_for_every_retry(shop, tmp_path):
    identity = shop.unknown("pay-1")
    file = tmp_path / "answer.http"
    file.write_bytes(RAW)

    ran = shop.run(
        "keys", "resolve", "pay-1", "--completed-with", str(file), "--reason", "it did"
    )

    result = shop.store.find(identity).record.result
    assert 0 == ran.code
    assert (201, b'{"id": 99}\n', True) == (result.status, result.body, result.kept)
    assert (
        (b"Content-Type", b"application/json"),
        (b"X-A", b"1"),
        (b"X-A", b"2"),
    ) == result.headers


def test_resolve_reads_a_response_from_stdin(shop):
    identity = shop.unknown("pay-1")

    shop.run(
        *("keys", "resolve", "pay-1", "--completed-with", "-", "--reason", "it did"),
        stdin=RAW.replace(b"\r\n", b"\n"),
    )

    assert b'{"id": 99}\n' == shop.store.find(identity).record.result.body


def test_resolve_takes_an_answer_in_parts(shop, tmp_path):
    identity = shop.unknown("pay-1")
    (tmp_path / "body").write_bytes(b"\x00\xff")

    shop.run(
        *("keys", "resolve", "pay-1", "--reason", "it did", "--status", "200"),
        *("--header", "Content-Type: image/x", "--body", str(tmp_path / "body")),
        *("--retention", "7d"),
    )

    record = shop.store.find(identity).record
    assert (200, b"\x00\xff") == (record.result.status, record.result.body)
    assert ((b"Content-Type", b"image/x"),) == record.result.headers
    assert 7 * 86_400 == pytest.approx(record.expires_at - record.ended_at)


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (b"", "no HTTP response"),
        (b'{"id": 17}\n\n', "no HTTP response"),
        (b"HTTP/1.1 201 Created\r\nX-A: 1\r\n", "no HTTP response"),
        (b"HTTP/1.1 201 Created\nno header\n\n", "is no header"),
        (b"HTTP/1.1 200 OK\nContent-Length: 5\n\nabcd", "Was it cut off"),
        (b"HTTP/1.1 100 Continue\n\nHTTP/1.1 200 OK\n\n", "no HTTP response"),
    ],
)
def test_what_is_no_whole_response_is_refused(shop, raw, problem):
    identity = shop.unknown("pay-1")

    ran = shop.run(
        *("keys", "resolve", "pay-1", "--completed-with", "-", "--reason", "it did"),
        stdin=raw,
    )

    assert 2 == ran.code
    assert problem in ran.err
    assert Status.UNKNOWN is shop.store.find(identity).record.status


@pytest.mark.parametrize(
    "options", [[], ["--status", "201", "--completed-with", "-"], ["--status", "99"]]
)
def test_resolve_needs_one_answer(shop, options):
    shop.unknown("pay-1")

    assert 2 == shop.run("keys", "resolve", "pay-1", "--reason", "x", *options).code
