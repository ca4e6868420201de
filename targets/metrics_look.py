"""A look at somebody's Prometheus: which label names a service, which services there are, whether there are buckets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx

from core.answers import fetch_json
from core.http import http_client
from core.ports import OWN_METRIC, ServiceId
from targets.guard import require_allowed

FAMILIES = ("http_server_requests_seconds", "http_request_duration_seconds", "http_server_request_duration_seconds")
"""Request histograms: Micrometer's, the client libraries', OpenTelemetry's; the first that is there."""
SERVICE_LABELS = ("application", "service", "app", "service_name", "job", "container")
"""Labels that may name a service, the most telling first."""
CONTAINER_LABELS = ("name", "container_label_com_docker_compose_service", "container", "pod")
MEMORY = ("process_resident_memory_bytes", "jvm_memory_used_bytes")


@dataclass(frozen=True)
class Seen:
    """What Prometheus shows; None where it shows nothing."""

    url: str
    family: str | None = None
    service_label: str | None = None
    services: tuple[str, ...] = ()
    has_buckets: bool = False
    container_label: str | None = None
    memory: str | None = None
    exporters: Mapping[ServiceId, str] = field(default_factory=dict)  # address as Prometheus reaches it


def look_at_prometheus(url: str) -> Seen:
    """A few questions; TargetRefused before any, TargetError when it does not answer as Prometheus does."""
    require_allowed(url, "--prometheus")
    with http_client() as client:
        ask = _Questions(client, url.rstrip("/"))
        family = next((each for each in FAMILIES if ask.labels(f"{each}_count")), None)
        rows = ask.labels(f"{family}_count") if family else []
        label, services = _service_label(rows)
        return Seen(
            url=url.rstrip("/"),
            family=family,
            service_label=label,
            services=services,
            has_buckets=bool(family and ask.labels(f"{family}_bucket")),
            container_label=_first_label(ask.labels("container_cpu_usage_seconds_total"), CONTAINER_LABELS),
            memory=next((each for each in MEMORY if ask.labels(each)), None),
            exporters={service: address for service, metric in OWN_METRIC.items() if (address := ask.address(metric))},
        )


class _Questions:
    def __init__(self, client: httpx.Client, url: str) -> None:
        self._client, self._url = client, url

    def labels(self, selector: str) -> list[Mapping[str, str]]:
        """The labels of each series."""
        cure = "Give the address of a Prometheus."
        body: Any = fetch_json(self._client, f"{self._url}/api/v1/query", cure, params={"query": selector})
        return [row["metric"] for row in body.get("data", {}).get("result", ())]

    def address(self, metric: str) -> str | None:
        """`host:port` of the scrape target that gives `metric`, where its `instance` says so."""
        found = next((row.get("instance", "") for row in self.labels(metric)), "")
        return found if urlsplit(f"//{found}").port else None


def _service_label(rows: list[Mapping[str, str]]) -> tuple[str | None, tuple[str, ...]]:
    """The label with the most values; of two with as many the more telling one."""
    values = {label: sorted({row[label] for row in rows if row.get(label)}) for label in SERVICE_LABELS}
    known = {label: found for label, found in values.items() if found}
    if not known:
        return None, ()
    most = Counter({label: len(found) for label, found in known.items()}).most_common(1)[0][1]
    label = next(label for label, found in known.items() if len(found) == most)
    return label, tuple(known[label])


def _first_label(rows: list[Mapping[str, str]], labels: tuple[str, ...]) -> str | None:
    return next((label for label in labels if any(row.get(label) for row in rows)), None)
