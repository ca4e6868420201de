"""Progress of several generators as one line."""

from __future__ import annotations

import pytest

from k6.model import Progress
from tasks.generators import added


def progress(requests: int, rate_per_s: float, failed_ratio: float, elapsed_s: float = 10) -> Progress:
    return Progress("b-blog-read", elapsed_s, 20 - elapsed_s, 5, requests, rate_per_s, failed_ratio)


class TestAdded:
    def test_counts_and_rates_add_up_and_failures_are_a_share_of_all(self) -> None:
        both = added([progress(300, 30, 0.1), progress(100, 10, 0.5)])
        assert (both.requests, both.rate_per_s, both.vus) == (400, 40, 10)
        assert both.failed_ratio == pytest.approx(80 / 400)

    def test_time_is_that_of_the_slowest(self) -> None:
        both = added([progress(1, 1, 0, elapsed_s=12), progress(1, 1, 0, elapsed_s=10)])
        assert (both.elapsed_s, both.left_s) == (12, 10)

    def test_before_the_first_request_nothing_has_failed(self) -> None:
        assert added([progress(0, 0, 0)]).failed_ratio == 0
