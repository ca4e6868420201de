"""Gates over made-up series: reductions in windows, the worst line, holes, NaN, absence, severity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from core.checks import check
from core.words import Verdict
from report.build import build
from report.gate_file import Gate
from report.gates import objective_gates
from report.junit import render_junit
from report.model import GateRow, SeriesRow
from report.prometheus import Line, Window
from report.store import Collected
from report.summary import headline, next_steps
from report.windows import BOT, PartsRun, bot_stages, scenario_stages
from targets.load import load_load
from tests.report_samples import RUN_ID, STARTED, collected, facts, line, passing_checks, scenario, specs

NAN = float("nan")
ORDERS = SeriesRow(
    id="orders",
    group="shop",
    title="Orders",
    unit="records",
    definition="Orders since the start of the shop.",
    promql="sum(orders_total)",
    state="data",
    note="",
)
"""A series whose query is a counter itself; the catalogue has none."""
KNOWN = {**{spec.id: spec for spec in specs()}, "orders": ORDERS}
LOAD = load_load("smoke").model_copy(
    update={"a": load_load("smoke").a.model_copy(update={"ramp_up_s": 30, "steady_s": 60, "ramp_down_s": 30})}
)
"""A is warm-up in steps 0 to 6, steady in 6 to 18, drain in 18 to 24; a step is 5 s."""
BOT_AT = STARTED + timedelta(seconds=150)
RUN = PartsRun(
    ("a", BOT),
    [scenario("a", 0, 120)],
    [
        *scenario_stages(scenario("a", 0, 120), LOAD),
        *bot_stages(LOAD.bot, BOT_AT, BOT_AT + timedelta(seconds=30), 10),
    ],
)
LAG = {"consumergroup": "g", "topic": "t"}


def gate(**changes: Any) -> Gate:
    """A gate on the lag, a gauge."""
    given = {
        "claim": "the lag is small",
        "series": "kafka_lag",
        "reduction": "max",
        "comparison": "<",
        "bound": 10,
        "unit": "records",
        "window": "whole",
        "parts": ["a"],
        "severity": "fail",
        "absent": "no_data",
    }
    return Gate.model_validate(given | changes, context=KNOWN)


def judged(one: Gate, found: Collected | None, run: PartsRun = RUN, **changes: Any) -> GateRow:
    [row] = objective_gates({"mine": one}, found, run, **changes)
    return row


def of_lag(*lines: Line) -> Collected:
    return collected(kafka_lag=list(lines))


def steps(first: int, last: int, inside: float, outside: float) -> Line:
    """A lag of `inside` from one step to another, both included, and of `outside` before and after."""
    return line([inside if first <= step <= last else outside for step in range(41)], **LAG)


class TestWindows:
    @pytest.mark.parametrize(
        ("window", "parts", "first", "last"),
        [
            ("whole", ["a"], 0, 24),
            ("after-warm-up", ["a"], 6, 24),
            ("steady", ["a"], 6, 18),
            ("drain", ["a"], 18, 24),
            ("steady", [BOT], 30, 36),
            ("drain", [BOT], 36, 38),
        ],
    )
    def test_only_samples_inside_count(self, window: str, parts: list[str], first: int, last: int) -> None:
        one = gate(window=window, parts=parts)
        assert judged(one, of_lag(steps(first, last, 5, 500))).verdict is Verdict.PASS
        assert judged(one, of_lag(steps(first, last, 500, 5))).verdict is Verdict.FAIL

    def test_of_a_spike_shorter_than_a_step_has_the_sample_after_it(self) -> None:
        run = PartsRun(("c",), [scenario("c", 31, 0.5)], scenario_stages(scenario("c", 31, 0.5), LOAD))
        row = judged(gate(window="spike", parts=["c"]), of_lag(steps(7, 7, 500, 5)), run)
        assert (row.verdict, row.observed) == (Verdict.FAIL, "500 records (g, t); samples reach 5 s beyond the window")

    def test_is_named_with_its_pieces(self) -> None:
        window = judged(gate(window="steady"), of_lag(steps(0, 40, 1, 1))).window
        [piece] = window.spans
        assert (window.name, window.parts) == ("steady", ("a",))
        assert (piece.started, piece.ended) == (STARTED + timedelta(seconds=30), STARTED + timedelta(seconds=90))

    def test_that_is_too_short_for_a_rate_is_skipped(self) -> None:
        short = PartsRun(("b",), [scenario("b", 50, 15)], scenario_stages(scenario("b", 50, 15), LOAD))
        one = gate(series="service_requests", unit="1/s", window="steady", parts=["b"])
        row = judged(one, collected(), short)
        assert row.verdict is Verdict.SKIPPED
        assert row.observed == "window steady is shorter here than the 25 s that it needs"

    def test_that_was_not_asked_for_is_skipped(self) -> None:
        row = judged(gate(parts=["c", "e"], window="spike"), collected())
        assert (row.verdict, row.observed) == (Verdict.SKIPPED, "scenarios C, E were not asked for")

    @pytest.mark.parametrize(("ahead_s", "said"), [(42.4, "42 s ahead of"), (-3.0, "3 s behind")])
    def test_claims_nothing_where_prometheus_has_another_clock(self, ahead_s: float, said: str) -> None:
        """Its samples lie elsewhere in time than the load: the figure would be that of another moment."""
        rows = {row.series: row for row in build(facts(), replace(collected(), clock_ahead_s=ahead_s)).gates}
        gate = rows["kafka_lag"]
        assert gate.verdict is Verdict.NO_DATA
        assert gate.observed == f"nothing is claimed: Prometheus' clock is {said} this machine's"
        assert "clock" not in rows["k6_latency_p95"].observed  # which k6 dates itself, on this machine

    def test_outside_of_what_was_collected_asks_for_the_clocks(self) -> None:
        later = PartsRun(("a",), [scenario("a", 9_000, 60)], ())
        row = judged(gate(), collected(), later)
        assert row.verdict is Verdict.NO_DATA
        assert "do the machines' clocks agree?" in row.observed


class TestReductions:
    @pytest.mark.parametrize(
        ("reduction", "unit", "value"),
        [
            # The lag is the number of the step; the steady part is steps 6 to 18.
            ("max", "records", 18),
            ("mean", "records", 12),
            ("last", "records", 18),
            ("p50", "records", 12),
            ("p95", "records", 17.4),
            ("p99", "records", 17.88),
            ("slope", "records/h", 720),
        ],
    )
    def test_are_taken_of_the_window(self, reduction: str, unit: str, value: float) -> None:
        rising = line([float(step) for step in range(41)], **LAG)
        one = gate(reduction=reduction, unit=unit, window="steady", bound=1_000)
        row = judged(one, of_lag(rising))
        assert row.value == pytest.approx(value)
        assert row.verdict is Verdict.PASS

    def test_of_what_was_added_since_the_windows_start(self) -> None:
        rising = line([100.0 + step for step in range(41)], **LAG)
        row = judged(gate(reduction="last", since_start=True, window="steady", bound=12), of_lag(rising))
        assert (row.verdict, row.value) == (Verdict.FAIL, 12)
        assert row.reduction == "last of what was added since the window's first sample, worst line"

    @pytest.mark.parametrize(
        ("comparison", "figure", "verdict"),
        [
            ("<", 10, Verdict.FAIL),
            ("<=", 10, Verdict.PASS),
            (">", 10, Verdict.FAIL),
            (">=", 10, Verdict.PASS),
            ("<", 9, Verdict.PASS),
            (">", 9, Verdict.FAIL),
        ],
    )
    def test_are_compared_with_the_bound(self, comparison: str, figure: float, verdict: Verdict) -> None:
        assert judged(gate(comparison=comparison), of_lag(line([figure] * 41, **LAG))).verdict is verdict


class TestWorstLine:
    SMALL = line([3.0] * 41, consumergroup="g", topic="small")
    LARGE = line([30.0] * 41, consumergroup="g", topic="large")

    @pytest.mark.parametrize(("comparison", "worst"), [("<", "g, large"), (">", "g, small")])
    def test_is_the_one_that_is_judged_and_named(self, comparison: str, worst: str) -> None:
        row = judged(gate(comparison=comparison), of_lag(self.SMALL, self.LARGE))
        assert (row.verdict, row.line) == (Verdict.FAIL, worst)

    def test_may_be_chosen_by_its_labels(self) -> None:
        row = judged(gate(only={"topic": "small"}), of_lag(self.SMALL, self.LARGE))
        assert (row.verdict, row.line) == (Verdict.PASS, "g, small")
        assert row.reduction == "max, worst line, topic=small"

    def test_that_is_chosen_and_not_there_is_named(self) -> None:
        row = judged(gate(only={"topic": "none"}), of_lag(self.SMALL))
        assert (row.verdict, row.observed) == (Verdict.NO_DATA, "too few samples with topic=none in the window")


class TestShares:
    def of_hits(self, hits: Sequence[float], misses: Sequence[float]) -> GateRow:
        one = gate(
            series="redis_hits",
            per=["redis_hits", "redis_misses"],
            reduction="mean",
            unit="%",
            comparison=">",
            bound=90,
        )
        return judged(one, collected(redis_hits=[line(hits)], redis_misses=[line(misses)]))

    def test_are_weighed_by_what_they_are_a_share_of(self) -> None:
        # One sample of 1 hit in 10 look-ups among 20 of 99 in 100 is 1,981 of 2,010: 98.56 %.
        row = self.of_hits([1.0, *[99.0] * 40], [9.0, *[1.0] * 40])
        assert row.verdict is Verdict.PASS
        assert row.series == "redis_hits / redis_hits + redis_misses"

    def test_of_too_few_hits_fail(self) -> None:
        row = self.of_hits([8.0] * 41, [2.0] * 41)
        assert (row.verdict, row.observed) == (Verdict.FAIL, "80.000% (all)")

    def test_of_a_service_that_is_idle_most_of_the_time_have_no_hole(self) -> None:
        # Asked in steps 0 to 2 and 22 to 24 only; the line was there all the time.
        busy = [100.0 if step < 3 or 22 <= step < 25 else 0.0 for step in range(41)]
        one = gate(series="service_errors", per=["service_requests"], reduction="mean", unit="%", bound=0.1)
        found = collected(
            service_errors=[line([0.0] * 41, application="auth-service")],
            service_requests=[line(busy, application="auth-service")],
        )
        row = judged(one, found)
        assert (row.verdict, row.observed) == (Verdict.PASS, "0.000% (auth-service)")

    def test_of_nothing_are_no_data(self) -> None:
        assert self.of_hits([0.0] * 41, [0.0] * 41).verdict is Verdict.NO_DATA


class TestNaNHolesAndRestarts:
    def test_values_that_are_no_number_do_not_count(self) -> None:
        row = judged(gate(), of_lag(line([NAN, 5.0] * 20, **LAG)))
        assert (row.verdict, row.value) == (Verdict.PASS, 5)

    def test_nothing_but_nan_is_no_data(self) -> None:
        row = judged(gate(), of_lag(line([NAN] * 41, **LAG)))
        assert (row.verdict, row.observed) == (Verdict.NO_DATA, "too few samples in the window")

    def test_a_hole_is_named_with_its_length(self) -> None:
        row = judged(gate(), of_lag(without(5, 9)))
        assert (row.verdict, row.observed) == (Verdict.PASS, "5 records (g, t); 30 s without samples")

    def test_a_hole_over_most_of_the_window_keeps_nothing(self) -> None:
        row = judged(gate(), of_lag(without(4, 20)))
        assert row.verdict is Verdict.NO_DATA
        assert row.observed == "nothing is claimed: g, t: no samples in 90 of the window's 120 s"

    def test_a_series_that_ends_early_keeps_nothing(self) -> None:
        row = judged(gate(), of_lag(without(8, 40)))
        assert (row.verdict, row.observed) == (Verdict.NO_DATA, "nothing is claimed: samples in 33% of the window only")

    def test_a_line_of_k6_pauses_between_the_scenarios_that_make_it(self) -> None:
        whole, kept = line([0.05] * 41, name="product_detail"), np.r_[0:4, 22:25]
        pausing = Line({"name": "product_detail"}, whole.times_ms[kept], whole.values[kept])
        other = line([0.04] * 41, name="post_list")
        one = gate(series="k6_latency_p95", unit="ms", bound=200)
        row = judged(one, collected(k6_latency_p95=[pausing, other]))
        assert (row.verdict, row.observed) == (Verdict.PASS, "50 ms (product_detail)")

    def test_a_hole_excuses_no_breach(self) -> None:
        assert judged(gate(bound=4), of_lag(without(4, 20))).verdict is Verdict.FAIL

    def test_the_last_value_is_that_of_the_end_and_not_of_long_before(self) -> None:
        row = judged(gate(reduction="last"), of_lag(without(18, 40)))
        assert row.observed == "nothing is claimed: g, t: last seen 35 s before the window's end"
        assert judged(gate(reduction="last"), of_lag(without(24, 40))).verdict is Verdict.PASS

    def test_a_counter_that_starts_again_is_counted_on(self) -> None:
        # 1 a step, and from step 12 on again from 0: 24 in all, of which the sample of the restart is lost.
        counted = line([float(step if step < 12 else step - 12) for step in range(41)])
        row = judged(gate(series="orders", reduction="last", since_start=True, bound=100), with_counter(counted))
        assert (row.value, row.observed) == (23, "23 records (all); counted on after 1 restart")

    def test_a_gauge_that_falls_is_left_as_it_is(self) -> None:
        falling = line([float(30 - step) for step in range(41)], **LAG)
        row = judged(gate(reduction="last", since_start=True), of_lag(falling))
        assert (row.value, row.observed) == (-24, "-24 records (g, t)")


class TestAbsence:
    def test_of_a_series_is_no_data_and_says_why(self) -> None:
        row = judged(gate(), collected(without=["kafka_lag"]))
        assert row.verdict is Verdict.NO_DATA
        assert row.observed == "Prometheus has no kafka_consumergroup_lag in this window"

    def test_of_a_series_is_skipped_where_the_gate_says_so(self) -> None:
        row = judged(gate(absent="skip"), collected(without=["kafka_lag"]))
        assert (row.verdict, row.observed) == (
            Verdict.SKIPPED,
            "Prometheus has no kafka_consumergroup_lag in this window",
        )

    def test_of_a_sample_in_the_window_is_absence_too(self) -> None:
        assert judged(gate(absent="skip"), of_lag(without(0, 24))).verdict is Verdict.SKIPPED
        assert judged(gate(), of_lag(without(0, 24))).verdict is Verdict.NO_DATA

    def test_of_what_is_shared_is_absence_too(self) -> None:
        one = gate(series="pool_active", per=["pool_max"], unit="%")
        assert judged(one, collected(without=["pool_max"])).verdict is Verdict.NO_DATA

    def test_of_a_series_that_could_not_be_read_is_never_skipped(self) -> None:
        given = collected(without=["kafka_lag"])
        rows = [row.model_copy(update={"state": "failed"}) if row.id == "kafka_lag" else row for row in given.rows]
        assert judged(gate(absent="skip"), replace(given, rows=tuple(rows))).verdict is Verdict.NO_DATA

    def test_of_a_series_that_was_never_collected_is_never_skipped(self) -> None:
        given = collected()
        rows = tuple(row for row in given.rows if row.id != "kafka_lag")
        row = judged(gate(absent="skip"), replace(given, rows=rows))
        assert (row.verdict, row.observed) == (Verdict.NO_DATA, "kafka_lag was not collected")

    def test_of_everything_is_no_data(self) -> None:
        assert judged(gate(), None).observed == "no series were collected"


class TestSeverity:
    WARNING = gate(severity="warn", bound=1)

    def report(self) -> Any:
        given = facts(gates={"lag-warning": self.WARNING.model_copy(update={"parts": ("a", "b", "c", "d", "e")})})
        return build(given, collected())

    def test_a_warning_is_shown_and_has_no_say_in_the_verdict(self) -> None:
        report = self.report()
        assert (report.gates[0].verdict, report.verdict, report.exit_code) == (Verdict.FAIL, Verdict.PASS, 0)
        assert headline(report).startswith("Everything that was asked for held")
        [step] = next_steps(report)
        assert step.title == "lag-warning"
        assert "without a say in the verdict" in step.text

    def test_gates_that_say_the_same_are_one_thing_to_do(self) -> None:
        one = gate(parts=["a", "b", "c", "d", "e"])
        report = build(facts(gates={"first": one, "second": one}), collected(without=["kafka_lag"]))
        [step] = next_steps(report)
        assert step.title == "first, second"
        assert step.text == "Prometheus has no kafka_consumergroup_lag in this window"

    def test_a_warning_is_no_failure_in_junit(self) -> None:
        root = ET.fromstring(render_junit(self.report()))
        [case] = [case for case in root.iter("testcase") if case.attrib["name"] == "lag-warning"]
        assert [child.tag for child in case] == ["system-out"]
        assert str(case[0].text).startswith("warning FAIL: ")
        assert root.attrib["failures"] == "0"

    def test_any_other_gate_fails_the_run(self) -> None:
        report = build(facts(gates={"lag": gate(bound=1, parts=["a", "b", "c", "d", "e"])}), collected())
        assert (report.verdict, report.exit_code) == (Verdict.FAIL, 1)


class TestInvalidGenerator:
    SLOW = [line([0.5] * 41, name="login")]
    ONE = gate(series="k6_latency_p95", unit="ms", bound=200, parts=["a", "b", "c", "d", "e"])

    def test_fails_no_gate_over_what_it_measured_itself(self) -> None:
        late = passing_checks(a=check("generator-valid", Verdict.INVALID, "12 % of iterations dropped"))
        report = build(facts(checks=late, gates={"slow": self.ONE}), collected(k6_latency_p95=self.SLOW))
        assert report.gates[0].verdict is Verdict.INVALID
        assert "see generator-valid" in report.gates[0].observed
        assert report.verdict is Verdict.INVALID

    def test_leaves_what_the_target_measured(self) -> None:
        late = passing_checks(a=check("generator-valid", Verdict.INVALID, "12 % of iterations dropped"))
        lag = gate(bound=1, parts=["a", "b", "c", "d", "e"])
        assert build(facts(checks=late, gates={"lag": lag}), collected()).gates[0].verdict is Verdict.FAIL


def without(first: int, last: int) -> Line:
    """A lag of 5 without the samples from one step to another."""
    whole = line([5.0] * 41, **LAG)
    kept = np.r_[0:first, last + 1 : 41]
    return Line(LAG, whole.times_ms[kept], whole.values[kept])


def with_counter(counted: Line) -> Collected:
    window = Window(STARTED, STARTED + timedelta(seconds=200))
    return Collected(RUN_ID, window, 5.0, (ORDERS,), {"orders": [counted]})
