# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""One fingerprint per request: what counts, what does not, and older schemes."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from hmac import digest as hmac_digest

import pytest

from keyonce.core.errors import ConfigurationError
from keyonce.core.fingerprint import (
    CANONICAL_UP_TO,
    Fingerprinter,
    FingerprintSource,
    bare_type,
)
from keyonce.core.model import Fingerprint
from keyonce.core.policy import FingerprintRecipe

JSON = b"application/json"
SECRETS = {"old": b"o" * 32, "new": b"n" * 32}


def request(
    body: bytes = b"",
    media_type: bytes = JSON,
    *,
    method: str = "POST",
    target: bytes = b"/orders?a=1",
    headers: tuple[tuple[bytes, bytes], ...] = (),
    pieces: int = 1 << 20,
) -> FingerprintSource:
    def chunks() -> Iterator[bytes]:
        for at in range(0, len(body), pieces):
            yield body[at : at + pieces]

    return FingerprintSource(method, target, media_type, headers, len(body), chunks)


def of(body: bytes = b"", media_type: bytes = JSON, **more) -> bytes:
    return Fingerprinter().of(request(body, media_type, **more)).digest


def json_request(value: object) -> FingerprintSource:
    return request(json.dumps(value).encode())


class TestWhatCounts:
    def test_method_target_type_and_body_count(self):
        digests = {
            of(b"{}"),
            of(b"{}", method="PUT"),
            of(b"{}", target=b"/orders?a=2"),
            of(b"{}", target=b"/orders"),
            of(b"{}", target=b"/orders?"),
            of(b"{}", media_type=b"application/merge-patch+json"),
            of(b"{}", media_type=b""),
            of(b"[]"),
        }

        assert 8 == len(digests)

    def test_parameters_and_case_of_the_media_type_do_not_count(self):
        assert of(b"{}") == of(b"{}", b" Application/JSON ; charset=utf-8")

    def test_headers_do_not_count_unless_named(self):
        one = request(headers=((b"content-language", b"en"), (b"date", b"x")))
        other = request(headers=((b"content-language", b"de"), (b"date", b"y")))
        named = Fingerprinter(FingerprintRecipe(headers=("Content-Language",)))

        assert Fingerprinter().of(one) == Fingerprinter().of(other)
        assert named.of(one) != named.of(other)
        assert named.of(one) == named.of(
            replace(one, headers=((b"date", b"z"), (b"content-language", b"en")))
        )

    def test_every_line_of_a_named_header_counts_in_its_order(self):
        named = Fingerprinter(FingerprintRecipe(headers=("a", "b")))
        lists = [
            (),
            ((b"a", b"1"),),
            ((b"b", b"1"),),
            ((b"a", b"1"), (b"a", b"2")),
            ((b"a", b"2"), (b"a", b"1")),
            ((b"a", b"1, 2"),),
            ((b"a", b"1"), (b"b", b"2")),
        ]

        digests = {named.of(request(headers=headers)).digest for headers in lists}

        assert len(lists) == len(digests)

    def test_the_order_of_named_headers_among_each_other_does_not_count(self):
        named = Fingerprinter(FingerprintRecipe(headers=("a", "b")))
        one, other = (b"a", b"1"), (b"b", b"2")

        assert named.of(request(headers=(one, other))) == (
            named.of(request(headers=(other, one)))
        )

    def test_fields_do_not_run_together(self):
        assert of(method="POST", target=b"X/") != of(method="POSTX", target=b"/")
        assert of(b"a", b"text/plain") != of(b"", b"text/plaina")

    def test_a_body_never_passes_for_the_canonical_form_of_another(self):
        pair = b"1:a=1:1"

        assert of(pair, b"application/x-www-form-urlencoded") != of(
            b"a=1", b"application/x-www-form-urlencoded"
        )
        assert of(b'"\xed\xa0\x801"') != of(b"1")

    def test_excluded_fields_do_not_count(self):
        less = Fingerprinter(FingerprintRecipe(exclude=("/sent_at",)))
        first = json_request({"sku": "tea", "sent_at": 1})
        again = json_request({"sent_at": 2, "sku": "tea"})

        assert less.of(first) == less.of(again)
        assert less.field_map(first, b"d" * 32) == less.field_map(again, b"d" * 32)
        assert less.of(first) != less.of(json_request({"sku": "tee", "sent_at": 1}))

    @pytest.mark.parametrize(
        ("media_type", "one", "other"),
        [
            (JSON, b'{"a":1,"b":2}', b'{"b":2, "a":1}'),
            (b"application/vnd.api+json", b"[1]", b"[ 1 ]"),
            (b"application/x-www-form-urlencoded", b"a=1&b=2", b"b=2&a=1"),
        ],
    )
    def test_each_type_has_its_form(self, media_type, one, other):
        assert of(one, media_type) == of(other, media_type)
        assert of(one, b"text/plain") != of(other, b"text/plain")

    def test_a_multipart_retry_with_another_boundary_is_the_same(self):
        def sent(boundary: bytes) -> bytes:
            body = b"--%b\r\nA: 1\r\n\r\ntea\r\n--%b--" % (boundary, boundary)
            return of(body, b"multipart/form-data; boundary=" + boundary)

        assert sent(b"one") == sent(b"another")

    @pytest.mark.parametrize(
        ("media_type", "body"),
        [
            (JSON, b'{"a":1,"a":1}'),
            (b"application/x-www-form-urlencoded", b"a=%"),
            (b"multipart/form-data; boundary=B", b"--B\r\n"),
            (b"multipart/form-data", b"--B--"),
            (b"text/plain", b"text"),
            (b"", b""),
        ],
    )
    def test_without_a_form_the_bytes_count(self, media_type, body):
        assert of(body, media_type) == of(body, media_type, pieces=1)
        assert of(body, media_type) != of(body + b" ", media_type)

    def test_json_has_its_form_up_to_256_kib(self):
        def sized(size: int, gap: bytes = b"") -> bytes:
            return b"[1," + gap + b'"' + b"x" * (size - 6 - len(gap)) + b'"]'

        assert sized(CANONICAL_UP_TO)[-2:] == b'"]'
        spaced = sized(CANONICAL_UP_TO, b" ")

        assert CANONICAL_UP_TO == len(spaced)
        assert of(spaced) == of(sized(CANONICAL_UP_TO - 1))
        assert of(sized(CANONICAL_UP_TO + 1, b" ")) != of(sized(CANONICAL_UP_TO))

    @pytest.mark.parametrize("media_type", [JSON, b"text/plain"])
    @pytest.mark.parametrize("keys", [{}, SECRETS])
    def test_the_pieces_of_a_body_do_not_matter(self, media_type, keys):
        body = b'{"a":"' + b"x" * (CANONICAL_UP_TO + 10) + b'"}'
        maker = Fingerprinter(keys=keys, current_key="new" if keys else None)

        assert maker.of(request(body, media_type)) == maker.of(
            request(body, media_type, pieces=1000)
        )

    def test_a_large_body_is_never_in_memory(self):
        def chunks() -> Iterator[bytes]:
            for _ in range(512):
                yield b"x" * 65_536

        large = FingerprintSource("POST", b"/", JSON, (), 512 * 65_536, chunks)
        tracemalloc.start()
        try:
            digest = Fingerprinter().of(large).digest
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

        assert 32 == len(digest)
        assert peak < 1_000_000


class TestSecret:
    def test_a_secret_makes_another_digest_and_names_its_id(self):
        keyed = Fingerprinter(keys=SECRETS, current_key="new")

        assert "v1;key=new" == keyed.scheme
        assert keyed.of(request()) != Fingerprinter().of(request())
        assert keyed.of(request()) == keyed.of(request())

    def test_a_digest_is_an_hmac_of_what_is_hashed_without_a_secret(self):
        keyed = Fingerprinter(keys=SECRETS, current_key="new")
        tail = b"4:POST11:/orders?a=110:text/plainrtea"

        assert hmac_digest(SECRETS["new"], b"10:v1;key=new" + tail, "sha256") == (
            keyed.of(request(b"tea", b"text/plain")).digest
        )
        assert sha256(b"2:v1" + tail).digest() == of(b"tea", b"text/plain")

    def test_the_store_alone_does_not_tell_small_values_apart(self):
        keyed = Fingerprinter(keys=SECRETS, current_key="new")
        sent = json_request({"pin": 4711})
        stored = keyed.of(sent).digest

        guessed = Fingerprinter().field_map(sent, stored)

        assert guessed != keyed.field_map(sent, stored)

    @pytest.mark.parametrize(
        "wrong",
        [
            {"current_key": "none"},
            {"keys": SECRETS, "current_key": "none"},
            {"keys": {"a": b"short"}, "current_key": "a"},
            {"keys": SECRETS | {"retired": b""}, "current_key": "new"},
            {"keys": {"a b": b"k" * 32}, "current_key": "a b"},
        ],
    )
    def test_a_secret_that_cannot_work_is_refused(self, wrong):
        with pytest.raises(ConfigurationError):
            Fingerprinter(**wrong)

    def test_a_recipe_that_cannot_work_is_refused(self):
        with pytest.raises(ConfigurationError):
            Fingerprinter(FingerprintRecipe(exclude=("/~2",)))


class TestOtherSchemes:
    recipe = FingerprintRecipe(exclude=("/sent_at",), headers=("via",))
    makers = (
        Fingerprinter(keys=SECRETS),
        Fingerprinter(keys=SECRETS, current_key="old"),
        Fingerprinter(keys=SECRETS, current_key="new"),
        Fingerprinter(recipe, keys=SECRETS, current_key="new"),
    )

    @pytest.mark.parametrize("then", makers, ids=lambda maker: maker.scheme)
    @pytest.mark.parametrize("now", makers, ids=lambda maker: maker.scheme)
    def test_a_record_is_compared_under_its_own(self, then, now):
        sent = json_request({"a": 1, "sent_at": 2})

        assert then.of(sent) == now.under(then.scheme, sent)

    @pytest.mark.parametrize(
        "scheme", ["", "v2", "v1;extract=mine", "v1;key=gone", "v1;exclude=/b,/a"]
    )
    def test_an_unknown_scheme_says_so(self, scheme):
        maker = Fingerprinter(keys=SECRETS, current_key="new")

        assert maker.under(scheme, request(b"{}")) is None
        assert None is maker.differing(
            json_request(2), Fingerprint(scheme, b"d" * 32), b"\1\0ab"
        )

    def test_the_same_source_may_be_asked_under_several(self):
        sent = json_request({"a": 1, "sent_at": 2})
        less, whole = self.makers[3], self.makers[2]

        first = less.of(sent)

        assert whole.of(sent) == whole.of(json_request({"a": 1, "sent_at": 2}))
        assert first == less.of(sent)


class TestFields:
    @pytest.mark.parametrize("then", TestOtherSchemes.makers, ids=lambda m: m.scheme)
    @pytest.mark.parametrize("now", TestOtherSchemes.makers, ids=lambda m: m.scheme)
    def test_the_differing_fields_are_named_under_any_known_scheme(self, then, now):
        sent = json_request({"a": 1, "b": [1, 2], "sent_at": 1})
        other = json_request({"a": 1, "b": [1, 3], "c": "", "sent_at": 1})
        recorded = then.of(sent)
        fields = then.field_map(sent, recorded.digest)

        assert ("/b/1", "/c") == now.differing(other, recorded, fields)

    @pytest.mark.parametrize(
        "other",
        [request(b"text", b"text/plain"), request(b"{", JSON), request(b"a=1", b"")],
    )
    def test_nothing_is_named_where_one_body_is_no_json(self, other):
        maker = Fingerprinter()
        sent = json_request({"a": 1})
        digest = maker.of(sent).digest

        assert b"" == maker.field_map(other, digest)
        assert None is maker.differing(
            other, maker.of(sent), maker.field_map(sent, digest)
        )
        assert None is maker.differing(sent, maker.of(other), b"")

    def test_alike_fields_are_not_what_differs(self):
        maker = Fingerprinter()
        sent = json_request({"a": 1})
        elsewhere = request(b'{"a": 1}', b"application/merge-patch+json")
        recorded = maker.of(sent)

        assert recorded != maker.of(elsewhere)
        fields = maker.field_map(sent, recorded.digest)
        assert () == maker.differing(elsewhere, recorded, fields)

    def test_a_large_document_is_read_again_and_not_kept(self):
        asked = []
        body = json.dumps({"a": "x" * 20_000}).encode()

        def chunks() -> Iterator[bytes]:
            asked.append(1)
            yield body

        large = FingerprintSource("POST", b"/", JSON, (), len(body), chunks)
        small = replace(large, size=100)
        for source in (large, small):
            asked.clear()
            digest = Fingerprinter().of(source).digest
            assert Fingerprinter().field_map(source, digest)
            assert (2 if source is large else 1) == len(asked)


@pytest.mark.parametrize(
    ("content_type", "bare"),
    [(b"", b""), (b"A/B", b"a/b"), (b" a/b ;c=d;e", b"a/b"), (b";", b"")],
)
def test_the_bare_type_is_lower_case_without_parameters(content_type, bare):
    assert bare == bare_type(content_type)
