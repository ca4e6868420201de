"""Asking Prometheus over HTTP: instant and range queries, native histograms included."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import orjson

from core.errors import VerificationError
from core.http import http_client

TIMEOUT_S = 5.0
SILENCE_S = 3.0
"""After a question without answer the next ones are given up at once for so long: 50 queries do not wait 50 times."""
ROWS_PER_DOUBLING = 2
"""A native histogram's buckets are merged to two rows a doubling: what an eye can tell apart."""

Labels = Mapping[str, str]
Point = tuple[float, float]  # (unix seconds, value)


@dataclass(frozen=True)
class RawSeries:
    """One series of an answer. A native histogram is one RawSeries a row, labelled `le` with the row's upper bound."""

    labels: Labels
    points: tuple[Point, ...]


class Prometheus:
    """One Prometheus at `url`. Every method raises VerificationError when it does not answer, or refuses the query."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._client = http_client(TIMEOUT_S)
        self._silence: tuple[float, VerificationError] | None = None

    def close(self) -> None:
        self._client.close()

    def instant(self, expr: str, at: float) -> tuple[RawSeries, ...]:
        """The answer at unix time `at`, one point a series."""
        return _series(self._ask("query", {"query": expr, "time": f"{at:.3f}"}))

    def range(self, expr: str, start: float, end: float, step_s: float) -> tuple[RawSeries, ...]:
        """The answer at `start`, `start + step_s` … `end` (unix seconds)."""
        window = {"start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step_s:.3f}"}
        return _series(self._ask("query_range", {"query": expr, **window}))

    def count(self, selector: str, at: float) -> int:
        """How many series `selector` has at `at`."""
        answer = self.instant(f"count({selector})", at)
        return int(answer[0].points[0][1]) if answer else 0

    def label_values(self, label: str, selector: str, at: float) -> list[str]:
        """The values that `label` has on the series of `selector` at `at`; series without it give none."""
        found = (series.labels.get(label) for series in self.instant(f"count by ({label}) ({selector})", at))
        return sorted(value for value in found if value)

    def label_names(self, selector: str, at: float) -> list[str]:
        """The labels that the series of `selector` have at `at`."""
        return sorted({label for series in self.instant(selector, at) for label in series.labels})

    def flags(self) -> Mapping[str, str]:
        """The flags that it was started with, without their dashes."""
        flags: Mapping[str, str] = self._ask("status/flags", {}, method="GET")
        return flags

    def _ask(self, path: str, fields: Mapping[str, str], method: str = "POST") -> Any:
        url = f"{self.url}/api/v1/{path}"
        response = self._send(method, url, fields)
        try:
            answer = orjson.loads(response.content)
        except orjson.JSONDecodeError as error:
            raise VerificationError(
                f"not an answer of Prometheus (status {response.status_code})", where=url, cure="Check the address."
            ) from error
        if answer.get("status") != "success":
            said = answer.get("error", "it does not say why")
            raise VerificationError(
                f"Prometheus refused the query: {said}", where=url, cure="Correct it in dashboards/queries.py."
            )
        return answer["data"]

    def _send(self, method: str, url: str, fields: Mapping[str, str]) -> httpx.Response:
        if self._silence and time.monotonic() < self._silence[0]:
            raise self._silence[1]
        try:
            return self._client.request(method, url, data=dict(fields) or None)
        except httpx.HTTPError as error:
            silent = VerificationError(
                f"Prometheus does not answer: {error or type(error).__name__}", where=url, cure="See its log."
            )
            self._silence = (time.monotonic() + SILENCE_S, silent)
            raise silent from error


def _series(data: Mapping[str, Any]) -> tuple[RawSeries, ...]:
    if data["resultType"] == "scalar":
        return (RawSeries({}, (_point(data["result"]),)),)
    found: list[RawSeries] = []
    for result in data["result"]:
        values = result.get("values") or [result[key] for key in ("value",) if key in result]
        if values:
            found.append(RawSeries(result["metric"], tuple(_point(value) for value in values)))
        histograms = result.get("histograms") or [result[key] for key in ("histogram",) if key in result]
        found.extend(_rows(result["metric"], histograms))
    return tuple(found)


def _point(value: tuple[float, str]) -> Point:
    return float(value[0]), float(value[1])


def _rows(labels: Labels, histograms: list[tuple[float, Mapping[str, Any]]]) -> list[RawSeries]:
    """One series a row of the heatmap, from the lowest upper bound to the highest; a row nobody fell into is 0."""
    rows: dict[float, dict[float, float]] = defaultdict(lambda: defaultdict(float))
    times = [float(at) for at, _ in histograms]
    for at, histogram in histograms:
        for _, _, upper, count in histogram.get("buckets", ()):
            rows[_row_bound(float(upper))][float(at)] += float(count)
    return [
        RawSeries({**labels, "le": f"{bound:.4g}"}, tuple((at, rows[bound][at]) for at in times))
        for bound in sorted(rows)
    ]


def _row_bound(upper: float) -> float:
    """Upper bound of the row that holds a bucket ending at `upper`."""
    if upper <= 0 or not math.isfinite(upper):
        return upper
    return float(2 ** (math.ceil(ROWS_PER_DOUBLING * math.log2(upper) - 1e-9) / ROWS_PER_DOUBLING))
