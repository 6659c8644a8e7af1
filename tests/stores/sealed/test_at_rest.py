# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What lies on the disk: nothing of an answer, and no nonce twice."""

from __future__ import annotations

from keyonce.core.codec import decode
from keyonce.core.model import StoredResult
from keyonce.stores.sealed import Sealed
from keyonce.stores.sealed.envelope import unpack
from keyonce.stores.sqlite import SQLiteStore
from keyonce.testing.store_scenarios.cases import (
    ORDER,
    claim_of,
    completion_of,
    named,
)
from tests.stores.programs import run
from tests.stores.sealed.cases import RING, ROTATED, frames, outcome

SECRET = StoredResult(
    201,
    ((b"x-iban", b"DE02120300000000202051"), (b"location", b"/patients/4711")),
    b'{"diagnosis": "none of your business"}',
    size=38,
)
RUN = 6  # bytes in a row that chance does not make


def runs_of(text):
    return {text[at : at + RUN] for at in range(len(text) - RUN + 1)}


def complete_as_secret(store, identity=ORDER):
    store.claim(claim_of(identity))
    store.complete(completion_of(identity, result=SECRET))


def envelopes(path):
    return [unpack(decode(frame).body) for frame in frames(path)]


def on_disk(folder):
    return b"".join(file.read_bytes() for file in sorted(folder.iterdir()))


def test_a_dump_of_the_files_holds_nothing_of_header_or_body(tmp_path):
    store = Sealed(SQLiteStore(tmp_path / "keyonce.db"), RING)
    complete_as_secret(store)
    told = on_disk(tmp_path)
    store.close()
    told += on_disk(tmp_path)

    texts = [text for header in SECRET.headers for text in header] + [SECRET.body]
    parts = {part for text in texts for part in runs_of(text)}
    assert [] == sorted(part for part in parts if part in told)


def test_the_same_dump_of_a_plain_store_holds_it_all(tmp_path):
    store = SQLiteStore(tmp_path / "keyonce.db")
    complete_as_secret(store)
    store.close()

    assert SECRET.body in on_disk(tmp_path)


def test_the_status_and_the_id_of_the_key_stay_in_the_clear(tmp_path):
    store = SQLiteStore(tmp_path / "keyonce.db")
    complete_as_secret(Sealed(store, ROTATED))

    kept = outcome(store)

    assert (201, (), "2026") == (kept.status, kept.headers, kept.sealed)
    store.close()


def test_new_outcomes_are_sealed_by_the_new_key_and_old_ones_still_open(tmp_path):
    store = SQLiteStore(tmp_path / "keyonce.db")
    complete_as_secret(Sealed(store, RING), named("old"))
    rotated = Sealed(store, ROTATED)
    complete_as_secret(rotated, named("new"))

    assert SECRET == outcome(rotated, named("old"))
    assert SECRET == outcome(rotated, named("new"))
    sealed = [outcome(store, named(key)).sealed for key in ("old", "new")]
    assert ["2025", "2026"] == sealed
    store.close()


def test_no_nonce_is_used_twice_over_forks(tmp_path):
    path = tmp_path / "keyonce.db"

    run(
        """
        from keyonce.stores.sealed import KeyRing, Sealed
        store = Sealed(
            SQLiteStore(sys.argv[1]), KeyRing({"2025": b"o" * 32}, current="2025")
        )
        completed(store, named("before"))
        children = []
        for child in range(4):
            pid = os.fork()
            if pid == 0:
                for number in range(50):
                    completed(store, named(f"{child}-{number}"))
                os._exit(0)
            children.append(pid)
        for pid in children:
            os.waitpid(pid, 0)
        store.close()
        """,
        path,
    )

    nonces = [envelope.nonce for envelope in envelopes(path)]
    assert 201 == len(nonces) == len(set(nonces))
