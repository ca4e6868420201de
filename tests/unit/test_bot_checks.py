"""The three checks of the phase."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from bots.checks import kafka_bot_accounting_check, kafka_bot_rate_check, kafka_lag_drains_check
from bots.plan import Accounting, BotResult, Drain, LagSample, Latency, Problem, StepResult
from bots.schedule import message_count
from core.words import Verdict
from targets.shape import BotStep

MOMENT = datetime(2026, 11, 22, tzinfo=UTC)
BROKER_GONE = Problem(what="the broker takes no more messages", cure="Is the broker alive?")


def latency(milliseconds: float) -> Latency:
    return Latency(p50_ms=milliseconds, p95_ms=milliseconds, p99_ms=milliseconds, max_ms=milliseconds)


def step(
    acked: int = 3000, sending_s: float = 30.0, rate: float = 100, duration_s: float = 30, to: float | None = None
) -> StepResult:
    asked = BotStep(rate_per_s=rate, duration_s=duration_s, to_rate_per_s=to)
    scheduled = message_count(asked)
    return StepResult(
        asked=str(asked),
        asked_rate_per_s=asked.mean_rate_per_s,
        asked_duration_s=duration_s,
        scheduled=scheduled,
        sent=scheduled,
        acked=acked,
        sending_s=sending_s,
        rate_per_s=acked / sending_s,
    )


def accounting(**changes: int) -> Accounting:
    clean = dict.fromkeys(("lost", "duplicates", "unacknowledged_in_log", "never_sent", "order_breaks"), 0)
    return Accounting(**{"read": 3000, "offset_growth": 3000, "in_log": 3000, **clean, **changes})


def drain(*lags: int, **changes: Any) -> Drain:
    figures: dict[str, Any] = {
        "group": "notification-group",
        "peak_lag_records": max(lags, default=None),
        "last_lag_records": lags[-1] if lags else None,
        "drain_s": 4.0,
        "dead_letters": 0,
        "unanswered": 0,
        "series": tuple(LagSample(at_s=second, lag_records=lag) for second, lag in enumerate(lags)),
    }
    return Drain(**{**figures, **changes})


def result(**changes: Any) -> BotResult:
    figures: dict[str, Any] = {
        "run_id": "r1",
        "topic": "shopping.order.created",
        "engine": "kafka-python",
        "processes": 1,
        "cpu_s": 1.5,
        "started": MOMENT,
        "ended": MOMENT,
        "steps": (step(),),
        "sent": 3000,
        "acked": 3000,
        "failed": 0,
        "failures": {},
        "from_intended": latency(2),
        "from_send": latency(1),
        "lateness": latency(0.2),
        "accounting": accounting(),
        "drain": drain(40, 120, 0),
    }
    return BotResult(**{**figures, **changes})


class TestRateCheck:
    @pytest.mark.parametrize(
        ("steps", "verdict"),
        [
            pytest.param((step(),), Verdict.PASS, id="100 msg/s for 30 s"),
            pytest.param((step(acked=2986),), Verdict.PASS, id="0.47 % less"),
            pytest.param((step(acked=2984),), Verdict.FAIL, id="0.53 % less"),
            pytest.param((step(acked=2955, sending_s=30.0),), Verdict.FAIL, id="the design's own bot: 98.5 msg/s"),
            pytest.param((step(sending_s=30.2),), Verdict.FAIL, id="all messages, but in 30.2 s"),
            pytest.param((step(acked=2900, sending_s=29.0),), Verdict.FAIL, id="the right rate, for 29 s only"),
            pytest.param((step(), step(acked=900, sending_s=1, rate=1000, duration_s=1)), Verdict.FAIL, id="2nd step"),
            pytest.param((step(acked=2, sending_s=4, rate=0.5, duration_s=3),), Verdict.PASS, id="0.5 msg/s for 3 s"),
            pytest.param((step(acked=16_500, to=1000),), Verdict.PASS, id="a ramp: 550 msg/s in the mean"),
            pytest.param((step(acked=16_500, sending_s=30.2, to=1000),), Verdict.FAIL, id="a ramp that came late"),
            pytest.param(
                (step(acked=0, duration_s=0), step()), Verdict.PASS, id="a step without time asks for nothing"
            ),
        ],
    )
    def test_holds_rate_and_time_to_half_a_percent(self, steps: tuple[StepResult, ...], verdict: Verdict) -> None:
        assert kafka_bot_rate_check(result(steps=steps)).verdict is verdict

    @pytest.mark.parametrize(
        ("steps", "told"),
        [
            pytest.param((step(),), "100.0 msg/s acknowledged of 100 asked, for 30.0 of 30 s", id="constant"),
            pytest.param(
                (step(acked=16_500, to=1000),),
                "550.0 msg/s acknowledged of 550 asked (100 to 1000 for 30s), for 30.0 of 30 s",
                id="ramp",
            ),
            pytest.param(
                (step(), step(acked=1000, sending_s=1, rate=1000, duration_s=1)),
                "100.0 msg/s acknowledged of 100 asked, for 30.0 of 30 s; "
                "1000.0 msg/s acknowledged of 1000 asked, for 1.0 of 1 s",
                id="spike",
            ),
            pytest.param(
                (step(acked=200_000, sending_s=2, rate=1_000_000, duration_s=2),),
                "100000.0 msg/s acknowledged of 1000000 asked, for 2.0 of 2 s",
                id="as fast as it goes",
            ),
        ],
    )
    def test_says_what_was_asked_and_what_came(self, steps: tuple[StepResult, ...], told: str) -> None:
        assert kafka_bot_rate_check(result(steps=steps)).observed == told

    def test_does_not_take_bursts_for_a_rate(self) -> None:
        late = kafka_bot_rate_check(result(lateness=latency(1500)))
        assert late.verdict is Verdict.INVALID
        assert "1500 ms late" in late.observed

    def test_claims_nothing_of_a_run_that_was_interrupted(self) -> None:
        assert kafka_bot_rate_check(result(interrupted=True)).verdict is Verdict.INVALID

    def test_claims_nothing_when_nothing_was_scheduled(self) -> None:
        assert kafka_bot_rate_check(result(steps=(step(acked=0, duration_s=0),), sent=0)).verdict is Verdict.NO_DATA

    def test_names_what_ended_the_load(self) -> None:
        check = kafka_bot_rate_check(result(stopped_by=BROKER_GONE))
        assert check.verdict is Verdict.FAIL
        assert "the broker takes no more messages. Is the broker alive?" in check.observed


class TestAccountingCheck:
    def test_passes_when_each_message_is_in_the_log_once(self) -> None:
        check = kafka_bot_accounting_check(result())
        assert check.verdict is Verdict.PASS
        assert check.evidence["acked"] == check.evidence["in_log"] == check.evidence["offset_growth"] == 3000

    @pytest.mark.parametrize(
        ("changes", "told"),
        [
            pytest.param({"accounting": accounting(lost=3)}, "3 acknowledged messages are not in the log", id="lost"),
            pytest.param({"accounting": accounting(duplicates=2)}, "2 duplicates", id="duplicates"),
            pytest.param(
                {"accounting": accounting(order_breaks=2)},
                "2 messages stand in the log behind a later one of the same key",
                id="out of order",
            ),
            pytest.param(
                {"accounting": accounting(unacknowledged_in_log=4)},
                "4 messages are in the log that were never acknowledged",
                id="never acknowledged",
            ),
            pytest.param(
                {"accounting": accounting(never_sent=1)}, "1 messages are in the log that were never sent", id="made up"
            ),
            pytest.param(
                {"failed": 2, "failures": {"NotEnoughReplicasError": 2}}, "2 NotEnoughReplicasError", id="failed"
            ),
            pytest.param(
                {"failed": 1, "failures": {"x": 1}, "accounting": None},
                "1 of 3000 messages failed",
                id="failed, not read",
            ),
        ],
    )
    def test_fails_and_says_how_many(self, changes: dict[str, Any], told: str) -> None:
        check = kafka_bot_accounting_check(result(**changes))
        assert check.verdict is Verdict.FAIL
        assert told in check.observed

    @pytest.mark.parametrize(
        ("changes", "verdict"),
        [
            pytest.param({"accounting": None}, Verdict.SKIPPED, id="not asked for"),
            pytest.param({"accounting": None, "verification_problem": BROKER_GONE}, Verdict.NO_DATA, id="broker gone"),
            pytest.param({"sent": 0, "acked": 0}, Verdict.NO_DATA, id="nothing was sent"),
        ],
    )
    def test_never_passes_without_data(self, changes: dict[str, Any], verdict: Verdict) -> None:
        assert kafka_bot_accounting_check(result(**changes)).verdict is verdict


class TestLagCheck:
    def test_passes_with_peak_and_time_told(self) -> None:
        check = kafka_lag_drains_check(result())
        assert check.verdict is Verdict.PASS
        assert check.observed == "the lag rose to 120 records and was 0 again 4 s after the load"
        assert check.evidence["lag_records"] == [40, 120, 0]

    @pytest.mark.parametrize(
        ("changes", "verdict", "told"),
        [
            pytest.param({"drain": drain(9999, 0)}, Verdict.PASS, "9999", id="below the bound"),
            pytest.param({"drain": drain(10_000, 0)}, Verdict.FAIL, "rose to 10,000 records", id="at the bound"),
            pytest.param({"drain": drain(50, 7, drain_s=300)}, Verdict.FAIL, "still 7 records 300 s", id="not drained"),
            pytest.param({"drain": drain(5, 0, dead_letters=2)}, Verdict.FAIL, "2 messages went", id="dead letters"),
            pytest.param({"drain": drain()}, Verdict.NO_DATA, "never committed", id="unknown group"),
            pytest.param({"drain": drain(dead_letters=9)}, Verdict.FAIL, "9 messages went", id="unknown, dead letters"),
            pytest.param(
                {"drain": drain(5, last_lag_records=None)}, Verdict.NO_DATA, "not seen again", id="no answers"
            ),
            pytest.param({"drain": drain(5, 4), "interrupted": True}, Verdict.INVALID, "interrupted", id="interrupted"),
            pytest.param({"drain": None}, Verdict.SKIPPED, "not asked for", id="not watched"),
            pytest.param(
                {"drain": None, "verification_problem": BROKER_GONE}, Verdict.NO_DATA, "alive?", id="broker gone"
            ),
        ],
    )
    def test_judges_peak_drain_and_dead_letters(self, changes: dict[str, Any], verdict: Verdict, told: str) -> None:
        check = kafka_lag_drains_check(result(**changes))
        assert check.verdict is verdict
        assert told in check.observed
