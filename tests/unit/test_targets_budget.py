"""targets.budget and k6.spending: what a run may put on its target, before and while it does."""

from __future__ import annotations

import pytest

from core.errors import ConfigError
from k6.spending import spending
from targets.budget import FailureWatch, Meter, Spending, require_within
from targets.load import load_load
from targets.model import Abort, Budget, load_profile

PORTAL = load_profile("portal")


class TestSpending:
    @pytest.mark.parametrize(
        ("scenario", "requests", "seconds"),
        [
            # 10 VUs, 15.5 s of full load: 51.7 visits of 3 s and one more a VU, 6 requests each; 12 to begin with
            ("a", 6 * (10 * 15.5 / 3 + 10) + 12, 19),
            ("b", 50 * 15 + 12, 15),
            ("c", 2 * 500, 30),
            ("d", (10 + 40) / 2 * 4 + 40 * 10 + 40 / 2 * 2 + 12, 16),
            ("e", 200 + 12, 21),  # TTL 10 s and a second, then at most 10 s
        ],
    )
    def test_is_the_smoke_loads_own_arithmetic(self, scenario: str, requests: float, seconds: float) -> None:
        found = spending(scenario, load_load("smoke"), PORTAL)
        assert found == pytest.approx((requests, seconds))


class TestRequireWithin:
    def test_refuses_a_load_that_may_exceed_the_requests(self) -> None:
        profile = PORTAL.model_copy(update={"budget": Budget(requests=1000, minutes=60)})
        with pytest.raises(
            ConfigError, match=r"'smoke' may put 1,100 requests in 2\.0 min .* budget of 1,000 requests"
        ):
            require_within(profile, [Spending(600, 60), Spending(500, 60)], "smoke")

    def test_refuses_a_load_that_lasts_too_long(self) -> None:
        profile = PORTAL.model_copy(update={"budget": Budget(requests=10_000, minutes=1)})
        with pytest.raises(ConfigError, match="budget of 1 minutes"):
            require_within(profile, [Spending(600, 61)], "smoke")

    def test_lets_pass_what_fits_and_where_there_is_no_budget(self) -> None:
        profile = PORTAL.model_copy(update={"budget": Budget(requests=1000, minutes=1)})
        require_within(profile, [Spending(1000, 60)], "smoke")
        require_within(PORTAL, [Spending(1e9, 1e9)], "smoke")


class TestMeter:
    def test_says_when_all_sources_together_have_used_the_requests_up(self) -> None:
        meter = Meter(Budget(requests=100, minutes=60))
        assert meter.note("a", 60, 1) == ""
        assert meter.note("b", 40, 1) == ""  # the totals of a source, not what is new
        assert meter.note("b", 41, 1) == "the target's budget of 100 requests is used up"

    def test_says_when_the_minutes_are_used_up(self) -> None:
        meter = Meter(Budget(requests=100, minutes=1))
        assert meter.note("a", 1, 30) == ""
        assert meter.note("b", 1, 31) == "the target's budget of 1 minutes is used up"

    def test_counts_in_vain_where_there_is_no_budget(self) -> None:
        assert Meter(None).note("a", 1e9, 1e9) == ""


class TestFailureWatch:
    def test_says_when_half_of_the_last_seconds_requests_failed(self) -> None:
        watch = FailureWatch(Abort(error_ratio=0.5, for_s=10))
        # 100 requests/s; all is well for 20 s, then 60 % fail: 10 s later that is the share of the last 10 s
        found = [watch.note(t, 100 * t, 60 * max(0, t - 20) / (100 * t)) for t in range(2, 32, 2)]
        assert found[:-2] == [""] * 13
        assert found[-1] == "the target failed 60% of 1000 requests in the last 10 s"

    def test_says_nothing_of_a_few_seconds(self) -> None:
        watch = FailureWatch(Abort(error_ratio=0.5, for_s=10))
        assert [watch.note(t, 100 * t, 1.0) for t in range(2, 10, 2)] == [""] * 4

    def test_says_nothing_where_nothing_is_sent(self) -> None:
        watch = FailureWatch(Abort(error_ratio=0.5, for_s=10))
        assert [watch.note(t, 5, 1.0) for t in range(2, 30, 2)] == [""] * 14
