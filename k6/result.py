"""From k6's summary (written by lib/summary.js) to the result."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from core.errors import LoadError
from k6.command import Files
from k6.exit_codes import ENDED_BY_ITSELF, GAVE_UP, meaning
from k6.log_file import complaints
from k6.model import GeneratorFigures, ScenarioRequest, ScenarioResult, Threshold
from k6.plan import max_vus, offered_iterations, scenario_name

_LOAD = "part:load"
_LATENCY = f"http_req_duration{{expected_response:true,{_LOAD}}}"
_FROM_INTENDED = "latency_from_intended"  # lib/schedule.js, in open models only
_ANSWERS = "answers_"  # lib/checks.js counts every status other than 200 so
_K6_COUNTERS = frozenset({"http_reqs", "iterations", "dropped_iterations", "data_sent", "data_received"})

Values = Mapping[str, float]


@dataclass(frozen=True)
class Ending:
    """How the process ended. `cut_short` says who ended it, "" when it ended by itself."""

    exit_code: int
    started: datetime
    ended: datetime
    cut_short: str = ""
    run_delay_ratio: float | None = None
    steal_ratio: float | None = None
    receipts: tuple[str, ...] = ()


class Summary:
    """k6's end-of-test metrics by name; empty when k6 did not come so far."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document
        self._metrics: Mapping[str, Mapping[str, Any]] = document.get("metrics", {})

    @classmethod
    def read(cls, files: Files) -> Summary:
        try:
            return cls(json.loads(files.summary.read_bytes()))
        except FileNotFoundError:
            return cls({})

    def values(self, metric: str) -> Values:
        found: Values = self._metrics.get(metric, {}).get("values", {})
        return found

    def count(self, metric: str) -> int:
        return int(self.values(metric).get("count", 0))

    def of_load(self, metric: str) -> int:
        """What the load counted, that around the seams of its segments included; setup()'s own is left out."""
        return self.count(f"{metric}{{{_LOAD}}}") + self.count(f"{metric}{{part:seam}}")

    def percentiles(self, metric: str) -> Values:
        """The values of a trend; empty when it has no samples, where k6 says 0."""
        values = self.values(metric)
        return values if values.get("count") else {}

    def outcomes(self) -> dict[str, int]:
        """Requests by status; those of statuses that the script does not name are "other"."""
        found = {
            name.removeprefix(_ANSWERS): n for name, n in self._own_counters().items() if name.startswith(_ANSWERS)
        }
        found["200"] = self.of_load("http_reqs") - sum(found.values())
        return {status: number for status, number in sorted(found.items()) if number > 0}

    def counters(self) -> dict[str, int]:
        """What the script counts of its business, such as orders_created."""
        return {name: number for name, number in self._own_counters().items() if not name.startswith(_ANSWERS)}

    def _own_counters(self) -> dict[str, int]:
        return {
            name: self.count(name)
            for name, metric in sorted(self._metrics.items())
            if metric["type"] == "counter" and "{" not in name and name not in _K6_COUNTERS
        }

    def thresholds(self) -> tuple[Threshold, ...]:
        rows = [Threshold.model_validate(row) for row in self.document.get("thresholds", [])]
        return tuple(sorted(rows, key=lambda row: (row.metric, row.expression)))

    def moment(self, key: str) -> datetime | None:
        milliseconds = self.document.get(key)
        return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC)


def scenario_result(request: ScenarioRequest, files: Files, ending: Ending) -> ScenarioResult:
    """The result of a k6 that has ended, whatever it left behind."""
    summary = Summary.read(files)
    started, ended = _window(summary, ending)
    requests = summary.of_load("http_reqs")
    latency, from_intended = summary.percentiles(_LATENCY), summary.percentiles(_FROM_INTENDED)
    said = complaints(files.log)
    by_itself = ending.exit_code in ENDED_BY_ITSELF and not ending.cut_short
    never_began = ending.exit_code in GAVE_UP and requests == 0
    return ScenarioResult(
        scenario=request.scenario,
        exit_code=ending.exit_code,
        ended_by_itself=by_itself,
        never_began=never_began,
        started=started,
        ended=ended,
        requests=requests,
        rate_per_s=requests / max((ended - started).total_seconds(), 1e-3),
        p50_ms=latency.get("med"),
        p95_ms=latency.get("p(95)"),
        p99_ms=latency.get("p(99)"),
        p95_from_intended_ms=from_intended.get("p(95)"),
        p99_from_intended_ms=from_intended.get("p(99)"),
        error_rate=summary.values(f"http_req_failed{{{_LOAD}}}")["rate"] if requests else None,
        iterations=summary.of_load("iterations"),
        dropped_iterations=summary.count("dropped_iterations"),
        wrong_answers=summary.count("wrong_answers"),
        outcomes=summary.outcomes(),
        counters=summary.counters(),
        receipts=ending.receipts,
        thresholds=summary.thresholds(),
        generator=_generator(request, summary, ending),
        log=files.log,
        web_dashboard=files.web_dashboard if files.web_dashboard.exists() else None,
        complaints=said,
        error=None if by_itself else _error(request, _what(ending, said, never_began), files),
    )


def _window(summary: Summary, ending: Ending) -> tuple[datetime, datetime]:
    """The load as the script saw it; the process' own times where the script did not come so far."""
    started = summary.moment("load_started_ms") or ending.started
    ended = summary.moment("ended_ms") or ending.ended
    return min(started, ended), ended


def _generator(request: ScenarioRequest, summary: Summary, ending: Ending) -> GeneratorFigures:
    durations = summary.values(f"iteration_duration{{{_LOAD}}}")
    return GeneratorFigures(
        offered_iterations=offered_iterations(request.scenario, request.load),
        max_vus=max_vus(request.scenario, request.load),
        allocated_vus=int(summary.values("vus_max").get("max", 0)),
        mean_iteration_s=durations["avg"] / 1000 if durations.get("count") else None,
        run_delay_ratio=ending.run_delay_ratio,
        steal_ratio=ending.steal_ratio,
    )


def _what(ending: Ending, said: tuple[str, ...], never_began: bool) -> str:
    """A script that gave up has said why and what to do; else the exit code is all there is to tell."""
    if never_began and said:
        return f"the load did not begin: {said[-1].rstrip('.')}"
    why = ending.cut_short or meaning(ending.exit_code)
    return f"k6 did not end by itself, {why}" + (f": {said[-1]}" if said else "")


def _error(request: ScenarioRequest, what: str, files: Files) -> dict[str, str]:
    where = f"scenario {scenario_name(request.scenario)}"
    return LoadError(what, where=where, cure=f"See {files.log}.").as_row()
