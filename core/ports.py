"""Service ids and the design's host ports: each port stands here once (architecture.md, "Backends")."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class ServiceId(StrEnum):
    """Every system that a backend may run."""

    MYSQL = "mysql"
    POSTGRESQL = "postgresql"
    REDIS = "redis"
    KAFKA = "kafka"
    ELASTICSEARCH = "elasticsearch"
    ZIPKIN = "zipkin"
    PROMETHEUS = "prometheus"
    GRAFANA = "grafana"
    CADVISOR = "cadvisor"
    MYSQL_EXPORTER = "mysql-exporter"
    REDIS_EXPORTER = "redis-exporter"
    KAFKA_EXPORTER = "kafka-exporter"
    GATEWAY = "api-gateway"
    AUTH = "auth-service"
    BLOG = "blog-service"
    SHOPPING = "shopping-service"
    NOTIFICATION = "notification-service"
    KAFKA_BOT = "kafka-bot"


EXPORTERS = (
    ServiceId.CADVISOR,
    ServiceId.MYSQL_EXPORTER,
    ServiceId.REDIS_EXPORTER,
    ServiceId.KAFKA_EXPORTER,
)
OWN_METRIC: Mapping[ServiceId, str] = {
    ServiceId.CADVISOR: "container_cpu_usage_seconds_total",
    ServiceId.MYSQL_EXPORTER: "mysql_up",
    ServiceId.REDIS_EXPORTER: "redis_up",
    ServiceId.KAFKA_EXPORTER: "kafka_brokers",
}
"""What only this exporter gives."""
STORES = (ServiceId.MYSQL, ServiceId.REDIS, ServiceId.KAFKA, ServiceId.ELASTICSEARCH)
PORTAL = (
    ServiceId.AUTH,
    ServiceId.BLOG,
    ServiceId.SHOPPING,
    ServiceId.NOTIFICATION,
    ServiceId.GATEWAY,
)

WHOLE_STACK = (*STORES, *PORTAL, ServiceId.PROMETHEUS, *EXPORTERS, ServiceId.ZIPKIN)
"""Everything that a load needs; the bot is started by its phase, Grafana is not there everywhere."""

LOOPBACK = "127.0.0.1"
DEFAULT_PORTS: Mapping[ServiceId, int] = {
    ServiceId.MYSQL: 3306,
    ServiceId.POSTGRESQL: 5432,
    ServiceId.REDIS: 6379,
    ServiceId.KAFKA: 9092,
    ServiceId.ELASTICSEARCH: 9200,
    ServiceId.ZIPKIN: 9411,
    ServiceId.PROMETHEUS: 9090,
    ServiceId.GRAFANA: 3000,
    ServiceId.CADVISOR: 8888,
    ServiceId.MYSQL_EXPORTER: 9104,
    ServiceId.REDIS_EXPORTER: 9121,
    ServiceId.KAFKA_EXPORTER: 9308,
    ServiceId.GATEWAY: 8080,
    ServiceId.AUTH: 8081,
    ServiceId.BLOG: 8082,
    ServiceId.SHOPPING: 8083,
    ServiceId.NOTIFICATION: 8084,
    ServiceId.KAFKA_BOT: 8000,
}


def metric_prefix(exporter: ServiceId) -> str:
    """How the names of all that the exporter is there for begin: `mysql_`."""
    return f"{OWN_METRIC[exporter].partition('_')[0]}_"


class Endpoints(dict[ServiceId, str]):
    """Service -> `host:port`, as the backend hands it to the other rooms; `secure` are those that speak TLS."""

    secure: frozenset[ServiceId] = frozenset()

    def url(self, service: ServiceId, path: str = "") -> str:
        """`http://host:port/path`, or https."""
        return f"{'https' if service in self.secure else 'http'}://{self[service]}{path}"

    def port(self, service: ServiceId) -> int:
        return int(self[service].rpartition(":")[2])


def loopback_endpoints(ports: Mapping[ServiceId, int] = DEFAULT_PORTS) -> Endpoints:
    """Every service on 127.0.0.1 at the given ports."""
    return Endpoints({service: f"{LOOPBACK}:{port}" for service, port in ports.items()})
