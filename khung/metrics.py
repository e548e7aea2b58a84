"""Prometheus metrics, named once. Labels are bounded: never a path, a query or an id.

With several worker processes (`PROMETHEUS_MULTIPROC_DIR` is set) each writes its own files and any of them answers for all.
"""

import os
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from prometheus_client import Metric

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)

HTTP_SECONDS = Histogram(
    "http_server_request_duration_seconds", "One request", ["route", "method", "status"], buckets=SECONDS
)
CHANNEL_SECONDS = Histogram(
    "khung_channel_duration_seconds", "One channel of one search", ["channel", "outcome"], buckets=SECONDS
)
DEGRADED = Counter("khung_degraded_total", "Searches answered without a channel", ["channel", "reason"])
CACHE = Counter("khung_cache_requests_total", "Query cache look-ups", ["layer", "result"])
SHED = Counter("khung_shed_total", "Requests turned away", ["reason"])
INFLIGHT = Gauge("khung_inflight", "Searches that run or wait", multiprocess_mode="livesum")
RESULTS = Histogram("khung_results_count", "Hits of an answer", buckets=(0, 1, 5, 10, 20, 50, 100, 200))
INDEXED = Gauge("khung_snapshot_frames", "Frames in the snapshot in service", multiprocess_mode="max")
REFUSED = Counter("khung_snapshot_rejected_total", "Snapshots that were not put into service")
OPENED_SECONDS = Gauge("khung_snapshot_load_seconds", "Opening of the snapshot in service", multiprocess_mode="max")


@lru_cache(maxsize=4096)
def http_seconds(route: str, method: str, status: int) -> Histogram:
    """The series of HTTP_SECONDS, found once: routes, methods and statuses are few."""
    return HTTP_SECONDS.labels(route, method, str(status))


@cache
def channel_seconds(channel: str, outcome: str) -> Histogram:
    """The series of CHANNEL_SECONDS, found once."""
    return CHANNEL_SECONDS.labels(channel, outcome)


class _InService(Collector):
    """The one snapshot in service, by its id: an older one leaves no series behind."""

    snapshot_id = ""

    def collect(self) -> "Iterator[Metric]":
        family = GaugeMetricFamily("khung_snapshot_info", "1 for the snapshot in service", labels=["snapshot"])
        if self.snapshot_id:
            family.add_metric([self.snapshot_id], 1)
        yield family


SNAPSHOT = _InService()
REGISTRY.register(SNAPSHOT)


def exposition() -> bytes:
    """Every metric in Prometheus' text format, over all worker processes."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest()
    from prometheus_client.multiprocess import MultiProcessCollector

    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    registry.register(SNAPSHOT)
    return generate_latest(registry)


def leave() -> None:
    """This worker process ends: its live gauges count no more."""
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        from prometheus_client.multiprocess import mark_process_dead

        mark_process_dead(os.getpid())
