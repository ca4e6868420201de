"""`prometheus-targets`: Prometheus' own API says that every scrape target is UP."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

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
    names: frozenset[str] = frozenset()  # values of its labels, and its host:port


def prometheus_targets_check(
    endpoints: Endpoints, timeout_s: float = 45.0, ours: Collection[str] | None = None
) -> Check:
    """Ask until every target was scraped with success, at most `timeout_s` (a scrape interval is 5 s).

    A Prometheus that somebody else runs may scrape much that is no part of this run: with `ours`, names of services,
    only targets that carry one of them, or the address of an endpoint, are claimed. The others are counted.
    """
    url = endpoints.url(ServiceId.PROMETHEUS, "/api/v1/targets")
    mine = None if ours is None else {*ours, *endpoints, *endpoints.values()}
    try:
        targets = wait_for(lambda: _claimed(_active_targets(url), mine), _all_up, timeout_s, every_s=1.0)
    except (httpx.HTTPError, ValueError, KeyError) as error:
        return check("prometheus-targets", Verdict.FAIL, f"Prometheus does not answer {url}: {error!r}")
    down = [f"{target.job} is {target.health} ({target.error or target.url})" for target in targets if not _up(target)]
    missing = sorted(exporter.value for exporter in EXPORTERS if _not_scraped(exporter, endpoints, targets))
    lacking = down + [f"{job} is not a scrape target" for job in missing]
    observed = f"{len(targets)} targets UP" if not lacking else "; ".join(lacking)
    jobs = {target.job: target.health for target in targets}
    return passed_if("prometheus-targets", bool(targets) and not lacking, observed, targets=jobs)


def down_targets(endpoints: Endpoints, services: Collection[str]) -> list[str]:
    """The scrape targets of `services` that are down now, with Prometheus' own reason; httpx.HTTPError, ValueError."""
    found = _claimed(_active_targets(endpoints.url(ServiceId.PROMETHEUS, "/api/v1/targets")), services)
    return [f"{target.job} is down ({target.error or target.url})" for target in found if target.health == "down"]


def _active_targets(url: str) -> list[Target]:
    """All but those that are up only during their own phase (design section 6.2)."""
    with http_client() as client:
        answer = client.get(url, params={"state": "active"})
    answer.raise_for_status()
    return [
        Target(row["labels"]["job"], row["scrapeUrl"], row["health"], row["lastError"], _names(row))
        for row in answer.json()["data"]["activeTargets"]
        if row["labels"]["job"] not in TRANSIENT_JOBS
    ]


def _claimed(targets: list[Target], mine: Collection[str] | None) -> list[Target]:
    return targets if mine is None else [target for target in targets if target.names.intersection(mine)]


def _names(row: Mapping[str, Any]) -> frozenset[str]:
    return frozenset({*row["labels"].values(), urlsplit(row["scrapeUrl"]).netloc})


def _not_scraped(exporter: ServiceId, endpoints: Endpoints, targets: list[Target]) -> bool:
    """True for an exporter that the profile names and that no target is, by its name or its address."""
    return exporter in endpoints and not any({exporter, endpoints[exporter]} & target.names for target in targets)


def _up(target: Target) -> bool:
    return target.health == "up"


def _all_up(targets: list[Target]) -> bool:
    return bool(targets) and all(map(_up, targets))
