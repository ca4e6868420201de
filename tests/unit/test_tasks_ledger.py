"""The ledger compares what clients were told with the target's books; each difference is named."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.words import Verdict
from k6.model import GeneratorFigures, ScenarioResult
from targets.adapter import LedgerCounts, Seed
from targets.model import load_profile
from tasks.ledger import coupons_check, orders_check
from tasks.seeding import seed_check

MOMENT = datetime(2026, 11, 22, tzinfo=UTC)
BALANCED = LedgerCounts(
    coupon_rows=100,
    coupon_users=100,
    coupon_members=100,
    coupon_stock_left=0,
    order_rows=40,
    notification_rows=40,
)


def result(scenario: str, outcomes: dict[str, int], **counters: int) -> ScenarioResult:
    return ScenarioResult(
        scenario=scenario,
        exit_code=0,
        ended_by_itself=True,
        started=MOMENT,
        ended=MOMENT,
        requests=500,
        rate_per_s=500.0,
        p50_ms=1.0,
        p95_ms=2.0,
        p99_ms=3.0,
        error_rate=0.0,
        wrong_answers=0,
        iterations=500,
        dropped_iterations=0,
        outcomes=outcomes,
        counters=counters,
        thresholds=(),
        generator=GeneratorFigures(
            offered_iterations=None,
            allocated_vus=500,
            max_vus=None,
            peak_vus=500,
            mean_iteration_s=None,
            run_delay_ratio=None,
        ),
        log=Path("k6.log"),
        web_dashboard=None,
        complaints=(),
        error=None,
    )


SPIKE = result("c", {"200": 100, "409": 400}, coupons_issued=100)
FLOW = result("a", {"200": 500}, orders_created=40)


class TestCouponLedger:
    def test_balances_when_clients_rows_users_and_redis_agree(self) -> None:
        assert coupons_check(SPIKE, BALANCED, stock=100).verdict is Verdict.PASS

    @pytest.mark.parametrize(
        ("counts", "said"),
        [
            (replace(BALANCED, coupon_rows=103, coupon_users=103, coupon_members=103), "103 coupons of a stock of 100"),
            (replace(BALANCED, coupon_rows=99, coupon_users=99), "100 were answered 200, 99 are in the database"),
            (replace(BALANCED, coupon_users=98), "100 rows belong to 98 users"),
            (replace(BALANCED, coupon_members=97), "Redis holds 97 members for 100 rows"),
            (replace(BALANCED, coupon_stock_left=5), "Redis has 5 left of 100 with 100 rows"),
        ],
        ids=["over-issue", "lost-row", "twice", "redis-members", "redis-stock"],
    )
    def test_names_each_difference(self, counts: LedgerCounts, said: str) -> None:
        check = coupons_check(SPIKE, counts, stock=100)
        assert check.verdict is Verdict.FAIL
        assert said in check.observed

    def test_a_request_without_answer_may_have_been_carried_out(self) -> None:
        unanswered = result("c", {"200": 99, "409": 400, "0": 1}, coupons_issued=99)
        assert coupons_check(unanswered, BALANCED, stock=100).verdict is Verdict.PASS

    def test_says_why_it_looks_at_nothing_where_the_target_cannot_tell(self) -> None:
        silent = replace(BALANCED, coupon_rows=None)
        assert coupons_check(SPIKE, silent, stock=100).verdict is Verdict.SKIPPED


class TestOrderLedger:
    def test_balances_when_orders_rows_events_and_notifications_agree(self) -> None:
        assert orders_check(FLOW, BALANCED, events=40, dead_letters=0).verdict is Verdict.PASS

    @pytest.mark.parametrize(
        ("counts", "events", "dead", "said"),
        [
            (replace(BALANCED, order_rows=39), 39, 0, "40 orders were answered, 39 are in the database"),
            (BALANCED, 41, 0, "41 events are on the topic for 40 orders"),
            (replace(BALANCED, notification_rows=38), 40, 0, "38 notifications for 40 orders"),
            (BALANCED, 40, 2, "2 events went to the dead-letter topic"),
        ],
        ids=["lost-order", "duplicate-event", "dropped-notification", "dead-letter"],
    )
    def test_names_each_difference(self, counts: LedgerCounts, events: int, dead: int, said: str) -> None:
        check = orders_check(FLOW, counts, events, dead)
        assert check.verdict is Verdict.FAIL
        assert said in check.observed

    def test_no_order_is_no_data(self) -> None:
        assert orders_check(result("a", {"200": 5}), BALANCED, 0, 0).verdict is Verdict.NO_DATA


class TestSeedReadback:
    profile = load_profile("portal")
    seed = Seed(
        users=600,
        products=200,
        posts=200,
        search_hits=dict(profile.catalogue.search_words),
        coupon_stock=100,
        duration_s=2.0,
    )

    def test_passes_on_what_the_profile_promises(self) -> None:
        assert seed_check(self.profile, self.seed).verdict is Verdict.PASS

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"users": 599}, "599 load users, at least 600 expected"),
            ({"posts": 0}, "0 posts, at least 100 expected"),
            ({"coupon_stock": 99}, "the coupon's stock is 99, 100 expected"),
            ({"search_hits": {}}, "'노트북' is found 0 times, 20 expected"),
        ],
    )
    def test_names_what_is_missing(self, change: dict[str, object], said: str) -> None:
        check = seed_check(self.profile, replace(self.seed, **change))
        assert check.verdict is Verdict.FAIL
        assert said in check.observed
