"""What a service that is ready answers, whoever runs it: path, and what its body contains."""

from __future__ import annotations

from collections.abc import Mapping

from core.ports import PORTAL, ServiceId

READ_BACK: Mapping[ServiceId, tuple[str, str]] = {
    ServiceId.ELASTICSEARCH: ("/_cluster/health?wait_for_status=yellow&timeout=1s", '"status":'),
    ServiceId.ZIPKIN: ("/health", '"status" : "UP"'),
    ServiceId.PROMETHEUS: ("/-/ready", "Ready"),
    ServiceId.GRAFANA: ("/api/health", '"ok"'),
    ServiceId.CADVISOR: ("/metrics", "container_cpu_usage_seconds_total"),
    ServiceId.MYSQL_EXPORTER: ("/metrics", "mysql_up"),
    ServiceId.REDIS_EXPORTER: ("/metrics", "redis_up 1"),
    ServiceId.KAFKA_EXPORTER: ("/metrics", "kafka_brokers 1"),
    **{service: ("/actuator/health", '"UP"') for service in PORTAL},
}
"""Every service that speaks HTTP; MySQL, PostgreSQL, Redis and Kafka are asked in their own protocols."""

POSTGRESQL_HELLO = bytes((0, 0, 0, 8, 4, 210, 22, 47))
"""PostgreSQL's SSLRequest, which needs no account; it is answered with one letter."""
POSTGRESQL_PLAIN, POSTGRESQL_TLS = b"N", b"S"
