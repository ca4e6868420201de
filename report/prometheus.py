"""Range queries: split under Prometheus' limit of points, asked again while it restarts, parsed into arrays."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import numpy as np
from tenacity import Retrying as Retry
from tenacity import retry_if_exception_type, stop_after_delay, wait_fixed

from core.errors import SetupError, VerificationError
from core.http import http_client
from report.grid import FIRST_POINTS, Grid, points_for
from report.matrix import Answer, Buckets, Samples, parse_answer

PATIENCE_S = 20.0
"""How long a Prometheus that does not answer is asked again: a restart with its log replayed takes a few seconds."""
_ASK_AGAIN_S = 0.5
_AWAY = frozenset({502, 503, 504})
_TIMEOUT_S = 30.0
_CURE = "See the Prometheus log; draw the report again while it answers."


@dataclass(frozen=True)
class Window:
    """A part of the run, both ends included; times carry their zone."""

    started: datetime
    ended: datetime

    @classmethod
    def from_epoch(cls, started_s: float, ended_s: float) -> Window:
        return cls(datetime.fromtimestamp(started_s, UTC), datetime.fromtimestamp(ended_s, UTC))

    @classmethod
    def of_steps(cls, started: datetime, ended: datetime, step_s: float) -> Window:
        """Whole steps that end at `ended`: the first begins at most a step before `started`."""
        steps = math.ceil((ended - started).total_seconds() / step_s)
        return cls(ended - steps * timedelta(seconds=step_s), ended)

    def grid(self, step_s: float) -> Grid:
        """Its moments, one each step."""
        return Grid.of(self.started.timestamp(), self.ended.timestamp(), step_s)


@dataclass(frozen=True)
class Line:
    """One time series: epoch milliseconds and values of the same length, in order of time."""

    labels: Mapping[str, str]
    times_ms: np.ndarray[Any, np.dtype[np.int64]]
    values: np.ndarray[Any, np.dtype[np.float64]]

    @property
    def samples(self) -> int:
        return len(self.times_ms)

    @property
    def name(self) -> str:
        """The labels' values, as a legend shows them."""
        return ", ".join(self.labels.values()) or "all"

    def finite_within(self, started: datetime, ended: datetime) -> np.ndarray[Any, np.dtype[np.float64]]:
        """The finite values between two moments, both included."""
        inside = (self.times_ms >= started.timestamp() * 1000) & (self.times_ms <= ended.timestamp() * 1000)
        values = self.values[inside]
        return values[np.isfinite(values)]


@dataclass(frozen=True)
class HistogramLine:
    """One native histogram over time: a row for each bucket of each sample, with `counts` values in (lower, upper].

    Times are epoch milliseconds, in order; counts grow from sample to sample, as those of a counter.
    """

    labels: Mapping[str, str]
    times_ms: np.ndarray[Any, np.dtype[np.int64]]
    lower: np.ndarray[Any, np.dtype[np.float64]]
    upper: np.ndarray[Any, np.dtype[np.float64]]
    counts: np.ndarray[Any, np.dtype[np.float64]]

    @property
    def samples(self) -> int:
        return len(np.unique(self.times_ms))

    def newest(self) -> HistogramLine:
        """Its last sample alone."""
        return self._rows(self.times_ms == self.times_ms.max(initial=0))

    def then(self, later: HistogramLine) -> HistogramLine:
        """With those of the other's samples that are newer than its own."""
        added = later._rows(later.times_ms > self.times_ms.max(initial=0))
        columns = zip(self._columns, added._columns, strict=True)
        return HistogramLine(self.labels, *(np.concatenate(pair) for pair in columns))

    @property
    def _columns(self) -> tuple[np.ndarray[Any, Any], ...]:
        return self.times_ms, self.lower, self.upper, self.counts

    def _rows(self, chosen: np.ndarray[Any, np.dtype[np.bool_]]) -> HistogramLine:
        return HistogramLine(self.labels, *(column[chosen] for column in self._columns))


AnyLine = Line | HistogramLine


class Unreachable(SetupError):
    """Prometheus does not answer at all, so that further questions are a waste of time."""


class Prometheus:
    """A client for one server; may be used by several threads."""

    def __init__(self, url: str, patience_s: float = PATIENCE_S) -> None:
        self.url = url.rstrip("/")
        self._client = http_client(_TIMEOUT_S)
        self._again = Retry(
            retry=retry_if_exception_type(Unreachable),
            stop=stop_after_delay(patience_s),
            wait=wait_fixed(_ASK_AGAIN_S),
            reraise=True,
        )

    def __enter__(self) -> Prometheus:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def metric_names(self, window: Window) -> frozenset[str]:
        """Names of all metrics with samples in the window; Unreachable when there is no answer."""
        span = {"start": window.started.timestamp(), "end": window.ended.timestamp()}
        return frozenset(self._ask("/api/v1/label/__name__/values", span).body["data"])

    def clock_ahead_s(self) -> float:
        """Seconds by which the server's clock is ahead of this machine's, known to half of the question's own time."""
        before = time.time()
        _, seconds = self._ask("/api/v1/query", {"query": "time()"}).body["data"]["result"]
        return float(seconds) - (before + time.time()) / 2

    def query_range(self, promql: str, window: Window, step_s: float) -> list[Line]:
        """The query's lines over the window; VerificationError with Prometheus' own words when it refuses."""
        grid = window.grid(step_s)
        return [Line(*series) for series in _joined((a.samples for a in self._answers(promql, grid)), grid)]

    def query_histograms(self, promql: str, window: Window, step_s: float) -> list[HistogramLine]:
        """The query's native histograms over the window; VerificationError as `query_range`."""
        grid = window.grid(step_s)
        return [HistogramLine(*series) for series in _joined((a.buckets for a in self._answers(promql, grid)), grid)]

    def last_histograms(self, selector: str, before: datetime, within_s: float) -> list[HistogramLine]:
        """The last sample of each native histogram in the time before a moment, as it was written.

        A range query does not see a sample that a stale marker followed before the next moment of its grid; and
        last_over_time() of a histogram is empty in Prometheus 2.42.
        """
        form: dict[str, str | float] = {"query": f"{selector}[{within_s:.0f}s]", "time": before.timestamp()}
        return [HistogramLine(*series).newest() for series in self._ask("/api/v1/query", form).buckets]

    def _answers(self, promql: str, grid: Grid) -> Iterator[Answer]:
        """Answers for one piece of the grid after another, each as long as the lines of the one before allow."""
        first, points = 0, FIRST_POINTS
        while first < grid.points:
            piece = grid.piece(first, points)
            ends = {"start": piece.started_s, "end": piece.ended_s, "step": grid.step_s}
            answer = self._ask("/api/v1/query_range", {"query": promql, **ends})
            yield answer
            first, points = first + piece.points, points_for(len(answer.samples) + len(answer.buckets))

    def _ask(self, path: str, form: Mapping[str, str | float]) -> Answer:
        answer: Answer = self._again(self._once, path, form)
        return answer

    def _once(self, path: str, form: Mapping[str, str | float]) -> Answer:
        try:
            answer = self._client.request("POST" if "query" in form else "GET", self.url + path, **_payload(form))
        except httpx.TransportError as error:
            reason = str(error) or type(error).__name__
            raise Unreachable(f"Prometheus does not answer: {reason}", where=self.url, cure=_CURE) from error
        return _data(answer)


def _payload(form: Mapping[str, str | float]) -> dict[str, Any]:
    """Queries go in a form, because a long one does not fit a URL."""
    return {"data": form} if "query" in form else {"params": form}


def _data(answer: httpx.Response) -> Answer:
    try:
        parsed = parse_answer(answer.content)
        if parsed.body["status"] == "success":
            return parsed
        reason = parsed.body["error"]
    except (ValueError, KeyError, TypeError) as error:
        reason = f"HTTP {answer.status_code} without Prometheus' JSON"
        if answer.status_code in _AWAY:
            raise Unreachable(f"Prometheus does not answer: {reason}", where=str(answer.url), cure=_CURE) from error
    raise VerificationError(f"Prometheus refused the query: {reason}", where=str(answer.url), cure=_CURE)


def _joined(answers: Iterable[Sequence[Samples | Buckets]], grid: Grid) -> Iterator[tuple[Any, ...]]:
    """Labels, times and the other columns of each series, from the pieces in which it came."""
    pieces: dict[tuple[tuple[str, str], ...], list[tuple[Any, ...]]] = {}
    for series in (series for answer in answers for series in answer):
        columns = (grid.shared(series.times_ms), *series[2:])
        pieces.setdefault(tuple(sorted(series.labels.items())), []).append(columns)
    for labels in list(pieces):
        parts = pieces.pop(labels)  # given up one by one: a day of many lines is not held twice
        times, *values = (np.concatenate(column) for column in zip(*parts, strict=True))
        yield dict(labels), grid.shared(times), *values
