"""k6's native histograms of answer times: the series, and for each k6 threshold the buckets of what it judges.

A threshold selects by tags, which are labels of the series: `http_req_duration{expected_response:true,name:login}`. The
histograms are cumulative, so the last sample of each series holds all that k6 saw, whenever it wrote it last.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from core.checks import SCENARIOS
from report.catalogue import SeriesSpec
from report.model import ScenarioRow
from report.native import Bucket
from report.prometheus import HistogramLine
from report.store import Collected

SERIES = "k6_latency_histogram"
GROUP = "k6_histograms"
GENERATOR = "generator"
"""Label of every k6 series: which of several k6 processes sent it."""
_METRIC = re.compile(r"http_req_duration(?:{(.*)})?$")
Judged = tuple[str, str]  # a scenario's letter, and a threshold's metric


def histogram_series(run_id: str) -> tuple[SeriesSpec, ...]:
    """To be collected beside the catalogue; not added up, because k6 stops writing a series that no longer grows."""
    return (
        SeriesSpec(
            SERIES,
            GROUP,
            "Latency histograms",
            "s",
            "How many answers took how long, seen by k6, since it started: native histograms, by request and status.",
            f"k6_http_req_duration_seconds{{run_id={json.dumps(run_id)}}}",
            "latency",
            of_histograms=True,
        ),
    )


def threshold_histograms(
    collected: Collected | None, scenarios: Sequence[ScenarioRow]
) -> dict[Judged, list[list[Bucket]]]:
    """For each threshold of a latency the buckets that each generator filled; without those that nobody filled."""
    lines = collected.histograms(SERIES) if collected else []
    found = {}
    for scenario in scenarios:
        own = [line for line in lines if line.labels.get("scenario") == SCENARIOS[scenario.id]]
        for row in scenario.thresholds:
            generators = _by_generator(own, row.metric)
            if generators:
                found[scenario.id, row.metric] = generators
    return found


def _by_generator(lines: Sequence[HistogramLine], metric: str) -> list[list[Bucket]]:
    selected = _METRIC.match(metric)
    if selected is None:
        return []
    tags = dict(tag.split(":", 1) for tag in (selected[1] or "").split(",") if tag)
    generators: dict[str, list[Bucket]] = {}
    for line in lines:
        if tags.items() <= line.labels.items():
            generators.setdefault(line.labels.get(GENERATOR, ""), []).extend(_newest(line))
    return [generators[name] for name in sorted(generators)]


def _newest(line: HistogramLine) -> list[Bucket]:
    last = line.times_ms == line.times_ms.max(initial=0)
    columns = (line.lower[last], line.upper[last], line.counts[last])
    return [Bucket(*each) for each in zip(*(column.tolist() for column in columns), strict=True)]
