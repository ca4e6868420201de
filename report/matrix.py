"""A range query's answer, parsed from its bytes straight into arrays: no object a sample.

Prometheus writes a float series as `"values":[[<seconds>,"<number>"],…]` and a native histogram's as
`"histograms":[[<seconds>,{"count":"…","sum":"…","buckets":[[<rule>,"<lower>","<upper>","<count>"],…]}],…]` (HTTP API,
"range vectors"). A quote inside a label is escaped, so these openings stand nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import orjson

Times = np.ndarray[Any, np.dtype[np.int64]]
Floats = np.ndarray[Any, np.dtype[np.float64]]

_OPENING = re.compile(rb'"(values|histograms)":\[\[')
_ENDS = {b"values": b"]]", b"histograms": b"}]]"}
_NOISE = b'[]{}"'
_KEYS = (b'{"count":', b'"sum":', b'"buckets":')
_BEFORE_BUCKETS, _A_BUCKET = 3, 4
"""Numbers of a histogram sample: time, count and sum; then each bucket's rule, lower, upper and count."""


class Samples(NamedTuple):
    """One series of an answer: epoch milliseconds and values of the same length."""

    labels: Mapping[str, str]
    times_ms: Times
    values: Floats


class Buckets(NamedTuple):
    """One series of native histograms: a row for each bucket of each sample, `counts` values in (lower, upper]."""

    labels: Mapping[str, str]
    times_ms: Times
    lower: Floats
    upper: Floats
    counts: Floats


class Answer(NamedTuple):
    """Prometheus' JSON without its samples, and those."""

    body: Any
    samples: list[Samples]
    buckets: list[Buckets]


def parse_answer(content: bytes) -> Answer:
    """The answer in `content`; ValueError when it is not such JSON."""
    columns: list[Floats] = []
    kept: list[bytes] = []
    read = 0
    while opening := _OPENING.search(content, read):
        kind = opening[1]
        end = content.find(_ENDS[kind], opening.end())
        if end < 0:
            raise ValueError("the answer breaks off in mid-series")
        section = content[opening.end() : end]
        columns.append(_pairs(section) if kind == b"values" else _bucket_rows(section))
        kept += (content[read : opening.start()], b'"%s":%d' % (kind, len(columns) - 1))
        read = end + len(_ENDS[kind])
    body = orjson.loads(b"".join((*kept, content[read:])))
    series = _series(body)
    return Answer(
        body,
        [Samples(each["metric"], *_timed(columns[each["values"]])) for each in series if "values" in each],
        [Buckets(each["metric"], *_timed(columns[each["histograms"]])) for each in series if "histograms" in each],
    )


def _series(answer: Any) -> list[dict[str, Any]]:
    data = answer.get("data") if isinstance(answer, dict) else None
    result = data.get("result") if isinstance(data, dict) else None
    return [each for each in result if isinstance(each, dict)] if isinstance(result, list) else []


def _numbers(section: bytes) -> Floats:
    return np.fromstring(section.translate(None, _NOISE), dtype=np.float64, sep=",")


def _pairs(section: bytes) -> Floats:
    """Rows of time and value."""
    return _numbers(section).reshape(-1, 2)


def _bucket_rows(section: bytes) -> Floats:
    """Rows of time, lower, upper and count, from samples that have any number of buckets each."""
    text = np.frombuffer(section, dtype=np.uint8)
    samples, brackets = np.flatnonzero(text == ord("{")), np.flatnonzero(text == ord("["))
    # Between two samples' braces stand: the list's bracket, one a bucket, the next sample's own. The last has no next.
    within = np.diff(np.searchsorted(brackets, [*samples, len(text)]))
    within[:-1] -= 1
    each = np.maximum(within - 1, 0)
    for key in _KEYS:
        section = section.replace(key, b"")
    numbers = _numbers(section)
    begins = np.concatenate(([0], np.cumsum(_BEFORE_BUCKETS + _A_BUCKET * each)[:-1]))
    in_sample = np.arange(each.sum()) - np.repeat(np.cumsum(each) - each, each)
    at = np.repeat(begins + _BEFORE_BUCKETS, each) + _A_BUCKET * in_sample
    return np.column_stack([np.repeat(numbers[begins], each), numbers[at + 1], numbers[at + 2], numbers[at + 3]])


def _timed(rows: Floats) -> tuple[np.ndarray[Any, Any], ...]:
    """Epoch milliseconds and the other columns, each an array of its own."""
    return np.rint(rows[:, 0] * 1000).astype(np.int64), *(rows[:, at].copy() for at in range(1, rows.shape[1]))
