# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Outcomes of every shape come back byte for byte."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keyonce.core.model import Fingerprint, StoredResult
from keyonce.testing.store_scenarios.cases import (
    ORDER,
    SECOND,
    claim_of,
    completion_of,
    record_in,
)

if TYPE_CHECKING:
    from keyonce.core.protocols import Store

MIB = 1024 * 1024


class Bodies:
    """Scenarios around what is kept."""

    def test_headers_keep_their_order_and_duplicates(self, store: Store) -> None:
        headers = (
            (b"link", b"<a>; rel=next"),
            (b"x-tag", b"2"),
            (b"link", b"<b>; rel=prev"),
            (b"x-tag", b"1"),
            (b"x-tag", b"1"),
            (b"x-empty", b""),
            (b"content-disposition", b'attachment; filename="a, b.txt"'),
            (b"x-latin", b"caf\xe9 \xff"),
        )

        self._keeps(store, StoredResult(200, headers, b"ok", size=2))

    def test_bodies_keep_every_byte(self, store: Store) -> None:
        body = bytes(range(256)) * 5

        self._keeps(store, StoredResult(200, (), body, size=len(body)))

    def test_an_empty_body_is_an_outcome(self, store: Store) -> None:
        self._keeps(store, StoredResult(204))

    def test_a_body_that_was_not_kept_is_an_outcome(self, store: Store) -> None:
        self._keeps(store, StoredResult(200, ((b"x", b"y"),), kept=False, size=5 * MIB))

    def test_large_bodies_are_kept_whole(self, store: Store) -> None:
        size = min(16 * MIB, store.traits.largest_result or 16 * MIB)
        body = bytes(range(256)) * (size // 256)

        self._keeps(store, StoredResult(200, (), body, size=len(body)))

    def test_statuses_are_kept(self, store: Store) -> None:
        for status in (200, 201, 202, 204, 301, 303, 400, 404, 409, 418, 500, 503, 599):
            identity = ORDER._replace(key=str(status))
            store.claim(claim_of(identity))
            store.complete(completion_of(identity, result=StoredResult(status)))

            result = record_in(store, identity).result

            assert result is not None
            assert status == result.status

    def test_digests_fields_and_references_are_kept(self, store: Store) -> None:
        fingerprint = Fingerprint("scheme-\u00fc", b"\x00\xff" * 16)
        fields = bytes(range(256))
        store.claim(claim_of(fingerprint=fingerprint, field_map=lambda _: fields))
        store.complete(completion_of(reference="ch_\u00fc'1"))

        record = record_in(store)

        assert (fingerprint, fields, "ch_\u00fc'1") == (
            record.fingerprint,
            record.fields,
            record.reference,
        )

    def _keeps(self, store: Store, result: StoredResult) -> None:
        store.claim(claim_of())
        store.complete(completion_of(result=result))

        assert result == record_in(store).result
        assert result == store.claim(claim_of(owner=SECOND)).record.result
