"""Collected series on disk: `metrics/<group>.parquet` and `metrics/series.json`, the index that says what there is.

A run can be drawn and judged again from these after Prometheus has forgotten it. A table has the columns `time` (UTC,
milliseconds), `series` (id in the catalogue), `labels` (JSON object as text) and `value` (in the series' unit; NaN as
Prometheus gave it); one of native histograms has `lower`, `upper` and `count` instead, a row for each bucket of each
sample. Parquet files carry run id, window and step in their own metadata.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ValidationError

from core.errors import SetupError
from report.grid import Grid
from report.model import Moment, SeriesRow
from report.prometheus import AnyLine, HistogramLine, Line, Window

INDEX = "series.json"
_KEYS = ["time", "series", "labels"]
_COLUMNS: Mapping[type[AnyLine], Mapping[str, str]] = {
    Line: {"value": "values"},
    HistogramLine: {"lower": "lower", "upper": "upper", "count": "counts"},
}
"""Column -> field, of each kind of line."""

log = logging.getLogger("report")


@dataclass(frozen=True)
class Collected:
    """The series of one run; `rows` are in the catalogue's order and say for each what came of it."""

    run_id: str
    window: Window
    step_s: float
    rows: tuple[SeriesRow, ...]
    series: Mapping[str, Sequence[AnyLine]]  # by id; without those that have no line
    clock_ahead_s: float = 0.0  # of Prometheus, against this machine

    def lines(self, series_id: str) -> list[Line]:
        """Every line of one series, [] where there is none."""
        return [line for line in self.series.get(series_id, ()) if isinstance(line, Line)]

    def histograms(self, series_id: str) -> list[HistogramLine]:
        """Every native histogram of one series, [] where there is none."""
        return [line for line in self.series.get(series_id, ()) if isinstance(line, HistogramLine)]

    def frame(self, group: str) -> pd.DataFrame:
        """One group's table in pandas; empty where it has no data."""
        tables = [_table(*pair) for pair in self._of_group(group)]
        return pa.concat_tables(tables, promote_options="permissive").to_pandas() if tables else pd.DataFrame()

    def _of_group(self, group: str) -> Iterator[tuple[str, Sequence[AnyLine]]]:
        return ((row.id, self.series[row.id]) for row in self.rows if row.group == group and row.id in self.series)

    def why_not(self, series_id: str) -> str:
        """Why a series has no data."""
        return next((row.note for row in self.rows if row.id == series_id), f"{series_id} was not collected")


def write_collected(collected: Collected, run_dir: Path) -> None:
    """Write the parquet files and their index; SetupError when the disk does not take them."""
    folder = run_dir / "metrics"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for group in dict.fromkeys(row.group for row in collected.rows if row.id in collected.series):
            _write_group(folder / f"{group}.parquet", collected, group)
        (folder / INDEX).write_bytes(_index(collected).model_dump_json(indent=1).encode())
    except OSError as error:
        cure = "Free some disk space, then run again."
        raise SetupError(f"the series cannot be written: {error.strerror}", where=str(folder), cure=cure) from error


def load_collected(run_dir: Path) -> Collected:
    """What `write_collected` wrote. A broken or missing parquet file makes its rows `failed`, by name.

    SetupError when there is no index: then nothing was collected there.
    """
    index = _read_index(run_dir / "metrics" / INDEX)
    window = Window(index.started, index.ended)
    rows = list(index.rows)
    series: dict[str, list[AnyLine]] = {}
    for group in dict.fromkeys(row.group for row in rows if row.state == "data"):
        path = run_dir / "metrics" / f"{group}.parquet"
        try:
            series |= _read_group(path, window.grid(index.step_s))
        except (OSError, pa.ArrowException, ValueError, KeyError) as error:
            reason = f"metrics/{path.name} cannot be read: {str(error).splitlines()[0]}"
            log.warning("%s", reason)
            rows = [_failed(row, reason) if row.group == group else row for row in rows]
    return Collected(index.run_id, window, index.step_s, tuple(rows), series, index.clock_ahead_s)


class _Index(BaseModel):
    """metrics/series.json."""

    run_id: str
    started: Moment
    ended: Moment
    step_s: float
    rows: tuple[SeriesRow, ...]
    clock_ahead_s: float = 0.0


def _index(collected: Collected) -> _Index:
    window = collected.window
    return _Index(
        run_id=collected.run_id,
        started=window.started,
        ended=window.ended,
        step_s=collected.step_s,
        rows=collected.rows,
        clock_ahead_s=collected.clock_ahead_s,
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


def _write_group(path: Path, collected: Collected, group: str) -> None:
    """One row group for each series, so that no table of the whole group is made."""
    tables = (_table(*pair) for pair in collected._of_group(group))
    first = next(tables)
    schema = first.schema.with_metadata({b"run": _index(collected).model_dump_json().encode()})
    with pq.ParquetWriter(path, schema) as file:
        for table in (first, *tables):
            file.write_table(table)


def _table(series_id: str, lines: Sequence[AnyLine]) -> pa.Table:
    """The rows of one series, line by line."""
    lengths = [len(line.times_ms) for line in lines]
    columns = {
        "time": pa.array(np.concatenate([line.times_ms for line in lines]), pa.timestamp("ms", "UTC")),
        "series": _repeated([series_id] * len(lines), lengths),
        "labels": _repeated([_label_text(line.labels) for line in lines], lengths),
    }
    for column, field in _COLUMNS[type(lines[0])].items():
        columns[column] = pa.array(np.concatenate([getattr(line, field) for line in lines]))
    return pa.table(columns)


def _repeated(texts: Sequence[str], lengths: Sequence[int]) -> pa.DictionaryArray:
    """Each text as often as its length says: a number a row, not a text a row."""
    categories = {text: code for code, text in enumerate(dict.fromkeys(texts))}
    codes = np.repeat(np.array([categories[text] for text in texts], dtype=np.int32), lengths)
    return pa.DictionaryArray.from_arrays(codes, list(categories))


def _read_group(path: Path, grid: Grid) -> dict[str, list[AnyLine]]:
    """Series id -> its lines, read one row group after another."""
    with pq.ParquetFile(path) as file:
        kind: type[AnyLine] = Line if "value" in file.schema_arrow.names else HistogramLine
        pieces: dict[tuple[str, str], list[tuple[np.ndarray[Any, Any], ...]]] = {}
        for number in range(file.num_row_groups):
            for key, columns in _lines_of(file.read_row_group(number, [*_KEYS, *_COLUMNS[kind]])):
                pieces.setdefault(key, []).append(columns)
    found: dict[str, list[AnyLine]] = {}
    for series_id, labels in list(pieces):
        times, *values = (np.concatenate(column) for column in zip(*pieces.pop((series_id, labels)), strict=True))
        found.setdefault(series_id, []).append(kind(orjson.loads(labels), grid.shared(times), *values))
    return found


def _lines_of(table: pa.Table) -> Iterator[tuple[tuple[str, str], tuple[np.ndarray[Any, Any], ...]]]:
    """(series and labels, columns) of each line in a row group; a line's rows stand together."""
    frame, names = table.to_pandas(), table.schema.names[len(_KEYS) :]
    times = frame["time"].to_numpy(dtype="datetime64[ms]").astype(np.int64)
    series, labels = (pd.factorize(frame[key])[0] for key in ("series", "labels"))
    borders = np.flatnonzero((np.diff(series) != 0) | (np.diff(labels) != 0)) + 1
    for first, last in pairwise([0, *borders, len(frame)]):
        if first < last:
            key = (str(frame["series"].iloc[first]), str(frame["labels"].iloc[first]))
            yield key, (times[first:last].copy(), *(frame[name].to_numpy()[first:last].copy() for name in names))
