# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Counting on a real registry: one outcome per arrival, no key in any label."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from keyonce.core.errors import ConfigurationError, StoreUnavailable
from keyonce.core.events import (
    SUPPRESSED,
    Arrived,
    Ended,
    Event,
    LeaseGone,
    LeaseRenewed,
    Outcome,
    Purged,
    Reconciled,
    Recorded,
    Started,
    StoreCalled,
)
from keyonce.core.model import Identity, StoreStats
from keyonce.core.states import Status
from keyonce.telemetry.printable import digest
from keyonce.telemetry.prometheus import PrometheusObserver

IDENTITY = Identity("acme", "POST /pay/17", "pay-4711")
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
STATS = StoreStats(
    counts={Status.COMPLETED: 40, Status.UNKNOWN: 2},
    oldest={Status.UNKNOWN: 900.0},
    stored_bytes=4096,
    now=1000.0,
)


class Counted:
    """An observer on a registry and a clock of its own."""

    def __init__(self, **options):
        self.registry = CollectorRegistry()
        self.now = 0.0
        self.observer = PrometheusObserver(
            self.registry, clock=lambda: self.now, **options
        )

    def tell(self, *events):
        for event in events:
            self.observer.notify(event)

    def value(self, name, **labels):
        return self.registry.get_sample_value(name, labels) or 0.0

    def total(self, name):
        return sum(
            sample.value
            for family in self.registry.collect()
            for sample in family.samples
            if sample.name == name
        )

    def samples(self):
        body, _ = self.observer.render(OPENMETRICS)
        return [
            sample
            for family in text_string_to_metric_families(body.decode())
            for sample in family.samples
        ]

    def exemplars(self, name):
        return [
            s.exemplar.labels["idempotency_key"]
            for s in self.samples()
            if s.name == name and s.exemplar
        ]


@pytest.fixture
def counted():
    return Counted()


def ended(outcome, **said):
    return Ended("payments", IDENTITY, outcome, 0.02, **said)


@st.composite
def histories(draw):
    """Arrivals and their ends, interleaved in any order that keeps each pair's."""
    waiting: list[Event] = []
    events: list[Event] = []
    for outcome in draw(st.lists(st.sampled_from(Outcome), max_size=30)):
        rule = draw(st.sampled_from(["payments", "orders"]))
        keyed = outcome not in {Outcome.UNKEYED, Outcome.MISSING_KEY}
        identity = Identity("s", rule, draw(st.text(max_size=9))) if keyed else None
        events.append(Arrived(rule, identity))
        execution = draw(st.integers(0, 3))
        if execution and identity is not None:
            events.append(Started(rule, identity, execution))
        age = draw(st.none() | st.floats(0, 1e7))
        would = draw(st.none() | st.sampled_from(Outcome))
        end = Ended(rule, identity, outcome, 0.1, execution, would, age)
        waiting.append(end)
        if draw(st.booleans()):
            events.append(waiting.pop(draw(st.integers(0, len(waiting) - 1))))
    return events, waiting


@settings(max_examples=60, deadline=None)
@given(histories())
def test_every_arrival_ends_under_exactly_one_outcome(history):
    events, late = history
    counted = Counted()

    counted.tell(*events)
    in_flight = counted.value("keyonce_in_flight")
    counted.tell(*late)

    arrivals = sum(isinstance(event, Arrived) for event in events)
    assert arrivals == counted.total("keyonce_requests_total")
    assert arrivals == counted.total("keyonce_request_seconds_count")
    assert len(late) == in_flight
    assert 0 == counted.value("keyonce_in_flight")


@settings(max_examples=60, deadline=None)
@given(histories())
def test_what_was_suppressed_is_the_sum_of_its_outcomes(history):
    events, late = history
    counted = Counted()

    counted.tell(*events, *late)

    ends = [event for event in [*events, *late] if isinstance(event, Ended)]
    suppressed = [event for event in ends if event.outcome in SUPPRESSED]
    replayed = [event for event in ends if event.outcome is Outcome.REPLAYED]
    assert len(suppressed) == counted.total("keyonce_suppressed_effects_total")
    observed = [event for event in ends if event.would is not None]
    aged = [event for event in ends if event.key_age is not None]
    assert len(replayed) == counted.total("keyonce_replays_total")
    assert len(observed) == counted.total("keyonce_observed_total")
    assert len(aged) == counted.total("keyonce_retry_age_seconds_count")


def test_a_replay_counts_as_duplicate_replay_and_suppressed_effect(counted):
    counted.tell(ended(Outcome.EXECUTED, execution=1))
    counted.tell(ended(Outcome.REPLAYED, execution=1, key_age=12.0))

    for name in ("duplicates", "replays", "suppressed_effects"):
        assert 1 == counted.value(f"keyonce_{name}_total", operation="payments")
    assert 12 == counted.value("keyonce_retry_age_seconds_sum", operation="payments")


def test_a_reused_key_is_a_collision_and_no_duplicate(counted):
    counted.tell(ended(Outcome.MISMATCH, key_age=1.0))

    assert 1 == counted.value("keyonce_key_collisions_total", operation="payments")
    assert 0 == counted.value("keyonce_duplicates_total", operation="payments")


def test_observing_counts_duplicates_but_suppresses_nothing(counted):
    counted.tell(ended(Outcome.OBSERVED, would=Outcome.REPLAYED, key_age=1.0))
    counted.tell(ended(Outcome.OBSERVED, would=Outcome.MISMATCH, key_age=1.0))

    assert 1 == counted.value("keyonce_duplicates_total", operation="payments")
    assert 1 == counted.value("keyonce_key_collisions_total", operation="payments")
    assert 0 == counted.value("keyonce_replays_total", operation="payments")
    assert 0 == counted.value("keyonce_suppressed_effects_total", operation="payments")
    assert 1 == counted.value(
        "keyonce_observed_total", operation="payments", would="replayed"
    )


def test_a_first_touch_is_no_duplicate(counted):
    counted.tell(ended(Outcome.EXECUTED, execution=1))

    assert 0 == counted.value("keyonce_duplicates_total", operation="payments")


def test_writes_without_a_key_are_counted(counted):
    counted.tell(Ended("payments", None, Outcome.UNKEYED, 0.1))
    counted.tell(Ended("payments", None, Outcome.MISSING_KEY, 0.1))

    assert 2 == counted.value("keyonce_unkeyed_total", operation="payments")


def test_badly_made_keys_are_counted_by_kind(counted):
    counted.tell(ended(Outcome.EXECUTED, weak="sequential"))

    assert 1 == counted.value(
        "keyonce_weak_keys_total", operation="payments", kind="sequential"
    )


def test_stores_leases_and_purges_are_counted(counted):
    counted.tell(
        StoreCalled("sqlite", "claim", 0.001, failed=False),
        StoreCalled("sqlite", "claim", 0.002, failed=True),
        LeaseRenewed(IDENTITY),
        LeaseGone(IDENTITY, "lost"),
        Recorded(IDENTITY),
        Reconciled(IDENTITY, "completed"),
        Purged(500),
    )

    claim = {"store": "sqlite", "verb": "claim"}
    assert 2 == counted.value("keyonce_store_seconds_count", **claim)
    assert 1 == counted.value("keyonce_store_failures_total", **claim)
    assert 1 == counted.value("keyonce_lease_renewals_total")
    assert 1 == counted.value("keyonce_leases_lost_total", reason="lost")
    assert 1 == counted.value("keyonce_recorded_late_total")
    assert 500 == counted.value("keyonce_purged_total")
    assert 1 == counted.value("keyonce_reconciled_total", answer="completed")


def test_no_label_ever_holds_a_key_a_scope_or_a_path(counted):
    counted.tell(Arrived("payments", IDENTITY), ended(Outcome.REPLAYED, key_age=1.0))
    counted.tell(LeaseGone(IDENTITY, "lost"), Recorded(IDENTITY))

    values = {value for s in counted.samples() for value in s.labels.values()}

    assert values.isdisjoint(IDENTITY)


def test_exemplars_carry_the_key(counted):
    counted.tell(ended(Outcome.REPLAYED, key_age=1.0))

    for name in (
        "keyonce_requests_total",
        "keyonce_duplicates_total",
        "keyonce_replays_total",
        "keyonce_suppressed_effects_total",
        "keyonce_request_seconds_bucket",
        "keyonce_retry_age_seconds_bucket",
    ):
        assert ["pay-4711"] == counted.exemplars(name), name


def test_an_exemplar_too_long_to_carry_is_a_digest(counted):
    long = "x" * 200
    counted.tell(Ended("r", IDENTITY._replace(key=long), Outcome.EXECUTED, 0.1))

    assert [digest(long)] == counted.exemplars("keyonce_requests_total")


def test_an_exemplar_is_escaped(counted):
    counted.tell(Ended("r", IDENTITY._replace(key='a"\n\x1b'), Outcome.EXECUTED, 0.1))

    page = counted.observer.render(OPENMETRICS)[0].decode()
    assert r'# {idempotency_key="a\"\\n\\x1b"} 1.0 ' in page
    assert page.replace("\n", "").isprintable()


def test_those_who_may_not_see_keys_get_digests():
    counted = Counted(log_keys="digest")
    counted.tell(ended(Outcome.EXECUTED))

    assert [digest("pay-4711")] == counted.exemplars("keyonce_requests_total")


def test_a_series_shows_a_new_key_each_second(counted):
    def arrive(key):
        counted.tell(Ended("r", IDENTITY._replace(key=key), Outcome.EXECUTED, 0.1))
        return counted.exemplars("keyonce_requests_total")

    first, within = arrive("k1"), arrive("k2")
    counted.now = 1.0
    later = arrive("k3")

    assert (["k1"], ["k1"], ["k3"]) == (first, within, later)


def test_a_slow_request_has_an_exemplar_beside_a_fast_one(counted):
    counted.tell(Ended("r", IDENTITY._replace(key="fast"), Outcome.EXECUTED, 0.002))
    counted.tell(Ended("r", IDENTITY._replace(key="slow"), Outcome.EXECUTED, 20.0))

    assert ["fast", "slow"] == counted.exemplars("keyonce_request_seconds_bucket")


def test_the_store_is_asked_at_the_scrape():
    counted = Counted(store_stats=lambda: STATS)

    assert 2 == counted.value("keyonce_unknown")
    assert 40 == counted.value("keyonce_records", status="completed")
    assert 0 == counted.value("keyonce_records", status="in_progress")
    assert 100 == counted.value("keyonce_oldest_seconds", status="unknown")
    assert 4096 == counted.value("keyonce_stored_bytes")
    assert 1 == counted.value("keyonce_store_up")


def test_a_store_that_is_down_does_not_break_the_page():
    def stats():
        raise StoreUnavailable("away")

    counted = Counted(store_stats=stats)

    assert 0 == counted.registry.get_sample_value("keyonce_store_up")
    assert counted.registry.get_sample_value("keyonce_unknown") is None


def test_making_an_observer_does_not_ask_the_store():
    asked = []

    def stats():
        asked.append(1)
        return STATS

    Counted(store_stats=stats)

    assert [] == asked


def test_a_second_observer_on_one_registry_is_refused(counted):
    with pytest.raises(ConfigurationError, match="share one PrometheusObserver"):
        PrometheusObserver(counted.registry)


def test_the_scraper_chooses_the_form(counted):
    plain, openmetrics = counted.observer.render(), counted.observer.render(OPENMETRICS)

    assert plain[1].startswith("text/plain")
    assert openmetrics[1].startswith("application/openmetrics-text")
    assert openmetrics[0].endswith(b"# EOF\n")


WORKER = textwrap.dedent("""
    import sys
    from keyonce.core.events import Arrived, Ended, Outcome
    from keyonce.core.model import Identity, StoreStats
    from keyonce.core.states import Status
    from keyonce.telemetry.prometheus import PrometheusObserver

    stats = lambda: StoreStats({Status.UNKNOWN: 2}, {}, None, 0.0)
    observer = PrometheusObserver(store_stats=stats)
    identity = Identity("s", "POST /pay", "k")
    for _ in range(3):
        observer.notify(Arrived("pay", identity))
    observer.notify(Ended("pay", identity, Outcome.REPLAYED, 0.1, key_age=1.0))
    sys.stdout.write(observer.render()[0].decode())
""")


def test_several_workers_are_one_page(tmp_path):
    pages = [
        subprocess.run(
            [sys.executable, "-c", WORKER],
            env={"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)},
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        ).stdout.splitlines()
        for _ in range(2)
    ]

    assert 'keyonce_requests_total{operation="pay",outcome="replayed"} 2.0' in pages[1]
    assert "keyonce_unknown 2.0" in pages[1]
    assert "keyonce_in_flight 4.0" in pages[1]
