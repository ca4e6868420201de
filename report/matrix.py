"""A range query's answer, parsed from its bytes straight into arrays: no object a sample.

Prometheus writes a float series as `"values":[[<seconds>,"<number>"],…]` and a native histogram's as
`"histograms":[[<seconds>,{…}],…]` (HTTP API, "range vectors"). A quote inside a label is escaped, so these openings
stand nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import orjson

_VALUES = re.compile(rb'"values":\[\[')
_NOISE = b'[]"'


class Samples(NamedTuple):
    """One series of an answer: epoch milliseconds and values of the same length."""

    labels: Mapping[str, str]
    times_ms: np.ndarray[Any, np.dtype[np.int64]]
    values: np.ndarray[Any, np.dtype[np.float64]]


def parse_answer(body: bytes) -> tuple[Any, list[Samples]]:
    """The answer as Prometheus' JSON without its float samples, and those; ValueError when it is not such JSON."""
    arrays: list[np.ndarray[Any, np.dtype[np.float64]]] = []
    kept: list[bytes] = []
    read = 0
    while opening := _VALUES.search(body, read):
        end = body.find(b"]]", opening.end())
        if end < 0:
            raise ValueError("the answer breaks off in mid-series")
        numbers = body[opening.end() : end].translate(None, _NOISE)
        arrays.append(np.fromstring(numbers, dtype=np.float64, sep=",").reshape(-1, 2))
        kept += (body[read : opening.start()], b'"values":%d' % (len(arrays) - 1))
        read = end + 2
    answer = orjson.loads(b"".join((*kept, body[read:])))
    return answer, [_samples(series, arrays) for series in _series(answer) if "values" in series]


def _series(answer: Any) -> list[dict[str, Any]]:
    data = answer.get("data") if isinstance(answer, dict) else None
    result = data.get("result") if isinstance(data, dict) else None
    return [each for each in result if isinstance(each, dict)] if isinstance(result, list) else []


def _samples(series: Mapping[str, Any], arrays: list[np.ndarray[Any, np.dtype[np.float64]]]) -> Samples:
    pairs = arrays[series["values"]]
    return Samples(series["metric"], np.rint(pairs[:, 0] * 1000).astype(np.int64), pairs[:, 1].copy())
