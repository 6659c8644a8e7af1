# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Count what happened, for Prometheus.

A key is never a label: every value of a label is a time series that is kept for
weeks, and keys never end. The key stands in the exemplar beside a counter, and
in the log line of the same event.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Final

from prometheus_client import REGISTRY

from keyonce.core.errors import ConfigurationError
from keyonce.core.events import (
    SUPPRESSED,
    Arrived,
    CacheAsked,
    Ended,
    Event,
    LeaseEnded,
    LeaseGone,
    LeaseRenewed,
    Outcome,
    Purged,
    Reconciled,
    Recorded,
    Started,
    StoreCalled,
)
from keyonce.telemetry.exemplar import MarkedCounter, MarkedHistogram, exemplars
from keyonce.telemetry.exposition import StoreCollector, render
from keyonce.telemetry.metrics import AGE_BUCKETS, REQUEST_BUCKETS, Metrics
from keyonce.telemetry.printable import KeyStyle, key_style
from keyonce.telemetry.reading import is_duplicate, meant

if TYPE_CHECKING:
    from collections.abc import Callable

    from prometheus_client import CollectorRegistry, Counter, Histogram

    from keyonce.core.model import StoreStats
    from keyonce.telemetry.exemplar import Exemplar


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
        self._exemplar = exemplars(key_style(log_keys))
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
        self._recorded_late = MarkedCounter(self._metrics.recorded_late, self._exemplar)
        self._operations: dict[str, _Operation] = {}
        self._reasons: dict[str, MarkedCounter] = {}
        self._answers: dict[str, MarkedCounter] = {}
        self._stores: dict[tuple[str, str], Histogram] = {}

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """Give the metrics page and its content type, over all workers."""
        return render(self._registry, accept=accept, beside=self._beside)

    def notify(self, event: Event, /) -> None:
        """Count *event*."""
        match event:
            case Ended():
                self._ended(event)
            case StoreCalled():
                self._store_called(event)
            case CacheAsked(store, answer):
                self._metrics.cache.labels(store, answer).inc()
            case Arrived():
                self._metrics.in_flight.inc()
            case LeaseRenewed():
                self._metrics.renewals.inc()
            case LeaseGone():
                self._lease_gone(event)
            case Recorded():
                self._recorded_late.inc(event.identity, self._clock())
            case Reconciled():
                self._reconciled(event)
            case Purged():
                self._metrics.purged.inc(event.count)
            case Started() | LeaseEnded():
                return

    def _ended(self, event: Ended) -> None:
        self._metrics.in_flight.dec()
        operation = self._operations.get(event.rule)
        if operation is None:
            operation = _Operation(self._metrics, event.rule, self._exemplar)
            self._operations[event.rule] = operation
        operation.ended(event, self._clock())

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
            counter = self._metrics.leases_lost.labels(event.reason)
            bound = MarkedCounter(counter, self._exemplar)
            self._reasons[event.reason] = bound
        bound.inc(event.identity, self._clock())

    def _reconciled(self, event: Reconciled) -> None:
        bound = self._answers.get(event.answer)
        if bound is None:
            counter = self._metrics.reconciled.labels(event.answer)
            bound = MarkedCounter(counter, self._exemplar)
            self._answers[event.answer] = bound
        bound.inc(event.identity, self._clock())


class _Operation:
    """The metrics of one operation, its labels bound once."""

    def __init__(self, metrics: Metrics, rule: str, exemplar: Exemplar) -> None:
        """Bind what every operation has to *rule*, so that all begin at zero."""

        def counter(unbound: Counter) -> MarkedCounter:
            return MarkedCounter(unbound.labels(rule), exemplar)

        self._metrics = metrics
        self._rule = rule
        self._exemplar = exemplar
        self._told: dict[tuple[Counter, str], MarkedCounter] = {}
        self._outcomes: dict[Outcome, MarkedCounter] = {}
        self._duplicates = counter(metrics.duplicates)
        self._collisions = counter(metrics.collisions)
        self._replays = counter(metrics.replays)
        self._suppressed = counter(metrics.suppressed)
        self._unkeyed = counter(metrics.unkeyed)
        self._seconds = MarkedHistogram(
            metrics.request_seconds.labels(rule), REQUEST_BUCKETS, exemplar
        )
        self._retry_age = MarkedHistogram(
            metrics.retry_age.labels(rule), AGE_BUCKETS, exemplar
        )

    def ended(self, event: Ended, now: float) -> None:
        """Count one arrival, once under each heading that it belongs to."""
        identity, outcome = event.identity, event.outcome
        bound = self._outcomes.get(outcome) or self._bind(outcome)
        bound.inc(identity, now)
        self._seconds.observe(event.took, identity, now)
        if _is_usual(event):
            return
        if is_duplicate(event):
            self._duplicates.inc(identity, now)
        if outcome in SUPPRESSED:
            self._suppressed.inc(identity, now)
        if outcome is Outcome.REPLAYED:
            self._replays.inc(identity, now)
        if event.key_age is not None:
            self._retry_age.observe(event.key_age, identity, now)
        self._by_meaning(event, now)

    def _by_meaning(self, event: Ended, now: float) -> None:
        intended = meant(event)
        if intended is Outcome.MISMATCH:
            self._collisions.inc(event.identity, now)
        elif intended in _UNKEYED:
            self._unkeyed.inc(None, now)
        if event.would is not None:
            self._tell(self._metrics.observed, event.would.value, event, now)
        if event.weak is not None:
            self._tell(self._metrics.weak_keys, event.weak, event, now)

    def _bind(self, outcome: Outcome) -> MarkedCounter:
        counter = self._metrics.requests.labels(self._rule, outcome.value)
        bound = self._outcomes[outcome] = MarkedCounter(counter, self._exemplar)
        return bound

    def _tell(self, counter: Counter, word: str, event: Ended, now: float) -> None:
        place = counter, word
        bound = self._told.get(place)
        if bound is None:
            bound = MarkedCounter(counter.labels(self._rule, word), self._exemplar)
            self._told[place] = bound
        bound.inc(event.identity, now)


_UNKEYED: Final = frozenset({Outcome.UNKEYED, Outcome.MISSING_KEY})


def _is_usual(event: Ended) -> bool:
    """Whether this is a first run with nothing else to say, as most are."""
    return (
        event.outcome is Outcome.EXECUTED
        and event.execution <= 1
        and event.key_age is None
        and event.would is None
        and event.weak is None
    )
