"""`prometheus-targets`: Prometheus' own API says that every scrape target is UP."""

from __future__ import annotations

from dataclasses import dataclass

import httpx

from core.checks import Check, check, passed_if
from core.http import http_client
from core.ports import EXPORTERS, Endpoints, ServiceId
from core.waiting import wait_for
from core.words import Verdict
from infra.prometheus.scrape import TRANSIENT_JOBS


@dataclass(frozen=True)
class Target:
    """One active scrape target as Prometheus sees it."""

    job: str
    url: str
    health: str
    error: str


def prometheus_targets_check(endpoints: Endpoints, timeout_s: float = 45.0) -> Check:
    """Ask until every target was scraped with success, at most `timeout_s` (a scrape interval is 5 s)."""
    url = endpoints.url(ServiceId.PROMETHEUS, "/api/v1/targets")
    try:
        targets = wait_for(lambda: _active_targets(url), _all_up, timeout_s, every_s=1.0)
    except (httpx.HTTPError, ValueError, KeyError) as error:
        return check("prometheus-targets", Verdict.FAIL, f"Prometheus does not answer {url}: {error!r}")
    down = [f"{target.job} is {target.health} ({target.error or target.url})" for target in targets if not _up(target)]
    missing = sorted({exporter.value for exporter in EXPORTERS} - {target.job for target in targets})
    lacking = down + [f"{job} is not a scrape target" for job in missing]
    observed = f"{len(targets)} targets UP" if not lacking else "; ".join(lacking)
    jobs = {target.job: target.health for target in targets}
    return passed_if("prometheus-targets", bool(targets) and not lacking, observed, targets=jobs)


def _active_targets(url: str) -> list[Target]:
    """All but those that are up only during their own phase (design section 6.2)."""
    with http_client() as client:
        answer = client.get(url, params={"state": "active"})
    answer.raise_for_status()
    return [
        Target(row["labels"]["job"], row["scrapeUrl"], row["health"], row["lastError"])
        for row in answer.json()["data"]["activeTargets"]
        if row["labels"]["job"] not in TRANSIENT_JOBS
    ]


def _up(target: Target) -> bool:
    return target.health == "up"


def _all_up(targets: list[Target]) -> bool:
    return bool(targets) and all(map(_up, targets))
