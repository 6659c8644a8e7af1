# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The contract for gateways is held against gateways that break it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from keyonce.core.fingerprint import Fingerprinter, FingerprintSource
from keyonce.core.model import Attempt
from keyonce.core.policy import FingerprintRecipe
from keyonce.http import ending
from keyonce.http.keep import kept_headers
from keyonce.integrations import wsgi_request, wsgi_response, wsgi_work
from keyonce.integrations.wsgi import IdempotencyMiddleware
from keyonce.stores.memory import MemoryStore
from keyonce.testing.integration_contract import (
    SCOPE,
    STORE_TIMEOUT,
    IntegrationContract,
    KnownApp,
    Lab,
)
from keyonce.testing.integration_scenarios.wsgi import WsgiCaller, wsgi_app


def failing(app_of, scenario):
    """Whether *scenario* fails for the gateway that *app_of* makes."""
    known = KnownApp()
    lab = Lab(WsgiCaller(app_of(known)))
    try:
        getattr(IntegrationContract(), scenario)(lab)
    except (AssertionError, ValueError, TypeError):
        return True
    return False


def guarded(known, **changes):
    settings = {
        "store": known.store(MemoryStore(clock=known.clock)),
        "scope": SCOPE,
        "rules": known.rules(),
        "observer": known,
        "store_timeout": STORE_TIMEOUT,
    }
    return IdempotencyMiddleware(wsgi_app(known), **{**settings, **changes})


SCENARIOS = [name for name in dir(IntegrationContract) if name.startswith("test_")]
RIGHT_WITHOUT_A_GUARD = {
    "test_a_key_on_a_read_is_ignored",
    "test_a_refusal_does_not_show_the_key",
    "test_a_stream_that_breaks_off_runs_again_where_promised",
    "test_an_escaped_slash_is_no_slash",
    "test_an_event_stream_may_lose_its_reader",
    "test_headers_keep_their_order_and_their_duplicates",
    "test_a_stream_goes_out_while_it_comes",
    "test_different_keys_do_not_wait_on_each_other",
    "test_off_does_nothing",
    "test_one_key_on_two_paths_is_two_operations",
    "test_observing_refuses_nothing",
    "test_observing_streams_both_ways",
    "test_outside_the_share_nothing_is_enforced",
    "test_validating_runs_every_good_request",
    "test_without_a_key_every_request_runs",
}


@pytest.mark.parametrize(
    "scenario", sorted({*SCENARIOS} - RIGHT_WITHOUT_A_GUARD), ids=lambda name: name[5:]
)
def test_a_scenario_fails_without_a_guard(scenario, monkeypatch):
    monkeypatch.setattr("keyonce.testing.integration_scenarios.lab.HAPPENS_WITHIN", 0.5)
    monkeypatch.setattr(
        "keyonce.testing.integration_scenarios.behaviours.GATE_OPENS_WITHIN", 1.0
    )
    monkeypatch.setattr(
        "keyonce.testing.integration_scenarios.wsgi.GATE_OPENS_WITHIN", 1.0
    )

    assert failing(wsgi_app, scenario)


def one_scope_for_all(monkeypatch):
    return {"scope": lambda head: "all"}


def any_payload(monkeypatch):
    monkeypatch.setattr(
        "keyonce.integrations.gateway.Visit.attempt", attempt_of_nothing
    )
    return {}


def attempt_of_nothing(visit, identity, body):
    source = FingerprintSource(
        method="POST",
        target=b"/",
        media_type=b"",
        headers=(),
        size=0,
        chunks=lambda: iter(()),
    )
    same = Fingerprinter(FingerprintRecipe()).of(source)
    return Attempt(identity, same, lambda scheme: same)


def everything_is_stored(monkeypatch):
    monkeypatch.setattr(ending, "NEVER_STORED", frozenset())
    return {}


def all_headers_are_kept(monkeypatch):
    monkeypatch.setattr(ending, "kept_headers", lambda headers, *_, **__: headers)
    return {}


def headers_are_sorted(monkeypatch):
    def kept(headers, *arguments, **options):
        return tuple(sorted(kept_headers(headers, *arguments, **options)))

    monkeypatch.setattr(ending, "kept_headers", kept)
    return {}


def nothing_is_carried_on(monkeypatch):
    def cut(work):
        work._cut()

    monkeypatch.setattr(wsgi_work.Work, "_carry_on", cut)
    return {}


def the_end_does_not_wait(monkeypatch):
    monkeypatch.setattr(wsgi_work, "_may_end", lambda finished, end: True)
    return {}


def nothing_is_streamed(monkeypatch):
    monkeypatch.setattr(wsgi_response, "SPILL_AT", 10**9)
    return {}


def no_bound_on_requests(monkeypatch):
    def whole(environ, space, limit):
        return wsgi_request.whole_body(environ, space, 10**9)

    monkeypatch.setattr("keyonce.integrations.wsgi.whole_body", whole)
    return {}


def a_failing_completion_frees_the_key(monkeypatch):
    class Freeing(MemoryStore):
        def complete(self, command):
            self.release(command.identity, command.owner, "failed", None)

    return {"store": Freeing()}


def bodies_are_cut(monkeypatch):
    class Short(MemoryStore):
        def complete(self, command):
            result = replace(command.result, body=command.result.body[:100_000])
            return super().complete(command._replace(result=result))

    return {"store": Short()}


@pytest.mark.parametrize(
    ("broken", "scenario"),
    [
        (one_scope_for_all, "test_one_tenants_key_is_nothing_to_another"),
        (one_scope_for_all, "test_a_status_is_for_its_own_scope"),
        (any_payload, "test_another_payload_is_refused_with_its_fields"),
        (any_payload, "test_another_payload_is_refused_while_the_first_works"),
        (everything_is_stored, "test_a_status_that_is_never_stored_frees_the_key"),
        (all_headers_are_kept, "test_headers_of_another_moment_are_not_replayed"),
        (headers_are_sorted, "test_headers_keep_their_order_and_their_duplicates"),
        (
            nothing_is_carried_on,
            "test_a_client_that_hangs_up_on_a_stream_does_not_end_it",
        ),
        (the_end_does_not_wait, "test_a_stream_that_cannot_be_recorded_is_cut_off"),
        (nothing_is_streamed, "test_a_stream_goes_out_while_it_comes"),
        (no_bound_on_requests, "test_a_request_over_the_bound_is_refused"),
        (a_failing_completion_frees_the_key, "test_a_retry_gets_the_same_answer"),
        (bodies_are_cut, "test_a_retry_gets_the_same_answer"),
    ],
)
def test_a_scenario_fails_for_a_broken_gateway(broken, scenario, monkeypatch):
    monkeypatch.setattr("keyonce.testing.integration_scenarios.lab.HAPPENS_WITHIN", 1.0)
    monkeypatch.setattr(
        "keyonce.testing.integration_scenarios.wsgi.ANSWERED_WITHIN", 1.0
    )
    changes = broken(monkeypatch)

    assert failing(lambda known: guarded(known, **changes), scenario)
