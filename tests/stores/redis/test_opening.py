# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What a Redis URL says, and what is told when it cannot be."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from keyonce.core.errors import ConfigurationError, StoreUnavailable
from keyonce.core.model import Identity, Query
from keyonce.stores.redis import AsyncRedisStore, RedisStore
from keyonce.stores.redis.address import Address, address_of
from keyonce.stores.redis.keys import identity_of, names_under
from keyonce.stores.url import open_async_store, open_store
from keyonce.testing.store_scenarios.cases import ORDER, claim_of, record_in
from keyonce.testing.store_scenarios.identities import ALIKE
from tests.servers.programs import free_port
from tests.servers.redis import DURABLE, RedisServer, redis_program
from tests.stores.redis.kinds import KINDS, store_of

HERE = (("localhost", 6379),)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://", Address("one", HERE)),
        ("redis://localhost", Address("one", HERE)),
        ("redis://localhost:6379/", Address("one", HERE)),
        ("redis://h:1/7", Address("one", (("h", 1),), db=7)),
        ("redis://h?db=7", Address("one", (("h", 6379),), db=7)),
        ("redis://[::1]:1", Address("one", (("::1", 1),))),
        ("redis://[::1]", Address("one", (("::1", 6379),))),
        (
            "redis://kay:p%40ss%3A@h",
            Address("one", (("h", 6379),), username="kay", password="p@ss:"),
        ),
        ("redis://:pass@h", Address("one", (("h", 6379),), password="pass")),
        (
            "rediss://h?ssl_ca_certs=/ca.pem",
            Address(
                "one", (("h", 6379),), tls=True, files=(("ssl_ca_certs", "/ca.pem"),)
            ),
        ),
        ("unix:///run/redis.sock", Address("unix", path="/run/redis.sock")),
        (
            "unix://kay:pass@/run/a%20b.sock?db=2",
            Address(
                "unix", path="/run/a b.sock", db=2, username="kay", password="pass"
            ),
        ),
        (
            "redis+cluster://a:1,b:2,c",
            Address("cluster", (("a", 1), ("b", 2), ("c", 6379))),
        ),
        ("rediss+cluster://a:1/0", Address("cluster", (("a", 1),), tls=True)),
        (
            "redis+sentinel://kay:pass@a:1,b/shop/3?sentinel_password=other",
            Address(
                "sentinel",
                (("a", 1), ("b", 26379)),
                db=3,
                service="shop",
                username="kay",
                password="pass",
                login=(("sentinel_password", "other"),),
            ),
        ),
        (
            "redis://h?prefix=shop&durability=declared",
            Address("one", (("h", 6379),), prefix="shop", durability="declared"),
        ),
    ],
)
def test_urls_are_read(url, expected):
    assert expected == address_of(url)


@pytest.mark.parametrize(
    ("url", "mend"),
    [
        ("redis:/h", "redis://localhost"),
        ("redis://h:port", "'h:port'"),
        ("redis://a,b", r"redis\+cluster://"),
        ("redis://h/one", "'one'"),
        ("redis://h?timeout=1", "no option 'timeout'.*make a client yourself"),
        ("redis://h?durability=none", "'checked' or 'declared'"),
        ("redis://h?prefix={x}", "prefix"),
        ("redis://h?prefix=", "prefix"),
        ("unix://", "unix:///run"),
        ("unix://run/redis.sock", "unix:///run"),
        ("redis+cluster://a/3", "database 0"),
        ("redis+cluster://a?db=3", "database 0"),
        ("redis+cluster://", "no host"),
        ("redis+sentinel://a:1", "service"),
        ("redis+sentinel://a,,b/shop", "no host"),
    ],
)
@pytest.mark.parametrize("opener", [open_store, open_async_store])
def test_urls_that_cannot_work_say_what_to_write(opener, url, mend):
    with pytest.raises(ConfigurationError, match=mend):
        opener(url)


def test_no_error_and_no_repr_tells_a_password():
    address = address_of("redis://kay:secret@h?sentinel_password=secret")
    with pytest.raises(ConfigurationError) as refusal:
        open_store("redis://kay:secret@h:port")

    assert "secret" not in repr(address)
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize(
    "form",
    [
        "redis://127.0.0.1:{port}",
        "redis://127.0.0.1:{port}/0?prefix=shop",
        "unix://{socket}",
    ],
)
def test_every_form_opens_a_store(server, form):
    url = form.format(port=server.port, socket=server.socket)
    store = open_store(url)
    store.claim(claim_of())
    store.close()

    async def seen():
        other = open_async_store(url)
        found = await other.find(ORDER)
        await other.close()
        return found

    assert isinstance(store, RedisStore)
    assert asyncio.run(seen()).record.identity == ORDER


def test_a_cluster_and_sentinels_have_urls(cluster, sentinels):
    for where in (cluster, sentinels):
        where.flush()
        store = open_store(where.url)
        store.claim(claim_of())
        other = open_store(where.url)

        assert ORDER == record_in(other).identity
        store.close()
        other.close()


def test_databases_are_apart(server):
    one, other = (RedisStore(f"redis://127.0.0.1:{server.port}/{db}") for db in (0, 1))
    one.claim(claim_of())

    assert other.find(ORDER) is None
    one.close()
    other.close()


@pytest.fixture
def locked(tmp_path):
    server = RedisServer(
        redis_program(), tmp_path / "locked", *DURABLE, "--requirepass", "se:cret"
    )
    server.password = "se:cret"
    yield server.start()
    server.stop()


@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_password_is_a_clear_error(locked, kind):
    place = f"127.0.0.1:{locked.port}"
    for login, sentence in (
        ("", "wants a password"),
        (":wrong@", "refuses the password"),
        ("nobody:se%3Acret@", "refuses the password"),
    ):
        store = store_of(kind, f"redis://{login}{place}")
        with pytest.raises(ConfigurationError, match=sentence) as refusal:
            store.claim(claim_of())
        assert "cret" not in str(refusal.value)
        store.close()

    store = store_of(kind, f"redis://:se%3Acret@{place}")
    assert ORDER == store.claim(claim_of()).record.identity
    store.close()


@pytest.fixture
def sealed(tmp_path):
    """A server that speaks TLS, with a certificate of its own making."""
    certificate, key = self_signed(tmp_path)
    port = free_port()
    server = RedisServer(
        redis_program(),
        tmp_path / "sealed",
        *(*DURABLE, "--tls-port", str(port), "--tls-auth-clients", "no"),
        *("--tls-cert-file", str(certificate), "--tls-key-file", str(key)),
    )
    yield server.start(), port, certificate
    server.stop()


def self_signed(folder):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    here = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(here, critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "certificate").write_bytes(built.public_bytes(Encoding.PEM))
    (folder / "key").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    return folder / "certificate", folder / "key"


@pytest.mark.parametrize("kind", KINDS)
def test_tls_is_spoken_and_certificates_are_checked(sealed, kind):
    _, port, certificate = sealed
    url = f"rediss://127.0.0.1:{port}"
    stranger = store_of(kind, url)
    friend = store_of(kind, f"{url}?ssl_ca_certs={certificate}")
    misled = store_of(kind, f"rediss://localhost:{port}?ssl_ca_certs={certificate}")

    assert ORDER == friend.claim(claim_of()).record.identity
    for store in (stranger, misled):
        with pytest.raises(StoreUnavailable, match="certificate"):
            store.find(ORDER)
        store.close()
    friend.close()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "form",
    [
        "redis://127.0.0.1:{port}",
        "rediss://127.0.0.1:{port}",
        "unix:///nowhere/redis.sock",
        "redis+cluster://127.0.0.1:{port}",
        "redis+sentinel://127.0.0.1:{port}/shop",
    ],
)
def test_nobody_there_is_unavailable(kind, form):
    store = store_of(kind, form.format(port=free_port()))

    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        store.claim(claim_of())
    store.close()


@pytest.mark.parametrize("kind", KINDS)
def test_one_server_is_no_cluster(server, kind):
    store = store_of(kind, f"redis+cluster://127.0.0.1:{server.port}")

    with pytest.raises(ConfigurationError, match=r"is no cluster: write 'redis://'"):
        store.claim(claim_of())
    store.close()


@pytest.mark.parametrize("kind", KINDS)
def test_one_server_is_no_sentinel(server, kind):
    store = store_of(kind, f"redis+sentinel://127.0.0.1:{server.port}/main")

    with pytest.raises(ConfigurationError, match=r"is no sentinel: name"):
        store.claim(claim_of())
    store.close()


def test_who_only_looks_is_warned_where_work_is_refused(own_server):
    own_server.ask("CONFIG", "SET", "appendonly", "no")
    url = f"redis://127.0.0.1:{own_server.port}"
    looking, working = RedisStore(url), RedisStore(url)
    told: list[str] = []
    looking.only_look(told.append)

    assert [] == [*looking.records(Query()), *looking.records(Query())]
    with pytest.raises(ConfigurationError, match="appendonly"):
        working.claim(claim_of())

    [warning] = told
    assert "a restart forgets keys" in warning
    looking.close()
    working.close()


def test_without_the_driver_the_mend_is_told():
    program = (
        "import sys; sys.modules['redis'] = None\n"
        "from keyonce.stores.url import open_store\n"
        "from keyonce.testing.store_scenarios.cases import claim_of\n"
        "open_store('redis://h').claim(claim_of())"
    )

    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )

    assert "ConfigurationError" in ran.stderr
    assert "pip install 'keyonce[redis]'" in ran.stderr


def test_every_name_gives_its_identity_back():
    names = names_under("keyonce")

    written = [names.record(identity) for identity in ALIKE]

    assert len(set(written)) == len(ALIKE)
    assert list(ALIKE) == [identity_of(name) for name in written]
    assert list(ALIKE) == [identity_of(names.audit(identity)) for identity in ALIKE]


@pytest.mark.parametrize(
    "name",
    [
        b"keyonce:r:{}",
        b"keyonce:r:1:a1:b1:c",
        b"keyonce:r:{1:a1:b}",
        b"keyonce:r:{1:a1:b1:c1:d}",
        b"keyonce:r:{1:a1:b2:c}",
        b"keyonce:r:{1:a1:b1:cc}",
        b"keyonce:r:{1:a1:b-1:c}",
        b"keyonce:r:{1:a1:b1:\xff}",
        b"keyonce:r:{1:a1:b1:c",
    ],
)
def test_names_of_others_have_no_identity(name):
    assert identity_of(name) is None


def test_a_scope_is_looked_for_literally(server):
    store = RedisStore(server.url)
    odd = [Identity(scope, "POST /a", "1") for scope in ("*", "?", "[a]", "\\", "a}b")]
    for identity in [*odd, ORDER]:
        store.claim(claim_of(identity))

    for identity in odd:
        found = store.records(_scoped(identity.scope))
        assert [identity] == [each.identity for each in found]
    store.close()


def _scoped(scope):
    return Query(scope=scope)


def test_twins_have_one_door():
    assert (
        AsyncRedisStore.__init__.__annotations__ == RedisStore.__init__.__annotations__
    )
