"""Which instance of a service answers, as far as it tells who it is: the same words at both ends of a run, or it was
replaced or restarted in between (check `stack-alive`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import httpx

from core.answers import fetch, fetch_json
from core.http import http_client
from core.ports import Endpoints, ServiceId
from core.rundir import iso
from infra.external.kafka import look_at_cluster
from infra.external.proofs import ANSWER_S, prove, redis_info
from infra.prometheus.scrape import metrics_path
from infra.stack import Identity

_STARTED = re.compile(r"^process_start_time_seconds(?:{[^}]*})? (\S+)", re.MULTILINE)
METRICS = {ServiceId.ZIPKIN: "/prometheus"}
"""Where it is neither /metrics nor Actuator's own."""


def identify(service: ServiceId, endpoints: Endpoints) -> Identity:
    """Who answers now; SuiteError when nobody does."""
    with http_client(ANSWER_S) as client:
        instance, started = _WHO.get(service, _process)(client, service, endpoints)
    return Identity(service, instance, started, alive=True)


Look = Callable[[httpx.Client, ServiceId, Endpoints], tuple[str, str]]


def _process(client: httpx.Client, service: ServiceId, endpoints: Endpoints) -> tuple[str, str]:
    """Its address, and the start that its own metrics tell; "" where they do not, or where it has none."""
    path = METRICS.get(service, metrics_path(service))
    answer = fetch(client, "GET", endpoints.url(service, path))
    found = _STARTED.search(answer.text) if answer.is_success else None
    return endpoints[service], _time(float(found[1])) if found else ""


def _elasticsearch(client: httpx.Client, service: ServiceId, endpoints: Endpoints) -> tuple[str, str]:
    """Cluster and nodes by their ids, and when the youngest node started."""
    cluster = fetch_json(client, endpoints.url(service, "/")).get("cluster_uuid", "")
    nodes: Mapping[str, Any] = fetch_json(client, endpoints.url(service, "/_nodes/jvm")).get("nodes", {})
    starts = [node.get("jvm", {}).get("start_time_in_millis", 0) for node in nodes.values()]
    return f"{cluster} {' '.join(sorted(nodes))}", _time(max(starts) / 1000) if starts else ""


def _kafka(_client: httpx.Client, service: ServiceId, endpoints: Endpoints) -> tuple[str, str]:
    cluster = look_at_cluster(endpoints[service])
    return f"{cluster.id} {' '.join(f'{node}@{address}' for node, address in cluster.brokers)}", ""


def _redis(_client: httpx.Client, service: ServiceId, endpoints: Endpoints) -> tuple[str, str]:
    """Redis makes a new run_id with every start."""
    return str(redis_info(endpoints[service])["run_id"]), ""


def _mysql(_client: httpx.Client, service: ServiceId, endpoints: Endpoints) -> tuple[str, str]:
    """Without an account its version is all that it tells."""
    return f"{endpoints[service]} {prove(service, endpoints).version}", ""


_WHO: Mapping[ServiceId, Look] = {
    ServiceId.ELASTICSEARCH: _elasticsearch,
    ServiceId.KAFKA: _kafka,
    ServiceId.REDIS: _redis,
    ServiceId.MYSQL: _mysql,
    ServiceId.POSTGRESQL: lambda _client, service, endpoints: (endpoints[service], ""),
}


def _time(unix_s: float) -> str:
    return iso(datetime.fromtimestamp(unix_s, UTC))
