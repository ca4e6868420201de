"""Spans of the run's load, from Zipkin: a bounded number of traces out of each slice of each part, in one parquet file.

Spread over the load, so that those from its quiet moments can be held against those from its busiest. A Zipkin that
does not answer costs the witness and not the run.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pandas as pd

from core.http import http_client
from report.windows import Span

FILE = "spans.parquet"
SLICES = 8
"""Of each part of the load."""
SLICE_AT_LEAST_S = 2.0
TRACES_A_SLICE = 25
"""200 traces a part tell a median's order of magnitude; more would only take longer."""
SIDE_BY_SIDE = 2
_TIMEOUT_S = 10.0
_MARGIN_S = 1.0
"""A trace is found by its first span, which began before the load's own clock says that the part did."""
COLUMNS = ("trace", "id", "parent", "service", "kind", "name", "remote", "time", "duration_s", "error")

log = logging.getLogger("report")


def collect_spans(zipkin_url: str, parts: Sequence[Span], run_dir: Path) -> int:
    """Write `<run_dir>/metrics/spans.parquet`; how many spans it holds. Nothing is written where there are none."""
    slices = [piece for part in parts for piece in _slices(part)]
    with http_client(_TIMEOUT_S) as client, ThreadPoolExecutor(SIDE_BY_SIDE, "spans") as pool:
        answers = list(pool.map(_Zipkin(client, zipkin_url).traces, slices))
    rows = {row[:2]: row for traces in answers for trace in traces for row in _rows(trace)}
    if rows:
        (run_dir / "metrics").mkdir(parents=True, exist_ok=True)
        _frame(list(rows.values())).to_parquet(run_dir / "metrics" / FILE, index=False)
    log.info("%d spans of %d slices of the load", len(rows), len(slices))
    return len(rows)


def load_spans(run_dir: Path) -> pd.DataFrame:
    """The spans of a run, COLUMNS; empty where none were kept, or the file is broken."""
    path = run_dir / "metrics" / FILE
    try:
        return pd.read_parquet(path, columns=list(COLUMNS))
    except FileNotFoundError:
        return no_spans()
    except (OSError, ValueError) as error:
        log.warning("metrics/%s cannot be read: %s", FILE, str(error).splitlines()[0])
        return no_spans()


def no_spans() -> pd.DataFrame:
    """Of a run whose spans nobody kept."""
    return _frame([])


def _slices(part: Span) -> Iterator[Span]:
    """The part in SLICES pieces of one length, fewer where that would be too short."""
    count = max(1, min(SLICES, int(part.length_s / SLICE_AT_LEAST_S)))
    length = (part.ended - part.started) / count
    for index in range(count):
        yield Span(part.started + index * length, part.started + (index + 1) * length)


class _Zipkin:
    """Asks for one slice at a time; once it does not answer, the rest is not asked any more."""

    def __init__(self, client: httpx.Client, url: str) -> None:
        self._client, self._url, self._gone = client, f"{url.rstrip('/')}/api/v2/traces", threading.Event()

    def traces(self, piece: Span) -> Sequence[Sequence[Mapping[str, Any]]]:
        if self._gone.is_set():
            return ()
        params = {
            "endTs": round((piece.ended.timestamp() + _MARGIN_S) * 1000),
            "lookback": round((piece.length_s + 2 * _MARGIN_S) * 1000),
            "limit": TRACES_A_SLICE,
        }
        try:
            answer = self._client.get(self._url, params=params)
            answer.raise_for_status()
            found: list[list[dict[str, Any]]] = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            self._gone.set()
            log.warning("no spans from %s: %r", self._url, error)
            return ()
        return found


def _rows(trace: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Any, ...]]:
    for span in trace:
        yield (
            span["traceId"],
            span["id"],
            span.get("parentId", ""),
            span.get("localEndpoint", {}).get("serviceName", ""),
            span.get("kind", ""),
            span.get("name", ""),
            span.get("remoteEndpoint", {}).get("serviceName", ""),
            span.get("timestamp", 0),
            span.get("duration", 0) / 1e6,
            "error" in span.get("tags", {}),
        )


def _frame(rows: Sequence[tuple[Any, ...]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    frame["time"] = pd.to_datetime(frame["time"], unit="us", utc=True)
    return frame
