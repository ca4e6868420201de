"""The ledger compares what clients were told with the target's books; each difference is named."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.words import Verdict
from k6.model import GeneratorFigures, ScenarioResult
from targets.adapter import CouponBook, LoadUser, OrderBook, Seed
from targets.model import load_profile
from tasks.ledger import coupons_check, orders_check, without_events
from tasks.seeding import seed_check

MOMENT = datetime(2026, 11, 22, tzinfo=UTC)
RECEIPTS = tuple(str(number) for number in range(1000, 1100))
USERS = tuple(LoadUser(f"user-{number}", "token") for number in range(500))
COUPONS = CouponBook(
    row_ids=frozenset(RECEIPTS),
    users=tuple(user.id for user in USERS[:100]),
    counter=100,
    members=100,
    stock_left=0,
)
ORDERS = OrderBook(rows=40, amount=400_000, wrong_totals=0, notifications=40)


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


def replace_receipts(before: ScenarioResult, receipts: tuple[str, ...]) -> ScenarioResult:
    return before.model_copy(update={"receipts": receipts})


SPIKE = replace_receipts(result("c", {"200": 100, "409": 400}, coupons_issued=100), RECEIPTS)
FLOW = result("a", {"200": 500}, orders_created=40, orders_amount=400_000)


class TestCouponLedger:
    def test_balances_when_clients_rows_users_and_redis_agree(self) -> None:
        assert coupons_check(SPIKE, COUPONS, 100, USERS).verdict is Verdict.PASS

    @pytest.mark.parametrize(
        ("book", "said"),
        [
            (replace(COUPONS, users=tuple(u.id for u in USERS[:103])), "103 coupons of a stock of 100 were issued"),
            (replace(COUPONS, users=tuple(u.id for u in USERS[:99])), "100 were answered 200, 99 are in the database"),
            (replace(COUPONS, users=(*COUPONS.users[:99], "user-0")), "100 rows belong to 99 users"),
            (replace(COUPONS, users=(*COUPONS.users[:99], "eve")), "1 rows belong to users who did not ask: eve"),
            (replace(COUPONS, row_ids=frozenset(RECEIPTS[1:])), "1 answered coupons have no row: 1000"),
            (replace(COUPONS, counter=61), "the coupon's own counter says 61 for 100 rows"),
            (replace(COUPONS, members=97), "Redis holds 97 members for 100 rows"),
            (replace(COUPONS, stock_left=5), "Redis has 5 left of 100 with 100 rows"),
        ],
        ids=["over-issue", "lost-row", "twice", "stranger", "no-row", "lost-update", "redis-members", "redis-stock"],
    )
    def test_names_each_difference(self, book: CouponBook, said: str) -> None:
        check = coupons_check(SPIKE, book, 100, USERS)
        assert check.verdict is Verdict.FAIL
        assert said in check.observed

    def test_a_user_beyond_the_iterations_did_not_ask(self) -> None:
        early = SPIKE.model_copy(update={"iterations": 99})
        assert "user-99" in coupons_check(early, COUPONS, 100, USERS).observed

    def test_a_coupon_answered_twice_is_named(self) -> None:
        doubled = replace_receipts(SPIKE, (*RECEIPTS[:99], RECEIPTS[0]))
        assert "a coupon was answered twice" in coupons_check(doubled, COUPONS, 100, USERS).observed

    def test_a_request_without_answer_may_have_been_carried_out(self) -> None:
        unanswered = result("c", {"200": 99, "409": 400, "0": 1}, coupons_issued=99)
        assert coupons_check(replace_receipts(unanswered, RECEIPTS[:99]), COUPONS, 100, USERS).verdict is Verdict.PASS

    def test_says_why_it_looks_at_nothing_where_the_target_cannot_tell(self) -> None:
        assert coupons_check(SPIKE, None, 100).verdict is Verdict.SKIPPED

    def test_compares_no_users_where_the_script_signed_them_in(self) -> None:
        assert coupons_check(SPIKE, COUPONS, 100).verdict is Verdict.PASS


class TestOrderLedger:
    def test_balances_when_orders_rows_events_and_notifications_agree(self) -> None:
        assert orders_check(FLOW, ORDERS, events=40, dead_letters=0).verdict is Verdict.PASS

    def test_do_not_count_the_events_of_the_bot_beside_the_load(self) -> None:
        beside = replace(ORDERS, notifications=40 + 150)
        assert orders_check(FLOW, beside, 40, 0).verdict is Verdict.FAIL
        assert orders_check(FLOW, without_events(beside, 150), 40, 0).verdict is Verdict.PASS
        assert without_events(None, 150) is None

    @pytest.mark.parametrize(
        ("book", "events", "dead", "said"),
        [
            (replace(ORDERS, rows=39), 39, 0, "40 orders were answered, 39 are in the database"),
            (replace(ORDERS, amount=390_000), 40, 0, "clients were told totals of 400000, the database says 390000"),
            (replace(ORDERS, wrong_totals=3), 40, 0, "3 orders have a total that is not the sum"),
            (ORDERS, 41, 0, "41 events are on the topic for 40 orders"),
            (replace(ORDERS, notifications=38), 40, 0, "38 notifications for 40 orders"),
            (ORDERS, 40, 2, "2 events went to the dead-letter topic"),
        ],
        ids=["lost-order", "amount", "totals", "duplicate-event", "dropped-notification", "dead-letter"],
    )
    def test_names_each_difference(self, book: OrderBook, events: int, dead: int, said: str) -> None:
        check = orders_check(FLOW, book, events, dead)
        assert check.verdict is Verdict.FAIL
        assert said in check.observed

    def test_no_order_is_no_data(self) -> None:
        assert orders_check(result("a", {"200": 5}), ORDERS, 0, 0).verdict is Verdict.NO_DATA


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

    def test_a_word_without_a_number_wants_at_least_one_hit(self) -> None:
        catalogue = self.profile.catalogue.model_copy(update={"search_words": {"Premium": None}})
        profile = self.profile.model_copy(update={"catalogue": catalogue})
        assert seed_check(profile, replace(self.seed, search_hits={"Premium": 3})).verdict is Verdict.PASS
        check = seed_check(profile, replace(self.seed, search_hits={"Premium": 0}))
        assert check.verdict is Verdict.FAIL
        assert "'Premium' is found 0 times, at least 1 expected" in check.observed

    def test_where_nothing_can_be_searched_no_word_is_looked_for_and_the_reason_is_said(self) -> None:
        check = seed_check(self.profile, replace(self.seed, search_hits={}, not_applicable={"d": "the index is empty"}))
        assert check.verdict is Verdict.PASS
        assert "the index is empty" in check.observed
