# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Metrics of one process, or summed over worker processes by way of files."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from keyonce.core.events import Observer
    from keyonce.core.model import StoreStats

FOLDER = "PROMETHEUS_MULTIPROC_DIR"


def available() -> bool:
    """Whether the extra for Prometheus is installed."""
    return find_spec("prometheus_client") is not None


def of_this_process(
    store_stats: Callable[[], StoreStats],
) -> tuple[Observer, Callable[[str], tuple[bytes, str]]]:
    """Give an observer that counts, and the page of what it counted."""
    from prometheus_client import CollectorRegistry  # noqa: PLC0415 - an extra

    from keyonce.telemetry.prometheus import PrometheusObserver  # noqa: PLC0415

    observer = PrometheusObserver(CollectorRegistry(), store_stats=store_stats)
    return observer, observer.render


def of_a_worker() -> Observer:
    """Give an observer that counts into this worker's files.

    The folder must be in the environment before this process first counts.
    """
    from prometheus_client import CollectorRegistry  # noqa: PLC0415 - an extra

    from keyonce.telemetry.prometheus import PrometheusObserver  # noqa: PLC0415

    return PrometheusObserver(CollectorRegistry())


@contextmanager
def shared_folder() -> Iterator[None]:
    """Let all worker processes that are started inside count into one folder."""
    folder = tempfile.mkdtemp(prefix="keyonce-metrics-")
    os.environ[FOLDER] = folder
    try:
        yield
    finally:
        del os.environ[FOLDER]
        shutil.rmtree(folder, ignore_errors=True)


def of_all_workers(
    store_stats: Callable[[], StoreStats],
) -> Callable[[str], tuple[bytes, str]]:
    """Give the page over all workers, and what the store holds."""
    from prometheus_client import CollectorRegistry  # noqa: PLC0415 - an extra

    from keyonce.telemetry.exposition import StoreCollector, render  # noqa: PLC0415

    beside = [StoreCollector(store_stats)]

    def page(accept: str) -> tuple[bytes, str]:
        return render(CollectorRegistry(), accept=accept, beside=beside)

    return page


def forget(pid: int) -> None:
    """Take the gauges of a worker that has ended out of the sum."""
    from prometheus_client import multiprocess  # noqa: PLC0415 - an extra

    mark: Callable[[int], None] = multiprocess.mark_process_dead
    mark(pid)
