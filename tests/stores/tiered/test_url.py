# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What a tiered URL says, and what is said of it."""

from __future__ import annotations

import asyncio
import json

import pytest
from click.testing import CliRunner

from keyonce.cli.group import keyonce
from keyonce.cli.opening import existing_store
from keyonce.core.errors import ConfigurationError
from keyonce.stores.showing import without_secrets
from keyonce.stores.tiered import AsyncTiered, Tiered
from keyonce.stores.tiered.address import address_of, tiered_url
from keyonce.stores.url import open_async_store, open_store
from tests.stores.tiered.samples import asked_again, done

KEY = "2026:0123456789abcdef0123456789abcdef"


@pytest.fixture
def place(tmp_path):
    url = f"sqlite:///{tmp_path}/keyonce.db"
    open_store(url).close()
    return url


def test_memory_in_front_of_a_file(place):
    store = open_store(f"tiered://?fast=memory://&durable={place}&size=1MiB")
    other = open_async_store(f"tiered://?fast=memory://&durable={place}")

    assert isinstance(store, Tiered)
    assert isinstance(other, AsyncTiered)
    done(store)
    asked_again(store)

    assert 1 == store.counts["hit"]
    store.close()
    asyncio.run(other.close())


def test_the_keys_come_from_the_environment_or_a_file(
    place, server, tmp_path, monkeypatch
):
    monkeypatch.setenv("CACHE_SECRET", KEY)
    file = tmp_path / "secret"
    file.write_text(f"2027:{'y' * 32}\n{KEY}\n")
    beginning = f"tiered://?fast={server.url}&durable={place}&timeout=5000ms"

    first = open_store(f"{beginning}&secret_env=CACHE_SECRET")
    second = open_store(f"{beginning}&secret_file={file}")
    done(first)
    asked_again(second)
    asked_again(second)

    assert isinstance(second, Tiered)
    assert {"hit": 1, "miss": 1, "refused": 0, "failed": 0} == second.counts
    first.close()
    second.close()


def test_a_url_is_written_such_that_it_is_read_alike():
    durable = "postgresql://me:p%40ss%26@h:5432/db?sslmode=require&x=1+1"
    fast = "redis://:p%25@cache:6379/0?socket_keepalive=true"

    address = address_of(tiered_url(fast, durable, secret_env="S"))

    assert (fast, durable, "S") == (address.fast, address.durable, address.secret_env)


def test_other_durable_stores_have_other_names():
    urls = [
        tiered_url("memory://", f"postgresql://{login}@{host}/shop")
        for login, host in (("a:1", "one"), ("a:2", "one"), ("a:1", "two"))
    ]

    one, rotated, two = [address_of(url).prefix for url in urls]

    assert one == rotated
    assert one != two


@pytest.mark.parametrize(
    ("url", "mend"),
    [
        ("tiered://", "fast=redis"),
        ("tiered://host?fast=memory://", "no host"),
        ("tiered://?fast=memory://", "a fast and a durable"),
        ("tiered://?durable=sqlite:///a.db", "a fast and a durable"),
        ("tiered://?fast=memory://&durable=sqlite:///a.db&mode=ro", "%26"),
        ("tiered://?fast=memory://&fast=memory://&durable=memory://", "once"),
        ("tiered://?fast=memory://x&durable=memory://", "no host"),
        ("tiered://?fast=memory://&durable=memory://&size=1", "64MiB"),
        ("tiered://?fast=memory://&durable=memory://&timeout=1", "50ms"),
        ("tiered://?fast=memory://&durable=tiered://?fast=memory://", "no tiered"),
        ("tiered://?fast=memory://&durable=memory://&prefix=%7B", "prefix"),
        ("tiered://?fast=redis://h&durable=memory://", "secret_env"),
        ("tiered://?fast=sqlite:///c.db&durable=memory://", "redis://"),
        ("tiered://?fast=redis://h&durable=memory://&secret_env=NONE", "openssl"),
        ("tiered://?fast=redis://h&durable=memory://&secret_file=/none", "/none"),
        (
            "tiered://?fast=redis://h&durable=memory://&secret_env=A&secret_file=B",
            "not in both",
        ),
        ("tiered://?fast=memory://&durable=oracle://h", "no store for 'oracle"),
    ],
)
def test_urls_that_cannot_work_say_what_to_write(url, mend):
    for opener in (open_store, open_async_store):
        with pytest.raises(ConfigurationError, match=mend):
            opener(url)


@pytest.mark.parametrize("text", ["short:abc", "noid", ":x", "id:", "  "])
def test_keys_that_cannot_work_are_not_told(text, monkeypatch):
    monkeypatch.setenv("CACHE_SECRET", text)

    with pytest.raises(ConfigurationError) as refusal:
        open_store("tiered://?fast=redis://h&durable=memory://&secret_env=CACHE_SECRET")

    assert "openssl" in str(refusal.value)
    assert "abc" not in str(refusal.value)


@pytest.mark.parametrize(
    "durable",
    [
        "postgresql://me:hush@h/db",
        "mysql://me:h%75sh@h/db?ssl=true",
        "redis+sentinel://me:hush@h/m?sentinel_password=hush&db=1",
    ],
)
@pytest.mark.parametrize("escaped", [True, False])
def test_no_password_within_is_shown(durable, escaped):
    fast = "redis://:hush@cache:6379/0"
    url = f"tiered://?fast={fast}&durable={durable}"
    url = tiered_url(fast, durable) if escaped else url

    shown = without_secrets(url)

    assert "hush" not in shown
    assert "cache:6379" in shown
    assert "@h/" in shown


def ran(*args):
    result = CliRunner().invoke(keyonce, args, env={"KEYONCE_STORE": None})
    assert isinstance(result.exception, SystemExit | None), result.exception
    return result


def test_the_commands_see_the_durable_records(place):
    url = f"tiered://?fast=memory://&durable={place}"
    store = open_store(url)
    done(store)
    store.close()

    stats = json.loads(ran("stats", "--store", url, "--json").output)
    listed = ran("keys", "list", "--store", url, "--json").output
    doctor = ran("doctor", "--store", url)

    assert "tiered(sqlite)" == stats["store"]
    assert "order-1" in listed
    assert 0 == doctor.exit_code
    assert "memory of each process" in doctor.output.replace("\n", " ")


def test_the_doctor_knows_what_breaks_the_durable_store(place):
    url = f"tiered://?fast=memory://&durable={place}"

    told = json.loads(ran("doctor", "--store", url, "--json").output)
    plain = json.loads(ran("doctor", "--store", place, "--json").output)

    assert told["promises"] == plain["promises"]
    assert told["breaks"].startswith(plain["breaks"])
    assert told["breaks"] != plain["breaks"]
    assert told["notes"] == plain["notes"]


def test_a_cache_that_is_gone_is_no_error_for_the_doctor(place, monkeypatch):
    from tests.servers.programs import free_port

    monkeypatch.setenv("CACHE_SECRET", KEY)
    fast = f"redis://:hush@127.0.0.1:{free_port()}"
    url = f"tiered://?fast={fast}&durable={place}&secret_env=CACHE_SECRET"

    told = ran("doctor", "--store", url, "--json")

    found = {one["subject"]: one for one in json.loads(told.output)["findings"]}
    assert (0, "warning") == (told.exit_code, found["cache"]["level"])
    assert "hush" not in told.output
    assert KEY.partition(":")[2] not in told.output


def test_commands_make_no_new_file(tmp_path):
    url = f"tiered://?fast=memory://&durable=sqlite:///{tmp_path}/none.db"

    with pytest.raises(ConfigurationError, match="no SQLite store"):
        with existing_store(url):
            pass

    assert not (tmp_path / "none.db").exists()


def test_a_key_without_an_id_is_told_how_to_write_it(monkeypatch):
    monkeypatch.setenv("CACHE_SECRET", "n" * 64)

    with pytest.raises(ConfigurationError, match="write it as id:secret") as refused:
        open_store("tiered://?fast=redis://h&durable=memory://&secret_env=CACHE_SECRET")

    assert "nnn" not in str(refused.value)


def test_a_cache_of_another_kind_is_told_of_memory_too(tmp_path):
    with pytest.raises(ConfigurationError, match="is memory://, or in Redis"):
        open_store(f"tiered://?fast=sqlite:///{tmp_path}/a.db&durable=memory://")
