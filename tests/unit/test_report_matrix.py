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
        [samples] = parse_answer(answer(f'{{"metric":{{"a":"b"}},"values":[{points}]}}')).samples
        assert samples.labels == {"a": "b"}
        assert samples.times_ms.tolist() == [1_700_000_000_500 + 1000 * at for at in range(6)]
        np.testing.assert_array_equal(samples.values, [1.5, np.nan, np.inf, -np.inf, 1e-5, -2])

    def test_is_not_misled_by_a_label_that_looks_like_samples(self) -> None:
        trap = r'{"metric":{"a":"x\"values\":[[1,2]]"},"values":[[1,"2"]]}'
        [samples] = parse_answer(answer(trap)).samples
        assert samples.labels == {"a": 'x"values":[[1,2]]'}
        assert (samples.times_ms.tolist(), samples.values.tolist()) == ([1000], [2.0])

    def test_keeps_what_is_no_series(self) -> None:
        whole, samples, buckets = parse_answer(b'{"status":"error","error":"bad query"}')
        assert (whole["error"], samples, buckets) == ("bad query", [], [])

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"<html>",
            answer('{"metric":{},"values":[[1,"2"')[:-20],
            answer('{"metric":{},"histograms":[[1,{"count":"1","sum":"1"')[:-20],
        ],
    )
    def test_that_is_no_whole_json_is_refused(self, body: bytes) -> None:
        with pytest.raises(ValueError, match=r"."):
            parse_answer(body)


def sample(at_s: float, *buckets: tuple[float, float, int]) -> str:
    """A histogram sample as Prometheus writes it; without `buckets` where nothing was counted."""
    total = sum(count for _, _, count in buckets)
    rows = ",".join(f'[0,"{lower}","{upper}","{count}"]' for lower, upper, count in buckets)
    listed = f',"buckets":[{rows}]' if buckets else ""
    return f'[{at_s},{{"count":"{total}","sum":"1.5"{listed}}}]'


class TestHistograms:
    def test_give_a_row_for_each_bucket_of_each_sample(self) -> None:
        samples = [sample(1.5, (0.1, 0.2, 1), (0.2, 0.4, 2)), sample(2.5), sample(3.5, (-1e-09, 1e-09, 7))]
        [found] = parse_answer(answer(f'{{"metric":{{"name":"login"}},"histograms":[{",".join(samples)}]}}')).buckets
        assert found.labels == {"name": "login"}
        assert found.times_ms.tolist() == [1500, 1500, 3500]
        assert found.lower.tolist() == [0.1, 0.2, -1e-09]
        assert found.upper.tolist() == [0.2, 0.4, 1e-09]
        assert found.counts.tolist() == [1, 2, 7]

    def test_stand_beside_numbers_in_one_answer(self) -> None:
        histogram = f'{{"metric":{{}},"histograms":[{sample(1, (1, 2, 3))}]}}'
        found = parse_answer(answer(histogram, '{"metric":{"a":"b"},"values":[[1,"2"]]}', histogram))
        assert [each.counts.tolist() for each in found.buckets] == [[3], [3]]
        assert [each.values.tolist() for each in found.samples] == [[2]]

    def test_without_any_bucket_are_a_series_without_rows(self) -> None:
        [found] = parse_answer(answer(f'{{"metric":{{}},"histograms":[{sample(1)},{sample(2)}]}}')).buckets
        assert len(found.times_ms) == len(found.counts) == 0
