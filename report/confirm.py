"""Does the target's own side show what k6 complains about? Asked only where the generator was not valid.

Latency thresholds are compared with the services' own histograms, the failure threshold with their 5xx counters, each
in the scenario's window: what a service measured inside itself is not the generator's doing.
"""

from __future__ import annotations

import re
from datetime import datetime

import numpy as np

from core.words import Verdict
from report.gates import threshold_verdict
from report.model import ScenarioRow, ThresholdRow
from report.store import Collected

_LATENCY = re.compile(r"p\((95|99)\)\s*<=?\s*([\d.]+)")
_FAILURES = re.compile(r"rate\s*<=?\s*([\d.]+)")


def breach_seen_by_target(scenario: ScenarioRow, collected: Collected | None) -> str:
    """One sentence with the figure that confirms a breached threshold; empty where nothing confirms one."""
    if collected is None or scenario.started is None or scenario.ended is None:
        return ""
    breached = [row for row in scenario.thresholds if threshold_verdict(row) is Verdict.FAIL]
    return next((seen for row in breached if (seen := _seen(row, collected, scenario.started, scenario.ended))), "")


def _seen(row: ThresholdRow, collected: Collected, started: datetime, ended: datetime) -> str:
    if row.metric.startswith("http_req_duration") and (latency := _LATENCY.match(row.expression)):
        return _latency_seen(latency[1], float(latency[2]), collected, started, ended)
    if row.metric.startswith("http_req_failed") and (failures := _FAILURES.match(row.expression)):
        return _errors_seen(float(failures[1]), collected, started, ended)
    return ""


def _latency_seen(percent: str, limit_ms: float, collected: Collected, started: datetime, ended: datetime) -> str:
    """The median over the window, so that one slow moment does not confirm a percentile of the whole."""
    for line in collected.lines(f"service_latency_p{percent}"):
        inside = line.finite_within(started, ended)
        if len(inside) and (typical_ms := float(np.median(inside)) * 1000) >= limit_ms:
            return f"{line.name} itself measured p{percent} {typical_ms:.0f} ms, limit {limit_ms:.0f} ms"
    return ""


def _errors_seen(limit: float, collected: Collected, started: datetime, ended: datetime) -> str:
    for service, ratio in _error_ratios(collected, started, ended).items():
        if ratio >= limit:
            return f"{service} itself answered {ratio:.2%} with 5xx, limit {limit:.2%}"
    return ""


def _error_ratios(collected: Collected, started: datetime, ended: datetime) -> dict[str, float]:
    """Service -> its 5xx answers as a share of all its answers between two moments; only services with requests."""
    errors = {line.name: line.finite_within(started, ended).sum() for line in collected.lines("service_errors")}
    requests = {line.name: line.finite_within(started, ended).sum() for line in collected.lines("service_requests")}
    return {name: float(errors[name] / total) for name, total in requests.items() if total > 0 and name in errors}
