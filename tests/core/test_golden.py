# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What was stored once stays readable: digests, maps and frames, to the letter.

A change that breaks one of these breaks every live key of a running service. It
needs a new version beside the old one, and the old one stays here.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from keyonce.core.canonical_form import canonical_form
from keyonce.core.canonical_json import read_json
from keyonce.core.codec import decode, encode
from keyonce.core.fingerprint import Fingerprinter, FingerprintSource
from keyonce.core.model import Fingerprint, StoredResult
from keyonce.core.policy import FingerprintRecipe

KEYS = {"2026-01": bytes(range(32))}
RECIPE = FingerprintRecipe(exclude=("/sent_at", "/items/0"), headers=("X-Api-Version",))
HEADERS = ((b"content-type", b"x"), (b"x-api-version", b"3"), (b"x-api-version", b"4"))

BODIES = {
    "json": (
        b"application/json; charset=utf-8",
        (
            rb'{"sku":"t\u00e9","n":1.50,"ok":true,"no":null,"sent_at":1,'
            rb'"items":[0,{"a/b":""},[]]}'
        ),
    ),
    "twice": (b"application/json", b'{"a":1,"a":2}'),
    "form": (b"application/x-www-form-urlencoded", b"b=2&a[]=1&a=%26+%C3%A9&a[]=0&c"),
    "multipart": (
        b'multipart/form-data; boundary="x y"',
        (
            b'--x y\r\nContent-Disposition: form-data; name="f"\r\nA:b\r\n\r\ntea\r\n'
            b"--x y\r\n\r\n\r\n--x y--\r\n"
        ),
    ),
    "raw": (b"", b"\x00\xff"),
    "empty": (b"text/plain", b""),
    "large": (b"application/json", b"[" + b" " * 300_000 + b"]"),
}


def sent(name: str) -> FingerprintSource:
    media_type, body = BODIES[name]

    def chunks() -> Iterator[bytes]:
        yield body

    return FingerprintSource(
        "POST", b"/a%2Fb?q=1", media_type, HEADERS, len(body), chunks
    )


FULL_SCHEME = "v1;key=2026-01;headers=x-api-version;exclude=/items/0,/sent_at"
MAKERS = {
    "v1": Fingerprinter(),
    FULL_SCHEME: Fingerprinter(RECIPE, keys=KEYS, current_key="2026-01"),
}

DIGESTS = {
    "v1": {
        "json": "bade68d4c5f8f90fdf9996ae6f17a29e39aef2b3ee9ecd0cb9aa46c83e50813b",
        "twice": "dde44ce4d14c036427b6cacdaf1a06ba3616647a49baed287e70a4879ee49241",
        "form": "77b82bf814afd16ae029831171310f0f176c68a8bb90bd2dc1858b01bee8c002",
        "multipart": "9f456ede862d30a192ebee1a95698b648de976f0f1843df946aa0754c9ede66e",
        "raw": "5c2f497dafc143e1ec8c9366559c6607e0577c45544647559c7434768bb11ab2",
        "empty": "5205cc0766f2715d17a3007a3100a2489f5020f4edb5a389910905a5b1651e2d",
        "large": "c7343633185da19c09e83a9e823afc3c7dfa92930708445a198531a55cfb0dda",
    },
    FULL_SCHEME: {
        "json": "b52a16346ad465d0f6f227aef7a572e2e540cc8bdfb1fa35b48a9bb17a05ec59",
        "twice": "f9a91e03257ea7991d79652ec0c51fca52ce92e64a86781a77ee728af4433636",
        "form": "587ba5965420e5add58a2bbe3058dfcc4465ff28e8a6a5a235b1ad4b9d49914c",
        "multipart": "2ae52cbaec05f2b1542cf7247c4ed1406563558a29efa9a345098ee02ed026f8",
        "raw": "2a11316e4522a2ddbb769bfc96819313a2f1f2971453fcad5d3f8d4743944cd2",
        "empty": "28bbfd1242335701c58a11d9ec1097424b02fecdcbc6717017b1dd0fa3172c0b",
        "large": "e818924ceb2700b7731d5f79e984eb693354815f7788536c12ad6eb1da526df4",
    },
}


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("scheme", DIGESTS)
def test_a_digest_is_what_it_was(scheme, name):
    recorded = Fingerprint(scheme, bytes.fromhex(DIGESTS[scheme][name]))

    assert recorded == MAKERS[scheme].of(sent(name))
    assert recorded == MAKERS[FULL_SCHEME].under(scheme, sent(name))


def test_a_canonical_form_is_what_it_was():
    document = read_json(BODIES["json"][1], (("sent_at",), ("items", "0")))

    assert document is not None
    assert document.canonical() == (
        rb'{"items":["\ud801",{"a/b":""},[]],"n":"\ud8001.50","no":null,"ok":true,'
        rb'"sku":"t\u00e9"}'
    )
    assert canonical_form(BODIES["form"][1]) == (
        b"3:a[]=1:11:a=4:& \xc3\xa93:a[]=1:01:b=1:21:c-"
    )


MAPS = {
    "v1": (
        "010106056974656d730203004129010103612f62000058005a7c016e005c7302"
        "6e6f00c62b026f6b00f2e90773656e745f61740053e803736b7500a8cd"
    ),
    FULL_SCHEME: (
        "010105056974656d730203008b72010103612f62009ef2001ab8016e00143702"
        "6e6f00e9aa026f6b000c1d03736b750029a7"
    ),
}


@pytest.mark.parametrize("scheme", MAPS)
def test_a_field_map_is_what_it_was(scheme):
    recorded = MAKERS[scheme].of(sent("json"))

    fields = MAKERS[scheme].field_map(sent("json"), recorded.digest)

    assert bytes.fromhex(MAPS[scheme]) == fields
    assert () == MAKERS[FULL_SCHEME].differing(sent("json"), recorded, fields)


FRAMES = [
    ("010100cc000092344bdf", StoredResult(204)),
    (
        (
            "010100c900030008000000090004000000030004000000036c6f636174696f6e"
            "2f6f72646572732f316c696e6b3c613e6c696e6b3c623e7b226964223a317d0a"
            "232597d1"
        ),
        StoredResult(
            201,
            ((b"location", b"/orders/1"), (b"link", b"<a>"), (b"link", b"<b>")),
            b'{"id":1}\n',
            size=9,
        ),
    ),
    (
        "010200c800010000000001312d00000400000003657461672231220953028d",
        StoredResult(200, ((b"etag", b'"1"'),), kept=False, size=20_000_000),
    ),
    ("0101000000008000084c7c34", StoredResult(0, (), b"\x80\x00", size=2)),
]


@pytest.mark.parametrize(("frame", "result"), FRAMES)
def test_a_frame_is_what_it_was(frame, result):
    assert result == decode(bytes.fromhex(frame))
    assert bytes.fromhex(frame) == encode(result)
