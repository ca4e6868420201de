"""Where a panel's colours change: the objectives of the scripts and of the report, and the platform's own alerts.

Nothing here is invented: a test compares the objectives with `k6/scenarios/` and `targets/gates/portal.yaml`.
"""

from __future__ import annotations

from dashboards.panels import fail_from, warn_and_fail

FAILED_RATIO = warn_and_fail(0.001, 0.01)
"""http_req_failed (design 4.3): 0.1 % for scenarios A and B, 1 % for D."""
LATENCY_P95_S = warn_and_fail(0.05, 0.5)
"""p95 by request (design 4.3): the strictest is post_detail's 50 ms, the loosest the herd's 500 ms."""
LATENCY_P99_S = fail_from(0.5)
"""p99 (design 4.3): 500 ms for scenarios A and C."""
SERVER_ERROR_RATIO = fail_from(0.001)
"""The report's gate `server-error-ratio`."""
LAG_RECORDS = warn_and_fail(1_000, 10_000)
"""The platform's alert KafkaConsumerLag (platform.md 6), and the report's gate `kafka-lag-max`."""
SERVICE_LATENCY_S = warn_and_fail(0.5, 1.0)
"""The platform's alerts HighLatency (p95) and VeryHighLatency (p99), platform.md 6."""
MEMORY_RATIO = warn_and_fail(0.85, 0.95)
"""The platform's alerts HighMemoryUsage and CriticalMemoryUsage, platform.md 6."""
POOL_TIMEOUTS = warn_and_fail(1, 5)
"""Waits for a connection given up within 5 min, the platform's own limits (platform.md 7, panel 14)."""
