"""The latencies of several k6 as one: their native histograms, read back from Prometheus and added up."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, cached_property

from core.checks import SCENARIOS
from core.errors import SuiteError
from core.words import Verdict
from k6.merge import LATENCY
from k6.model import ScenarioResult
from report.collect import LAST_SAMPLES_S, PUSHED_WITHIN
from report.native import Bucket, bounds, compared, merged
from report.prometheus import HistogramLine, Prometheus, Window

log = logging.getLogger("suite")

COMPLETE = 0.01
"""Share of what k6 counted that Prometheus may miss, before nothing is told of the rest."""
_METRIC = re.compile(r"(?P<name>\w+)(\{(?P<tags>.*)\})?")
_PERCENTILE = re.compile(r"p\((?P<percent>[\d.]+)\)\s*(?P<comparison><=?)\s*(?P<bound_ms>[\d.]+)")
Labels = frozenset[tuple[str, str]]


class MergedHistograms:
    """`k6.merge.Histograms` from the Prometheus that the parts of one scenario wrote to."""

    def __init__(self, prometheus: Prometheus, run_id: str, parts: Sequence[ScenarioResult]) -> None:
        self._prometheus, self._parts = prometheus, parts
        self._own = f'run_id="{run_id}",scenario="{SCENARIOS[parts[0].scenario]}"'
        self._series = cache(self._read)

    def percentile_ms(self, metric: str, share: float) -> float | None:
        between = self._between_ms(metric, share)
        return math.sqrt(max(0.0, between[0]) * between[1]) if between else None

    def holds(self, metric: str, expression: str) -> bool | None:
        found = _PERCENTILE.fullmatch(expression.strip())
        between = self._between_ms(metric, float(found["percent"]) / 100) if found else None
        if found is None or between is None:
            return None
        verdict = compared(*between, found["comparison"], float(found["bound_ms"]))
        return None if verdict is Verdict.NO_DATA else verdict is Verdict.PASS

    def _between_ms(self, metric: str, share: float) -> tuple[float, float] | None:
        between = bounds(self._histogram(metric), share) if self._complete else None
        return (between[0] * 1000, between[1] * 1000) if between else None

    @cached_property
    def _complete(self) -> bool:
        """Whether Prometheus has what k6 has counted: a percentile of half the requests is none."""
        counted = sum(next((row.samples for row in p.thresholds if row.metric == LATENCY), 0) for p in self._parts)
        kept = sum(bucket.count for bucket in self._histogram(LATENCY))
        if abs(kept - counted) <= COMPLETE * counted:
            return True
        log.warning("Prometheus has %.0f of %d latencies of k6: no percentile is told of them", kept, counted)
        return False

    def _histogram(self, metric: str) -> list[Bucket]:
        found = _METRIC.fullmatch(metric)
        assert found is not None, metric
        tags = [tag.split(":", 1) for tag in (found["tags"] or "").split(",") if tag]
        wanted = {(name, value) for name, value in tags}
        return merged([buckets for labels, buckets in self._series(found["name"]).items() if wanted <= labels])

    def _read(self, name: str) -> Mapping[Labels, list[Bucket]]:
        """Each series' newest histogram; empty where Prometheus does not answer."""
        newest: dict[Labels, tuple[int, list[Bucket]]] = {}
        try:
            for line in self._lines(f"k6_{name}_seconds{{{self._own}}}"):
                labels, at = frozenset(line.labels.items()), int(line.times_ms.max(initial=0))
                if at > newest.get(labels, (0, []))[0]:
                    newest[labels] = (at, _at(line, at))
        except SuiteError as error:
            log.warning("%s", error)
        return {labels: buckets for labels, (_, buckets) in newest.items()}

    def _lines(self, promql: str) -> Iterator[HistogramLine]:
        """What stood at the end of each part, and the series that had ended before that."""
        for part in self._parts:
            yield from self._prometheus.last_histograms(promql, part.ended + PUSHED_WITHIN, LAST_SAMPLES_S)
            yield from self._prometheus.query_histograms(promql, Window(part.started, part.ended), LAST_SAMPLES_S)


def _at(line: HistogramLine, at_ms: int) -> list[Bucket]:
    rows = line.times_ms == at_ms
    columns = (line.lower[rows], line.upper[rows], line.counts[rows])
    return [Bucket(*each) for each in zip(*(column.tolist() for column in columns), strict=True)]
