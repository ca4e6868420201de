"""Prometheus' answers from their bytes: floats, holes, and labels made to look like samples."""

from __future__ import annotations

import numpy as np
import pytest

from report.matrix import parse_answer


def answer(*series: str) -> bytes:
    return f'{{"status":"success","data":{{"resultType":"matrix","result":[{",".join(series)}]}}}}'.encode()


class TestAnswer:
    def test_gives_times_in_milliseconds_and_every_kind_of_number(self) -> None:
        numbers = ["1.5", "NaN", "+Inf", "-Inf", "1e-05", "-2"]
        points = ",".join(f'[{1_700_000_000.5 + at},"{number}"]' for at, number in enumerate(numbers))
        _, [samples] = parse_answer(answer(f'{{"metric":{{"a":"b"}},"values":[{points}]}}'))
        assert samples.labels == {"a": "b"}
        assert samples.times_ms.tolist() == [1_700_000_000_500 + 1000 * at for at in range(6)]
        np.testing.assert_array_equal(samples.values, [1.5, np.nan, np.inf, -np.inf, 1e-5, -2])

    def test_is_not_misled_by_a_label_that_looks_like_samples(self) -> None:
        trap = r'{"metric":{"a":"x\"values\":[[1,2]]"},"values":[[1,"2"]]}'
        _, [samples] = parse_answer(answer(trap, '{"metric":{},"histograms":[[1,{"count":"1"}]]}'))
        assert samples.labels == {"a": 'x"values":[[1,2]]'}
        assert (samples.times_ms.tolist(), samples.values.tolist()) == ([1000], [2.0])

    def test_keeps_what_is_no_series(self) -> None:
        whole, samples = parse_answer(b'{"status":"error","error":"bad query"}')
        assert (whole["error"], samples) == ("bad query", [])

    @pytest.mark.parametrize("body", [b"", b"<html>", answer('{"metric":{},"values":[[1,"2"')[:-20]])
    def test_that_is_no_whole_json_is_refused(self, body: bytes) -> None:
        with pytest.raises(ValueError, match=r"."):
            parse_answer(body)
