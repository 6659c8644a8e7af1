# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""An answer that an operator hands in, as the result that is stored."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from keyonce.core.errors import ConfigurationError
from keyonce.core.model import StoredResult
from keyonce.core.policy import Policy
from keyonce.http.keep import kept_headers

if TYPE_CHECKING:
    from keyonce.http.messages import Headers

_STATUS_LINE: Final = re.compile(
    rb"HTTP/\d(?:\.\d)? ([2-5]\d\d)(?: [^\r\n]*)?"
).fullmatch
_END_OF_HEAD: Final = re.compile(rb"\r?\n\r?\n")
_HEADER: Final = re.compile(
    rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)"
)


def parse_response(raw: bytes) -> StoredResult:
    """Read a whole HTTP response, such as ``curl -i`` writes.

    The body is every byte behind the empty line. Headers that are never stored
    are left out.

    Raises:
        ConfigurationError: it is no response, or its body is not whole.
    """
    head, found, body = _parted(raw)
    lines = head.replace(b"\r\n", b"\n").split(b"\n")
    status = _STATUS_LINE(lines[0])
    if status is None or not found:
        raise ConfigurationError(
            "This is no HTTP response: it begins with a line such as "
            "'HTTP/1.1 201 Created', then come headers, an empty line and the body."
        )
    headers = tuple(_header(line) for line in lines[1:] if line)
    _check_length(headers, body)
    return _result(int(status[1]), headers, body)


def built_response(status: int, headers: tuple[str, ...], body: bytes) -> StoredResult:
    """Make a result of its parts; each header is written ``Name: value``.

    Raises:
        ConfigurationError: a header that is none.
    """
    read = tuple(_header(header.encode("latin-1", "replace")) for header in headers)
    return _result(status, read, body)


def _parted(raw: bytes) -> tuple[bytes, bool, bytes]:
    end = _END_OF_HEAD.search(raw)
    if end is None:
        return raw, False, b""
    return raw[: end.start()], True, raw[end.end() :]


def _header(line: bytes) -> tuple[bytes, bytes]:
    found = _HEADER.fullmatch(line.rstrip(b" \t"))
    if found is None:
        written = ascii(line.decode("latin-1"))
        raise ConfigurationError(
            f"{written} is no header: write it as 'Content-Type: application/json'."
        )
    return found[1], found[2]


def _check_length(headers: Headers, body: bytes) -> None:
    for name, value in headers:
        if name.lower() == b"content-length" and value != b"%d" % len(body):
            raise ConfigurationError(
                f"The response says Content-Length: {value.decode('latin-1')}, but "
                f"{len(body)} bytes follow. Was it cut off, or did an editor add a "
                "line end? Take the header out if the bytes are right."
            )


def _result(status: int, headers: Headers, body: bytes) -> StoredResult:
    kept = kept_headers(headers, Policy())
    return StoredResult(status=status, headers=kept, body=body, size=len(body))
