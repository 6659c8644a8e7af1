# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import socket
from dataclasses import replace

import pytest

from keyonce.core.errors import ConfigurationError
from keyonce.core.guarantee import Guarantee
from keyonce.core.model import Finding, Traits
from keyonce.integrations.fitness import refuse_errors
from keyonce.proxy.banner import banner
from keyonce.proxy.checks import check_traits, listen_on, open_checked
from keyonce.proxy.config import load
from keyonce.proxy.config_values import Address
from keyonce.stores.showing import without_secrets

TRAITS = Traits("paper", frozenset(Guarantee), durable=True, many_processes=True)
FLAGS = {
    "upstream": "http://127.0.0.1:8000",
    "scope": "X-Api-Key",
    "store": "memory://",
}


def test_a_guarantee_that_the_store_cannot_keep_is_refused():
    traits = replace(TRAITS, guarantees=frozenset({Guarantee.AT_LEAST_ONCE}))

    with pytest.raises(
        ConfigurationError, match=r"'POST,PATCH /\*\*' declares at-most-once"
    ):
        check_traits(traits, load(None, FLAGS, {}))


def test_a_store_of_one_process_is_refused_for_two_workers():
    traits = replace(TRAITS, many_processes=False)

    with pytest.raises(ConfigurationError, match="workers is 2"):
        check_traits(traits, load(None, FLAGS | {"workers": "2"}, {}))


def test_a_setting_that_breaks_a_promise_is_refused_with_its_mend():
    findings = [
        Finding("ok", "a", "fine"),
        Finding("error", "fsync", "It is off.", "Turn it on."),
    ]

    with pytest.raises(
        ConfigurationError, match=r"store: fsync: It is off\. Turn it on\."
    ):
        refuse_errors(findings)


def test_a_store_that_is_fit_is_opened():
    store, findings = open_checked(load(None, FLAGS, {}))

    assert "memory" == store.traits.name
    assert [] == [one for one in findings if one.level == "error"]


def test_small_pieces_are_sent_at_once():
    # asyncio turns Nagle's algorithm off only where the socket names TCP.
    with listen_on(Address("127.0.0.1", 0), setting="listen") as bound:
        assert socket.IPPROTO_TCP == bound.proto


def test_an_address_that_is_not_ours_is_refused():
    with pytest.raises(
        ConfigurationError, match=r"listen: cannot listen on 192\.0\.2\.1:0"
    ):
        listen_on(Address("192.0.2.1", 0), setting="listen")


def test_the_banner_keeps_the_password():
    url = "postgresql://keyonce:secret@db.example/keys"
    config = replace(load(None, FLAGS, {}), store=url)

    told = banner(config, TRAITS, [], listening="127.0.0.1:1", admin=None)

    assert "secret" not in told
    assert "postgresql://keyonce:***@db.example/keys" == without_secrets(url)


def test_the_banner_says_what_is_unchecked():
    config = load(None, FLAGS | {"scope": "none"}, {})
    warned = [Finding("ok", "a", "fine"), Finding("warning", "disk", "It lies.")]

    told = banner(config, TRAITS, warned, listening="127.0.0.1:1", admin=None)

    assert "all callers share their keys" in told
    assert "not authorised again" in told
    assert "disk: It lies." in told
    assert "fine" not in told
