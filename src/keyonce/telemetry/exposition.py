# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What the store holds, as gauges, and a registry as the page that is scraped."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from keyonce.core.errors import IdempotencyError
from keyonce.core.states import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from prometheus_client import Metric

    from keyonce.core.model import StoreStats

MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"


class StoreCollector(Collector):
    """Ask the store at each scrape what it holds.

    A store that does not answer gives ``keyonce_store_up 0`` and no counts: no
    number is better than an old one.
    """

    def __init__(self, stats: Callable[[], StoreStats]) -> None:
        """Ask *stats*, from the thread that renders the page."""
        self._stats = stats

    def describe(self) -> Iterable[Metric]:
        """Name the gauges without asking the store."""
        return _gauges(None)

    def collect(self) -> Iterable[Metric]:
        """Give the gauges as they are now."""
        try:
            return _gauges(self._stats())
        except IdempotencyError:
            return _gauges(None)


def _gauges(stats: StoreStats | None) -> list[Metric]:
    up = GaugeMetricFamily("keyonce_store_up", "Whether the store answered.")
    up.add_metric([], float(stats is not None))
    unknown = GaugeMetricFamily(
        "keyonce_unknown", "Keys whose outcome nobody knows until one resolves them."
    )
    records = GaugeMetricFamily(
        "keyonce_records", "Records by status.", labels=["status"]
    )
    oldest = GaugeMetricFamily(
        "keyonce_oldest_seconds",
        "Age of the oldest claim by status.",
        labels=["status"],
    )
    size = GaugeMetricFamily("keyonce_stored_bytes", "Bytes that the records occupy.")
    if stats is not None:
        unknown.add_metric([], stats.counts.get(Status.UNKNOWN, 0))
        for status in Status:
            records.add_metric([status.word], stats.counts.get(status, 0))
        for status, at in stats.oldest.items():
            oldest.add_metric([status.word], max(0.0, stats.now - at))
        if stats.stored_bytes is not None:
            size.add_metric([], stats.stored_bytes)
    return [up, unknown, records, oldest, size]


def _of_all_workers() -> Collector:
    make: Callable[[None], Collector] = MultiProcessCollector
    return make(None)


def render(
    registry: CollectorRegistry,
    *,
    accept: str = "",
    beside: Sequence[Collector] = (),
) -> tuple[bytes, str]:
    """Give the page for a scraper that sent *accept*, and its content type.

    OpenMetrics, the form that carries exemplars, is given to those who ask for
    it. Where several workers write their numbers to files (the directory
    ``PROMETHEUS_MULTIPROC_DIR``), the page is the sum of all of them, and
    *beside* are the collectors that only one of them asks; *registry* is then
    not used. Exemplars do not cross those files.
    """
    if MULTIPROCESS in os.environ:
        registry = CollectorRegistry()
        registry.register(_of_all_workers())
        for collector in beside:
            registry.register(collector)
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type
