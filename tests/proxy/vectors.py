# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Raw requests that two parsers could read apart, and good ones beside them."""

from __future__ import annotations

HOST = b"Host: a.example\r\n"
CHUNKED = b"POST /p HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: a.example\r\n\r\n"


def post(fields: bytes, body: bytes = b"") -> bytes:
    return b"POST /p HTTP/1.1\r\n" + HOST + fields + b"\r\n" + body


def get(line: bytes, fields: bytes = HOST) -> bytes:
    return line + b"\r\n" + fields + b"\r\n"


BAD: dict[str, bytes] = {
    # Two ways to frame one body.
    "TE beside CL": post(
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n" + HIDDEN
    ),
    "CL beside TE": post(
        b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", b"0\r\n\r\n" + HIDDEN
    ),
    "TE beside CL 0": post(
        b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"
    ),
    "two CL that differ": post(b"Content-Length: 3\r\nContent-Length: 4\r\n", b"abcd"),
    "two CL that agree": post(b"Content-Length: 3\r\nContent-Length: 3\r\n", b"abc"),
    "CL as a list": post(b"Content-Length: 3, 3\r\n", b"abc"),
    "CL with a plus": post(b"Content-Length: +3\r\n", b"abc"),
    "CL negative": post(b"Content-Length: -3\r\n", b"abc"),
    "CL in hex": post(b"Content-Length: 0x3\r\n", b"abc"),
    "CL empty": post(b"Content-Length: \r\n"),
    "CL with an underscore digit": post(b"Content-Length: 1_0\r\n", b"a" * 10),
    "CL with a space inside": post(b"Content-Length: 1 0\r\n", b"a" * 10),
    "CL too long": post(b"Content-Length: 99999999999999999999\r\n", b"a"),
    "CL with a vertical tab": post(b"Content-Length: \x0b3\r\n", b"abc"),
    "CL behind a tab": post(b"Content-Length:\t3\r\n", b"abc"),
    "CL spelt with an underscore": post(
        b"Content_Length: 3\r\nContent-Length: 0\r\n", b"abc"
    ),
    # A Transfer-Encoding that is not exactly chunked.
    "TE identity": post(b"Transfer-Encoding: identity\r\n", b"0\r\n\r\n"),
    "TE gzip, chunked": post(b"Transfer-Encoding: gzip, chunked\r\n", b"0\r\n\r\n"),
    "TE chunked, identity": post(
        b"Transfer-Encoding: chunked, identity\r\n", b"0\r\n\r\n"
    ),
    "TE twice": post(
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"
    ),
    "TE twice, one unknown": post(
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n", b"0\r\n\r\n"
    ),
    "TE xchunked": post(b"Transfer-Encoding: xchunked\r\n", b"0\r\n\r\n"),
    "TE quoted": post(b'Transfer-Encoding: "chunked"\r\n', b"0\r\n\r\n"),
    "TE in capitals": post(b"Transfer-Encoding: CHUNKED\r\n", b"0\r\n\r\n"),
    "TE behind a tab": post(b"Transfer-Encoding:\tchunked\r\n", b"0\r\n\r\n"),
    "TE behind two spaces": post(b"Transfer-Encoding:  chunked\r\n", b"0\r\n\r\n"),
    "TE before a space": post(b"Transfer-Encoding: chunked \r\n", b"0\r\n\r\n"),
    "TE behind a vertical tab": post(
        b"Transfer-Encoding: \x0bchunked\r\n", b"0\r\n\r\n"
    ),
    "TE with a parameter": post(b"Transfer-Encoding: chunked;q=1\r\n", b"0\r\n\r\n"),
    "TE empty": post(b"Transfer-Encoding: \r\n", b"0\r\n\r\n"),
    "TE spelt with an underscore": post(b"Transfer_Encoding: chunked\r\n", b""),
    "TE in HTTP/1.0": b"POST /p HTTP/1.0\r\n"
    + HOST
    + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    # White space where none may be.
    "space before the colon": post(b"Transfer-Encoding : chunked\r\n", b"0\r\n\r\n"),
    "tab before the colon": post(b"Content-Length\t: 3\r\n", b"abc"),
    "space before the first name": b"GET / HTTP/1.1\r\n Host: a.example\r\n\r\n",
    "folded line": post(b"X-A: b\r\n c\r\n"),
    "folded line with a tab": post(b"X-A: b\r\n\tc\r\n"),
    "folded framing": post(b"Transfer-Encoding:\r\n chunked\r\n", b"0\r\n\r\n"),
    "space inside a name": post(b"X A: b\r\n"),
    "no name": post(b": b\r\n"),
    "no colon": post(b"X-A\r\n"),
    # Ends of lines.
    "bare LF after the request line": b"GET / HTTP/1.1\n" + HOST + b"\r\n",
    "bare LF after a field": b"GET / HTTP/1.1\r\nHost: a.example\nX-A: b\r\n\r\n",
    "bare LF throughout": b"GET / HTTP/1.1\nHost: a.example\n\n",
    "bare LF ends the head": b"GET / HTTP/1.1\r\n" + HOST + b"\n",
    "bare CR in a value": post(b"X-A: b\rX-B: c\r\n"),
    "bare CR before a field": post(b"\rX-A: b\r\n"),
    "CR CR LF": post(b"X-A: b\r\r\n"),
    "several empty lines first": b"\r\n\r\n\r\n" + HIDDEN,
    # Bytes that do not belong.
    "NUL in a value": post(b"X-A: b\x00c\r\n"),
    "NUL in a name": post(b"X\x00A: b\r\n"),
    "NUL in the target": get(b"GET /a\x00b HTTP/1.1"),
    "control byte in a value": post(b"X-A: b\x01c\r\n"),
    "high byte in a name": post(b"X-\xe9: b\r\n"),
    "high byte in the target": get(b"GET /\xc3\xa9 HTTP/1.1"),
    "value that is no UTF-8": post(b"X-A: \xe9\r\n"),
    # Chunks.
    "chunk extension": CHUNKED + b"3;a=b\r\nabc\r\n0\r\n\r\n",
    "chunk extension without a name": CHUNKED + b"3;\r\nabc\r\n0\r\n\r\n",
    "chunk size in 0x": CHUNKED + b"0x3\r\nabc\r\n0\r\n\r\n",
    "chunk size with a plus": CHUNKED + b"+3\r\nabc\r\n0\r\n\r\n",
    "chunk size negative": CHUNKED + b"-3\r\nabc\r\n0\r\n\r\n",
    "chunk size with a space": CHUNKED + b"3 \r\nabc\r\n0\r\n\r\n",
    "chunk size behind a space": CHUNKED + b" 3\r\nabc\r\n0\r\n\r\n",
    "chunk size empty": CHUNKED + b"\r\nabc\r\n0\r\n\r\n",
    "chunk size overflowing": CHUNKED + b"10000000000000003\r\nabc\r\n0\r\n\r\n",
    "chunk size of 16 digits": CHUNKED + b"ffffffffffffffff\r\nabc\r\n0\r\n\r\n",
    "chunk size before a bare LF": CHUNKED + b"3\nabc\r\n0\r\n\r\n",
    "chunk longer than its size": CHUNKED + b"3\r\nabcd\r\n0\r\n\r\n",
    "chunk before a bare LF": CHUNKED + b"3\r\nabc\n0\r\n\r\n",
    "last chunk with an extension": CHUNKED + b"0;a\r\n\r\n",
    "last chunk before a bare LF": CHUNKED + b"0\n\n",
    "malformed trailer": CHUNKED + b"0\r\nX A: b\r\n\r\n",
    # The request line.
    "absolute target": get(b"GET http://a.example/p HTTP/1.1"),
    "absolute target of another host": get(b"GET http://evil.example/p HTTP/1.1"),
    "authority as target": get(b"CONNECT a.example:443 HTTP/1.1"),
    "target without a slash": get(b"GET p HTTP/1.1"),
    "target of an asterisk": get(b"OPTIONS * HTTP/1.1"),
    "target with a fragment": get(b"GET /a#b HTTP/1.1"),
    "target with a space": get(b"GET /a b HTTP/1.1"),
    "two spaces in the request line": get(b"GET  / HTTP/1.1"),
    "tab in the request line": get(b"GET\t/ HTTP/1.1"),
    "HTTP/0.9": b"GET /\r\n\r\n",
    "HTTP/1.2": get(b"GET / HTTP/1.2"),
    "HTTP/2.0": get(b"GET / HTTP/2.0"),
    "http in small letters": get(b"GET / http/1.1"),
    "no version": get(b"GET / "),
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    # The host.
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": get(b"GET / HTTP/1.1", HOST + b"Host: b.example\r\n"),
    "two equal hosts": get(b"GET / HTTP/1.1", HOST + HOST),
    "host with a path": get(b"GET / HTTP/1.1", b"Host: a.example/p\r\n"),
    "host with a user": get(b"GET / HTTP/1.1", b"Host: a@b.example\r\n"),
    "host with a space": get(b"GET / HTTP/1.1", b"Host: a.example b.example\r\n"),
    "host list": get(b"GET / HTTP/1.1", b"Host: a.example, b.example\r\n"),
    # Identity and forwarding in another spelling.
    "key spelt with an underscore": post(b"Idempotency_Key: a\r\n"),
    "forwarding spelt with underscores": post(b"X_Forwarded_For: 1.2.3.4\r\n"),
    # WebSocket.
    "WebSocket with a body": get(
        b"GET / HTTP/1.1",
        HOST + b"Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 3\r\n",
    )
    + b"abc",
    "WebSocket by POST": post(b"Connection: Upgrade\r\nUpgrade: websocket\r\n"),
    "two upgrades": get(
        b"GET / HTTP/1.1",
        HOST + b"Connection: Upgrade\r\nUpgrade: h2c\r\nUpgrade: websocket\r\n",
    ),
}

TOO_LARGE: dict[str, bytes] = {
    "one field too long": post(b"X-A: " + b"a" * 70_000 + b"\r\n"),
    "target too long": get(b"GET /" + b"a" * 70_000 + b" HTTP/1.1"),
}

GOOD: dict[str, bytes] = {
    "plain": get(b"GET /a?b=c&d HTTP/1.1"),
    "one empty line first": b"\r\n" + get(b"GET / HTTP/1.1"),
    "length": post(b"Content-Length: 3\r\n", b"abc"),
    "length without the space": post(b"Content-Length:3\r\n", b"abc"),
    "length of zero": post(b"Content-Length: 0\r\n"),
    "no body": post(b""),
    "chunks": CHUNKED + b"3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n",
    "chunked without the space": b"POST /p HTTP/1.1\r\n"
    + HOST
    + b"transfer-encoding:chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
    "chunks with leading zeroes": CHUNKED + b"0003\r\nabc\r\n000\r\n\r\n",
    "no chunks": CHUNKED + b"0\r\n\r\n",
    "trailer": CHUNKED + b"3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n",
    "empty value": post(b"X-A:\r\n"),
    "empty host": get(b"GET / HTTP/1.1", b"Host:\r\n"),
    "host with a port": get(b"GET / HTTP/1.1", b"Host: [::1]:8080\r\n"),
    "HTTP/1.0 without a host": b"GET / HTTP/1.0\r\n\r\n",
    "value in UTF-8": post(b"X-A: caf\xc3\xa9\r\n"),
    "names of every letter": post(b"!#$%&'*+-.^_`|~aZ9: b\r\n"),
    "target of strange letters": get(b'GET //a/../%2F;b="<>|\\^`{}[]?? HTTP/1.1'),
    "another upgrade": get(
        b"GET / HTTP/1.1", HOST + b"Connection: Upgrade\r\nUpgrade: h2c\r\n"
    ),
    "upgrade without its option": get(
        b"GET / HTTP/1.1", HOST + b"Upgrade: websocket\r\n"
    ),
    "a name with an underscore": post(b"X_Custom: b\r\n"),
    "unknown method": get(b"PURGE /p HTTP/1.1"),
}
