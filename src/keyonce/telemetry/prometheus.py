# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Count what happened, for Prometheus.

A key is never a label: every value of a label is a time series that is kept for
weeks, and keys never end. The key stands in the exemplar beside a counter, and
in the log line of the same event.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from prometheus_client import REGISTRY

from keyonce.core.errors import ConfigurationError
from keyonce.core.events import (
    Arrived,
    Ended,
    Event,
    LeaseGone,
    LeaseRenewed,
    Outcome,
    Purged,
    Recorded,
    Started,
    StoreCalled,
)
from keyonce.telemetry.exemplar import Mark, MarkedCounter, MarkedHistogram
from keyonce.telemetry.exposition import StoreCollector, render
from keyonce.telemetry.metrics import AGE_BUCKETS, REQUEST_BUCKETS, Metrics
from keyonce.telemetry.printable import KeyStyle, key_style
from keyonce.telemetry.reading import is_duplicate, is_suppressed, meant

if TYPE_CHECKING:
    from collections.abc import Callable

    from prometheus_client import CollectorRegistry, Counter, Histogram

    from keyonce.core.model import Identity, StoreStats


class PrometheusObserver:
    """Keep the metrics of everything that a guard tells.

    One observer serves any number of guards and threads. Counting an event
    takes microseconds and no I/O; *store_stats* is asked at each scrape, from
    the scraper's thread. *log_keys* says how exemplars write keys.

    Raises:
        ConfigurationError: *registry* has these metrics already.
    """

    def __init__(
        self,
        registry: CollectorRegistry | None = None,
        *,
        store_stats: Callable[[], StoreStats] | None = None,
        log_keys: KeyStyle = "key",
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """Register with *registry*, or with the client library's own."""
        self._registry = REGISTRY if registry is None else registry
        self._write = key_style(log_keys)
        self._clock = clock
        self._beside = [StoreCollector(store_stats)] if store_stats else []
        try:
            self._metrics = Metrics(self._registry)
            for collector in self._beside:
                self._registry.register(collector)
        except ValueError as exc:
            raise ConfigurationError(
                "This Prometheus registry already has keyonce's metrics: "
                "share one PrometheusObserver between guards."
            ) from exc
        self._recorded_late = MarkedCounter(self._metrics.recorded_late)
        self._operations: dict[str, _Operation] = {}
        self._reasons: dict[str, MarkedCounter] = {}
        self._stores: dict[tuple[str, str], Histogram] = {}

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """Give the metrics page and its content type, over all workers."""
        return render(self._registry, accept=accept, beside=self._beside)

    def notify(self, event: Event, /) -> None:
        """Count *event*."""
        match event:
            case StoreCalled():
                self._store_called(event)
            case Arrived():
                self._metrics.in_flight.inc()
            case Ended():
                self._ended(event)
            case LeaseRenewed():
                self._metrics.renewals.inc()
            case LeaseGone():
                self._lease_gone(event)
            case Recorded():
                self._recorded_late.inc(self._mark(event.identity))
            case Purged():
                self._metrics.purged.inc(event.count)
            case Started():
                return

    def _ended(self, event: Ended) -> None:
        self._metrics.in_flight.dec()
        operation = self._operations.get(event.rule)
        if operation is None:
            operation = _Operation(self._metrics, event.rule)
            self._operations[event.rule] = operation
        operation.ended(event, self._mark(event.identity))

    def _store_called(self, event: StoreCalled) -> None:
        bound = self._stores.get((event.store, event.verb))
        if bound is None:
            bound = self._metrics.store_seconds.labels(event.store, event.verb)
            self._stores[event.store, event.verb] = bound
        bound.observe(event.took)
        if event.failed:
            self._metrics.store_failures.labels(event.store, event.verb).inc()

    def _lease_gone(self, event: LeaseGone) -> None:
        bound = self._reasons.get(event.reason)
        if bound is None:
            bound = MarkedCounter(self._metrics.leases_lost.labels(event.reason))
            self._reasons[event.reason] = bound
        bound.inc(self._mark(event.identity))

    def _mark(self, identity: Identity | None) -> Mark | None:
        if identity is None:
            return None
        return Mark(identity, self._write, self._clock())


class _Operation:
    """The metrics of one operation, its labels bound once."""

    def __init__(self, metrics: Metrics, rule: str) -> None:
        """Bind what every operation has to *rule*, so that all begin at zero."""
        self._metrics = metrics
        self._rule = rule
        self._rare: dict[tuple[Counter, str], MarkedCounter] = {}
        self._outcomes: dict[Outcome, MarkedCounter] = {}
        self._duplicates = MarkedCounter(metrics.duplicates.labels(rule))
        self._collisions = MarkedCounter(metrics.collisions.labels(rule))
        self._replays = MarkedCounter(metrics.replays.labels(rule))
        self._suppressed = MarkedCounter(metrics.suppressed.labels(rule))
        self._unkeyed = metrics.unkeyed.labels(rule)
        self._seconds = MarkedHistogram(
            metrics.request_seconds.labels(rule), REQUEST_BUCKETS
        )
        self._retry_age = MarkedHistogram(metrics.retry_age.labels(rule), AGE_BUCKETS)

    def ended(self, event: Ended, mark: Mark | None) -> None:
        """Count one arrival, once under each heading that it belongs to."""
        outcome = self._outcomes.get(event.outcome) or self._bind(event.outcome)
        outcome.inc(mark)
        self._seconds.observe(event.took, mark)
        if is_duplicate(event):
            self._duplicates.inc(mark)
        if is_suppressed(event):
            self._suppressed.inc(mark)
        if event.outcome is Outcome.REPLAYED:
            self._replays.inc(mark)
        if event.key_age is not None:
            self._retry_age.observe(event.key_age, mark)
        self._by_meaning(event, mark)
        if event.would is not None:
            self._tell(self._metrics.observed, event.would.value, mark)
        if event.weak is not None:
            self._tell(self._metrics.weak_keys, event.weak, mark)

    def _by_meaning(self, event: Ended, mark: Mark | None) -> None:
        match meant(event):
            case Outcome.MISMATCH:
                self._collisions.inc(mark)
            case Outcome.UNKEYED | Outcome.MISSING_KEY:
                self._unkeyed.inc()
            case _:
                return

    def _bind(self, outcome: Outcome) -> MarkedCounter:
        bound = MarkedCounter(self._metrics.requests.labels(self._rule, outcome.value))
        self._outcomes[outcome] = bound
        return bound

    def _tell(self, counter: Counter, word: str, mark: Mark | None) -> None:
        bound = self._rare.get((counter, word))
        if bound is None:
            bound = MarkedCounter(counter.labels(self._rule, word))
            self._rare[counter, word] = bound
        bound.inc(mark)
