# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Every metric that keyonce counts, with its name, help and labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prometheus_client import Counter, Gauge, Histogram

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86_400.0

# fmt: off
REQUEST_BUCKETS: Final = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
    1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0,
)
STORE_BUCKETS: Final = (
    0.000_01, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5,
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
)
AGE_BUCKETS: Final = (
    0.1, 1.0, 10.0, _MINUTE, 5 * _MINUTE, 15 * _MINUTE, _HOUR, 6 * _HOUR,
    12 * _HOUR, _DAY, 2 * _DAY, 3 * _DAY, 7 * _DAY, 14 * _DAY, 30 * _DAY, 90 * _DAY,
)
# fmt: on


class Metrics:
    """All metrics, by the word that the code uses for them.

    The label ``operation`` is the name of a rule: bounded by the author's
    configuration, never by what callers send.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register all of them with *registry*.

        Raises:
            ValueError: it has them already.
        """

        def counter(name: str, meaning: str, *labels: str) -> Counter:
            return Counter(f"keyonce_{name}", meaning, labels, registry=registry)

        self.requests = counter(
            "requests", "Arrivals, each under its one outcome.", "operation", "outcome"
        )
        self.observed = counter(
            "observed", "Outcomes that enforcing would have had.", "operation", "would"
        )
        self.duplicates = counter(
            "duplicates", "Arrivals of the same request once more.", "operation"
        )
        self.collisions = counter(
            "key_collisions", "Keys reused for another request.", "operation"
        )
        self.replays = counter("replays", "Answers given from the record.", "operation")
        self.suppressed = counter(
            "suppressed_effects",
            "Arrivals whose key kept work from running.",
            "operation",
        )
        self.unkeyed = counter(
            "unkeyed", "Arrivals without a key on a guarded operation.", "operation"
        )
        self.weak_keys = counter(
            "weak_keys", "Keys that look badly made.", "operation", "kind"
        )
        self.store_failures = counter(
            "store_failures", "Store calls that got no answer.", "store", "verb"
        )
        self.cache = counter(
            "cache", "Answers of a tiered store's cache.", "store", "answer"
        )
        self.renewals = counter("lease_renewals", "Leases prolonged by a heartbeat.")
        self.leases_lost = counter(
            "leases_lost", "Leases that ended under their owner.", "reason"
        )
        self.recorded_late = counter(
            "recorded_late", "Outcomes that were stored only after a failure to."
        )
        self.reconciled = counter(
            "reconciled", "Askings about keys of unknown outcome.", "answer"
        )
        self.purged = counter("purged", "Expired records removed.")
        self.in_flight = Gauge(
            "keyonce_in_flight",
            "Arrivals that have not ended.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.request_seconds = Histogram(
            "keyonce_request_seconds",
            "Time from arrival to end.",
            ["operation"],
            registry=registry,
            buckets=REQUEST_BUCKETS,
        )
        self.store_seconds = Histogram(
            "keyonce_store_seconds",
            "Time that the store took for a verb.",
            ["store", "verb"],
            registry=registry,
            buckets=STORE_BUCKETS,
        )
        self.retry_age = Histogram(
            "keyonce_retry_age_seconds",
            "Age of the record when a retry met it.",
            ["operation"],
            registry=registry,
            buckets=AGE_BUCKETS,
        )
