"""Collected series on disk: `metrics/<group>.parquet` and `metrics/series.json`, the index that says what there is.

A run can be drawn and judged again from these after Prometheus has forgotten it. A frame has the columns
`time` (UTC, milliseconds), `series` (id in the catalogue), `labels` (JSON object as text) and `value` (in the series'
unit; NaN as Prometheus gave it). Parquet files carry run id, window and step in their own metadata.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ValidationError

from core.errors import SetupError
from report.model import Moment, SeriesRow
from report.prometheus import Line, Window

INDEX = "series.json"
_COLUMNS = ["time", "series", "labels", "value"]

log = logging.getLogger("report")


@dataclass(frozen=True)
class Collected:
    """The series of one run; `rows` are in the catalogue's order and say for each what came of it."""

    run_id: str
    window: Window
    step_s: float
    rows: tuple[SeriesRow, ...]
    frames: Mapping[str, pd.DataFrame]  # by group

    def lines(self, series_id: str) -> list[Line]:
        """Every line of one series, [] where there is none."""
        row = next((row for row in self.rows if row.id == series_id), None)
        frame = self.frames.get(row.group) if row else None
        return [] if frame is None else list(_lines_of(frame[frame["series"] == series_id]))

    def why_not(self, series_id: str) -> str:
        """Why a series has no data."""
        return next((row.note for row in self.rows if row.id == series_id), f"{series_id} was not collected")


def frame_of(rows: Sequence[tuple[str, Line]]) -> pd.DataFrame:
    """The frame of (series id, line) pairs."""
    lengths = [len(line.values) for _, line in rows]
    times = np.concatenate([line.times_ms for _, line in rows])
    return pd.DataFrame(
        {
            "time": pd.to_datetime(times, unit="ms", utc=True),
            "series": _repeated([id for id, _ in rows], lengths),
            "labels": _repeated([_label_text(line.labels) for _, line in rows], lengths),
            "value": np.concatenate([line.values for _, line in rows]),
        }
    )


def _repeated(texts: Sequence[str], lengths: Sequence[int]) -> pd.Categorical[Any]:
    """Each text as often as its length says: a number a row, not a text a row."""
    categories = {text: code for code, text in enumerate(dict.fromkeys(texts))}
    codes = np.repeat(np.array([categories[text] for text in texts], dtype=np.int32), lengths)
    return pd.Categorical.from_codes(codes, dtype=pd.CategoricalDtype(list(categories)))


def write_collected(collected: Collected, run_dir: Path) -> None:
    """Write the parquet files and their index; SetupError when the disk does not take them."""
    folder = run_dir / "metrics"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for group, frame in collected.frames.items():
            table = pa.Table.from_pandas(frame, preserve_index=False)
            metadata = {**(table.schema.metadata or {}), b"run": _index(collected).model_dump_json().encode()}
            pq.write_table(table.replace_schema_metadata(metadata), folder / f"{group}.parquet")
        (folder / INDEX).write_bytes(_index(collected).model_dump_json(indent=1).encode())
    except OSError as error:
        cure = "Free some disk space, then run again."
        raise SetupError(f"the series cannot be written: {error.strerror}", where=str(folder), cure=cure) from error


def load_collected(run_dir: Path) -> Collected:
    """What `write_collected` wrote. A broken or missing parquet file makes its rows `failed`, by name.

    SetupError when there is no index: then nothing was collected there.
    """
    index = _read_index(run_dir / "metrics" / INDEX)
    rows, frames = list(index.rows), {}
    for group in dict.fromkeys(row.group for row in rows if row.state == "data"):
        path = run_dir / "metrics" / f"{group}.parquet"
        try:
            frames[group] = pq.read_table(path, columns=_COLUMNS).to_pandas()
        except (OSError, pa.ArrowException, ValueError) as error:
            reason = f"metrics/{path.name} cannot be read: {str(error).splitlines()[0]}"
            log.warning("%s", reason)
            rows = [_failed(row, reason) if row.group == group else row for row in rows]
    window = Window(index.started, index.ended)
    return Collected(index.run_id, window, index.step_s, tuple(rows), frames)


class _Index(BaseModel):
    """metrics/series.json."""

    run_id: str
    started: Moment
    ended: Moment
    step_s: float
    rows: tuple[SeriesRow, ...]


def _index(collected: Collected) -> _Index:
    window = collected.window
    return _Index(
        run_id=collected.run_id,
        started=window.started,
        ended=window.ended,
        step_s=collected.step_s,
        rows=collected.rows,
    )


def _read_index(path: Path) -> _Index:
    cure = "The run collected nothing; run it again."
    try:
        return _Index.model_validate_json(path.read_bytes())
    except OSError as error:
        raise SetupError(f"no collected series: {error.strerror}", where=str(path), cure=cure) from error
    except ValidationError as error:
        raise SetupError("the index of the collected series is damaged", where=str(path), cure=cure) from error


def _failed(row: SeriesRow, reason: str) -> SeriesRow:
    return row.model_copy(update={"state": "failed", "note": reason, "lines": 0, "samples": 0})


def _label_text(labels: Mapping[str, str]) -> str:
    return orjson.dumps(dict(labels), option=orjson.OPT_SORT_KEYS).decode()


def _lines_of(frame: pd.DataFrame) -> Iterator[Line]:
    for labels, part in frame.groupby("labels", observed=True, sort=False):
        times = part["time"].to_numpy(dtype="datetime64[ms]").astype(np.int64)
        yield Line(orjson.loads(str(labels)), times, part["value"].to_numpy(dtype=np.float64))
