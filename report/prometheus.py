"""Range queries: split under Prometheus' limit of points, asked again while it restarts, parsed into arrays."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import numpy as np
from tenacity import Retrying as Retry
from tenacity import retry_if_exception_type, stop_after_delay, wait_fixed

from core.errors import SetupError, VerificationError
from core.http import http_client
from report.matrix import Samples, parse_answer

MAX_POINTS = 11_000
"""Prometheus refuses a range query with more points a series."""
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

    def chunks(self, step_s: float) -> Iterator[tuple[float, float]]:
        """(start, end) in epoch seconds of range queries of at most MAX_POINTS points, on one grid of steps."""
        start, end = self.started.timestamp(), self.ended.timestamp()
        last = math.floor((end - start) / step_s + 1e-9)  # index of the last point on the grid
        for first in range(0, last + 1, MAX_POINTS):
            yield start + first * step_s, start + min(first + MAX_POINTS - 1, last) * step_s


@dataclass(frozen=True)
class Line:
    """One time series: epoch milliseconds and values of the same length, in order of time."""

    labels: Mapping[str, str]
    times_ms: np.ndarray[Any, np.dtype[np.int64]]
    values: np.ndarray[Any, np.dtype[np.float64]]

    @property
    def name(self) -> str:
        """The labels' values, as a legend shows them."""
        return ", ".join(self.labels.values()) or "all"

    def finite_within(self, started: datetime, ended: datetime) -> np.ndarray[Any, np.dtype[np.float64]]:
        """The finite values between two moments, both included."""
        inside = (self.times_ms >= started.timestamp() * 1000) & (self.times_ms <= ended.timestamp() * 1000)
        values = self.values[inside]
        return values[np.isfinite(values)]


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
        answer, _ = self._ask("/api/v1/label/__name__/values", span)
        return frozenset(answer["data"])

    def query_range(self, promql: str, window: Window, step_s: float) -> list[Line]:
        """The query's lines over the window; VerificationError with Prometheus' own words when it refuses."""
        pieces: dict[tuple[tuple[str, str], ...], list[Samples]] = {}
        for start, end in window.chunks(step_s):
            form: dict[str, str | float] = {"query": promql, "start": start, "end": end, "step": step_s}
            for samples in self._ask("/api/v1/query_range", form)[1]:
                pieces.setdefault(tuple(sorted(samples.labels.items())), []).append(samples)
        return [_line(dict(labels), chunks) for labels, chunks in pieces.items()]

    def _ask(self, path: str, form: Mapping[str, str | float]) -> tuple[Any, list[Samples]]:
        answer: tuple[Any, list[Samples]] = self._again(self._once, path, form)
        return answer

    def _once(self, path: str, form: Mapping[str, str | float]) -> tuple[Any, list[Samples]]:
        try:
            answer = self._client.request("POST" if "query" in form else "GET", self.url + path, **_payload(form))
        except httpx.TransportError as error:
            reason = str(error) or type(error).__name__
            raise Unreachable(f"Prometheus does not answer: {reason}", where=self.url, cure=_CURE) from error
        return _data(answer)


def _payload(form: Mapping[str, str | float]) -> dict[str, Any]:
    """Queries go in a form, because a long one does not fit a URL."""
    return {"data": form} if "query" in form else {"params": form}


def _data(answer: httpx.Response) -> tuple[Any, list[Samples]]:
    try:
        body, samples = parse_answer(answer.content)
        if body["status"] == "success":
            return body, samples
        reason = body["error"]
    except (ValueError, KeyError, TypeError) as error:
        reason = f"HTTP {answer.status_code} without Prometheus' JSON"
        if answer.status_code in _AWAY:
            raise Unreachable(f"Prometheus does not answer: {reason}", where=str(answer.url), cure=_CURE) from error
    raise VerificationError(f"Prometheus refused the query: {reason}", where=str(answer.url), cure=_CURE)


def _line(labels: Mapping[str, str], chunks: list[Samples]) -> Line:
    times, values = (np.concatenate(each) for each in zip(*((c.times_ms, c.values) for c in chunks), strict=True))
    return Line(labels, times, values)
