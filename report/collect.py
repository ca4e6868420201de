"""Ask Prometheus for every series of the catalogue, side by side; one bad series never costs the others.

A series without data says why: `empty` (the metric exists, without a sample in this window), `missing` (Prometheus
knows no such metric: its exporter is not scraped) or `failed` (Prometheus refused the query, or did not answer).
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from core.errors import SuiteError
from core.waiting import wait_for
from report.catalogue import SeriesSpec, service_selector
from report.model import SeriesRow
from report.prometheus import PATIENCE_S, AnyLine, Prometheus, Unreachable, Window
from report.store import Collected, write_collected
from targets.model import Profile

SIDE_BY_SIDE = 4
"""Queries at a time: enough to hide the round trips, few enough to leave Prometheus its processor."""

PUSHED_WITHIN = timedelta(seconds=10)
"""k6 pushes once more after its load has ended."""
LAST_SAMPLES_S = 70.0
"""k6 writes only series that have grown: one that ended earlier has its last sample on the grid."""

log = logging.getLogger("report")


def collect(
    prometheus_url: str,
    window: Window,
    step_s: float,
    specs: Sequence[SeriesSpec],
    run_id: str,
    run_dir: Path | None = None,
    patience_s: float = PATIENCE_S,
    ends: Sequence[datetime] = (),
) -> Collected:
    """All series of the catalogue over the window, one point each `step_s`.

    `ends`: when parts of the load ended. Cumulative histograms are read there to their last sample, which counts all.
    Never raises for what Prometheus does: a server that stays away for `patience_s` makes every row `failed` with the
    reason. Writes
    `<run_dir>/metrics/` when a run directory is given.
    """
    began = time.monotonic()
    with Prometheus(prometheus_url, patience_s) as prometheus:
        answers = _ask_all(prometheus, specs, window, step_s, ends)
        found = {spec.id: lines for spec, (_, lines) in zip(specs, answers, strict=True) if lines}
        ahead_s = _clock_ahead_s(prometheus) if found else 0.0
    collected = Collected(run_id, window, step_s, tuple(row for row, _ in answers), found, ahead_s)
    with_data = sum(row.state == "data" for row in collected.rows)
    log.info("collected %d of %d series in %.1f s", with_data, len(specs), time.monotonic() - began)
    if run_dir is not None:
        write_collected(collected, run_dir)
    return collected


def await_scrape(prometheus_url: str, profile: Profile, moment: datetime, timeout_s: float) -> None:
    """Return once every service was scraped after `moment`: of a burst the last scrape may be all that there is.

    Never raises: a Prometheus that does not answer is for `collect` to tell.
    """
    expr = f"min(timestamp(process_cpu_usage{{{service_selector(profile)}}}))"

    def oldest_s() -> float:
        now = datetime.now(UTC)
        lines = prometheus.query_range(expr, Window(now, now), 1.0)
        return float(lines[0].values[-1]) if lines else math.inf

    with Prometheus(prometheus_url, 0.0) as prometheus, suppress(SuiteError):
        wait_for(oldest_s, lambda seen: seen > moment.timestamp(), timeout_s, every_s=0.2)


def _clock_ahead_s(prometheus: Prometheus) -> float:
    """Seconds by which Prometheus' clock is ahead of this machine's; 0 where it does not tell."""
    try:
        return prometheus.clock_ahead_s()
    except SuiteError:
        return 0.0


Answer = tuple[SeriesRow, Sequence[AnyLine]]


def _ask_all(
    prometheus: Prometheus, specs: Sequence[SeriesSpec], window: Window, step_s: float, ends: Sequence[datetime]
) -> list[Answer]:
    try:
        known = prometheus.metric_names(window)
    except SuiteError as error:
        return [(_row(spec, "failed", str(error)), []) for spec in specs]
    asker = _Asker(prometheus, window, step_s, known, ends)
    with ThreadPoolExecutor(SIDE_BY_SIDE, thread_name_prefix="collect") as pool:
        return list(pool.map(asker.ask, specs))


class _Asker:
    """Asks one series at a time; once Prometheus is gone, the rest is not asked any more."""

    def __init__(
        self,
        prometheus: Prometheus,
        window: Window,
        step_s: float,
        known: frozenset[str],
        ends: Sequence[datetime],
    ) -> None:
        self._prometheus, self._window, self._step_s, self._known = prometheus, window, step_s, known
        self._ends = ends
        self._gone = threading.Event()

    def ask(self, spec: SeriesSpec) -> Answer:
        if self._gone.is_set():
            return _row(spec, "failed", f"not asked: Prometheus at {self._prometheus.url} had stopped answering"), []
        try:
            lines = self._lines(spec)
        except SuiteError as error:
            if isinstance(error, Unreachable):
                self._gone.set()
            return _row(spec, "failed", str(error)), []
        return (_row(spec, "data", "", lines), lines) if lines else (self._without_data(spec), [])

    def _lines(self, spec: SeriesSpec) -> Sequence[AnyLine]:
        if not spec.of_histograms:
            return self._prometheus.query_range(spec.promql, self._window, self._step_s)
        found = {
            _key(line): line for line in self._prometheus.query_histograms(spec.promql, self._window, self._step_s)
        }
        for end in self._ends:
            for line in self._prometheus.last_histograms(spec.promql, end + PUSHED_WITHIN, LAST_SAMPLES_S):
                found[_key(line)] = found[_key(line)].then(line) if _key(line) in found else line
        return list(found.values())

    def _without_data(self, spec: SeriesSpec) -> SeriesRow:
        unknown = [name for name in spec.metrics if name not in self._known]
        if unknown:
            return _row(spec, "missing", f"Prometheus has no {', '.join(unknown)} in this window")
        return _row(spec, "empty", f"{', '.join(spec.metrics)} exists, but nothing matches the query in this window")


def _key(line: AnyLine) -> frozenset[tuple[str, str]]:
    return frozenset(line.labels.items())


def _row(
    spec: SeriesSpec, state: Literal["data", "empty", "missing", "failed"], note: str, lines: Sequence[AnyLine] = ()
) -> SeriesRow:
    return SeriesRow(
        id=spec.id,
        group=spec.group,
        title=spec.title,
        unit=spec.unit,
        definition=spec.definition,
        promql=spec.promql,
        state=state,
        note=note,
        lines=len(lines),
        metrics=spec.metrics,
        measures=spec.measures,
        samples=sum(line.samples for line in lines),
    )
