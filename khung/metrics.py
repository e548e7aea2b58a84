"""Prometheus metrics, named once. Labels are bounded: never a path, a query or an id."""

from prometheus_client import Counter, Gauge, Histogram

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)

HTTP_SECONDS = Histogram(
    "http_server_request_duration_seconds", "One request", ["route", "method", "status"], buckets=SECONDS
)
CHANNEL_SECONDS = Histogram(
    "khung_channel_duration_seconds", "One channel of one search", ["channel", "outcome"], buckets=SECONDS
)
DEGRADED = Counter("khung_degraded_total", "Searches answered without a channel", ["channel", "reason"])
CACHE = Counter("khung_cache_requests_total", "Query cache look-ups", ["layer", "result"])
SNAPSHOT = Gauge("khung_snapshot_info", "1 for the snapshot in service", ["snapshot"])
INDEXED = Gauge("khung_snapshot_frames", "Frames in the snapshot in service")
