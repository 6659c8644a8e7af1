# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from ipaddress import ip_network

import pytest

from keyonce.proxy.wire import end_to_end, outgoing, trusts


def test_what_connection_names_stays_behind():
    headers = [
        (b"Connection", b"close, X-A ,x-b"),
        (b"X-A", b"1"),
        (b"X-B", b"2"),
        (b"X-C", b"3"),
    ]

    assert ((b"x-c", b"3"),) == end_to_end(headers)


@pytest.mark.parametrize("name", [b"content-length", b"host"])
def test_connection_cannot_drop_what_frames_a_request(name):
    assert ((name, b"1"),) == end_to_end([(b"connection", name), (name, b"1")])


def test_an_ipv6_address_is_quoted():
    headers = dict(outgoing([(b"host", b"a")], client="::1", scheme="http", trusted=()))

    assert b'for="[::1]";proto=http;host="a"' == headers[b"forwarded"]
    assert b"::1" == headers[b"x-forwarded-for"]


def test_a_caller_without_an_address_is_unknown():
    headers = dict(
        outgoing([], client=None, scheme="http", trusted=(ip_network("::/0"),))
    )

    assert b"unknown" == headers[b"x-forwarded-for"]


def test_several_lines_of_a_trusted_proxy_are_one_chain():
    said = [(b"x-forwarded-for", b"1.1.1.1"), (b"x-forwarded-for", b"2.2.2.2")]
    trusted = (ip_network("10.0.0.0/8"),)

    headers = dict(outgoing(said, client="10.1.1.1", scheme="http", trusted=trusted))

    assert b"1.1.1.1, 2.2.2.2, 10.1.1.1" == headers[b"x-forwarded-for"]


@pytest.mark.parametrize("client", ["11.0.0.1", "unix", "::1"])
def test_strangers_are_not_trusted(client):
    assert not trusts(client, (ip_network("10.0.0.0/8"),))
