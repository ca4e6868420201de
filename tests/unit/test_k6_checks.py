"""What the checks of the load phase say of made-up results."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from core.words import Verdict
from k6.checks import generator_valid_check, k6_run_check, thresholds_check
from k6.model import GeneratorFigures, ScenarioResult, Threshold

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
HELD = Threshold(metric="http_req_failed{part:load}", expression="rate<0.001", ok=True, samples=100)
BREACHED = Threshold(metric="http_req_duration{name:x}", expression="p(95)<80", ok=False, samples=100)
EMPTY = Threshold(metric="http_req_duration{name:login}", expression="p(95)<150", ok=True, samples=0)
NEVER_BEGAN: dict[str, Any] = {
    "exit_code": 107, "ended_by_itself": False, "never_began": True, "requests": 0, "iterations": 0, "thresholds": (),
    "error": {"where": "scenario c-coupon-spike", "what": "the load did not begin: login: 401", "cure": "See x."},
}  # fmt: skip
FAILURE = {"where": "scenario b-blog-read", "what": "k6 did not end by itself, the script threw", "cure": "See k6.log."}


def result(scenario: str = "b", figures: dict[str, Any] | None = None, **changes: Any) -> ScenarioResult:
    """50/s for 10 s, all of it made, 10 of 100 VUs busy."""
    generator: dict[str, Any] = {
        "offered_iterations": 500, "max_vus": 100, "allocated_vus": 10, "mean_iteration_s": 0.1,
        "run_delay_ratio": 0.01,
        **(figures or {}),
    }  # fmt: skip
    given: dict[str, Any] = {
        "scenario": scenario, "exit_code": 0, "ended_by_itself": True, "started": BEGAN,
        "ended": BEGAN + timedelta(seconds=10), "requests": 500, "rate_per_s": 50.0, "p50_ms": 1.0, "p95_ms": 2.0,
        "p99_ms": 3.0, "error_rate": 0.0, "iterations": 500, "dropped_iterations": 0, "wrong_answers": 0,
        "outcomes": {"200": 500}, "counters": {}, "thresholds": (HELD,), "generator": GeneratorFigures(**generator),
        "log": Path("k6.log"), "web_dashboard": None, "complaints": (), "error": None, **changes,
    }  # fmt: skip
    return ScenarioResult(**given)


class TestThresholds:
    @pytest.mark.parametrize(
        ("thresholds", "verdict"),
        [
            pytest.param((HELD,), Verdict.PASS, id="all held"),
            pytest.param((HELD, BREACHED), Verdict.FAIL, id="one breached"),
            pytest.param((HELD, EMPTY), Verdict.NO_DATA, id="one without samples: k6 passes it, we do not"),
            pytest.param((BREACHED, EMPTY), Verdict.FAIL, id="a breach is a breach"),
            pytest.param((), Verdict.NO_DATA, id="no thresholds at all"),
        ],
    )
    def test_verdict(self, thresholds: tuple[Threshold, ...], verdict: Verdict) -> None:
        assert thresholds_check(result(thresholds=thresholds)).verdict is verdict

    def test_is_the_scenarios_own_check_and_lists_each_threshold(self) -> None:
        check = thresholds_check(result("d", thresholds=(HELD, BREACHED)))
        assert check.id == "scenario-d-thresholds"
        assert "http_req_duration{name:x}: p(95)<80" in check.observed
        assert [row["samples"] for row in check.evidence["thresholds"]] == [100, 100]

    def test_names_what_had_no_samples(self) -> None:
        assert "http_req_duration{name:login}" in thresholds_check(result(thresholds=(EMPTY,))).observed

    @pytest.mark.parametrize(("wrong", "verdict"), [(0, Verdict.PASS), (1, Verdict.FAIL)])
    def test_bodies_that_are_not_right_are_failures(self, wrong: int, verdict: Verdict) -> None:
        # 1 of 500 is 0.2 %, the bound 0.1 %
        assert thresholds_check(result(wrong_answers=wrong)).verdict is verdict

    def test_a_load_that_could_not_begin_is_an_error_with_its_cause_and_cure(self) -> None:
        check = thresholds_check(result("c", **NEVER_BEGAN))
        assert check.verdict is Verdict.ERROR
        assert check.observed == "the load did not begin: login: 401 (scenario c-coupon-spike). See x."

    def test_a_run_that_did_not_end_claims_nothing(self) -> None:
        check = thresholds_check(result(error=FAILURE, ended_by_itself=False, exit_code=107))
        assert check.verdict is Verdict.NO_DATA
        assert check.observed == FAILURE["what"]


class TestK6Run:
    def test_passes_with_every_scenario_ended_and_seen(self) -> None:
        check = k6_run_check([result("a"), result("b", exit_code=99)], {"a": True, "b": True})
        assert check.verdict is Verdict.PASS
        assert check.evidence["exit_codes"] == {"a-shopping-flow": 0, "b-blog-read": 99}

    def test_fails_and_names_the_scenario_without_series(self) -> None:
        refused = "Failed to send the time series data to the endpoint: connection refused"
        check = k6_run_check([result("a"), result("b", complaints=(refused,))], {"a": True, "b": False})
        assert check.verdict is Verdict.FAIL
        assert "no k6 series in Prometheus of b-blog-read" in check.observed
        assert "connection refused" in check.observed

    def test_fails_when_k6_did_not_end_by_itself(self) -> None:
        check = k6_run_check([result(error=FAILURE, ended_by_itself=False, exit_code=107)], {"b": True})
        assert check.verdict is Verdict.FAIL
        assert FAILURE["what"] in check.observed

    def test_judges_those_that_began_and_counts_those_that_could_not(self) -> None:
        check = k6_run_check([result("b"), result("c", **NEVER_BEGAN)], {"b": True, "c": False})
        assert check.verdict is Verdict.PASS
        assert check.observed == (
            "1 scenarios ended by themselves, their series are in Prometheus; 1 could not begin: c-coupon-spike"
        )
        assert check.evidence["could_not_begin"] == ["c-coupon-spike"]

    def test_a_k6_that_died_in_mid_load_fails_beside_one_that_could_not_begin(self) -> None:
        died = result(error=FAILURE, ended_by_itself=False, exit_code=-9, requests=0)
        check = k6_run_check([died, result("c", **NEVER_BEGAN)], {"b": True, "c": False})
        assert check.verdict is Verdict.FAIL
        assert check.observed == f"{FAILURE['what']}; 1 could not begin: c-coupon-spike"

    @pytest.mark.parametrize(
        ("results", "said"),
        [
            pytest.param([], "no scenario was run", id="none was asked for"),
            pytest.param(
                [result("c", **NEVER_BEGAN)], "none of 1 scenarios could begin: c-coupon-spike", id="none could begin"
            ),
        ],
    )
    def test_has_no_data_without_a_run(self, results: list[ScenarioResult], said: str) -> None:
        check = k6_run_check(results, {})
        assert (check.verdict, check.observed) == (Verdict.NO_DATA, said)


class TestGenerator:
    @pytest.mark.parametrize(
        ("case", "verdict"),
        [
            pytest.param(result(), Verdict.PASS, id="all of the load was made"),
            pytest.param(result(iterations=499, dropped_iterations=1), Verdict.INVALID, id="0.2 % dropped"),
            pytest.param(result(iterations=490), Verdict.INVALID, id="98 % made"),
            pytest.param(result(figures={"run_delay_ratio": 0.2}), Verdict.INVALID, id="k6 had no processor"),
            pytest.param(result(figures={"run_delay_ratio": 0.1}), Verdict.PASS, id="k6 waited, within the bound"),
            pytest.param(result(figures={"run_delay_ratio": None}), Verdict.PASS, id="no schedstat here"),
            pytest.param(result(figures={"steal_ratio": 0.06}), Verdict.INVALID, id="the hypervisor took processors"),
            pytest.param(result(figures={"steal_ratio": 0.05}), Verdict.PASS, id="steal within the bound"),
            pytest.param(
                result("e", figures={"offered_iterations": None, "max_vus": None, "steal_ratio": 0.06}),
                Verdict.INVALID,
                id="a burst is judged by steal as any other",
            ),
            pytest.param(
                result(
                    iterations=400,
                    dropped_iterations=100,
                    figures={"allocated_vus": 100, "mean_iteration_s": 2.4, "steal_ratio": 0.2},
                ),
                Verdict.INVALID,
                id="all VUs wait, but for a machine that was taken away",
            ),
            pytest.param(
                # 400 iterations of 2.4 s in 10 s keep 96 of 100 VUs busy: the target is too slow, not k6
                result(iterations=400, dropped_iterations=100, figures={"allocated_vus": 100, "mean_iteration_s": 2.4}),
                Verdict.PASS,
                id="all VUs wait for the target",
            ),
            pytest.param(
                result(
                    iterations=400,
                    dropped_iterations=100,
                    figures={"allocated_vus": 100, "mean_iteration_s": 2.4, "run_delay_ratio": 0.2},
                ),
                Verdict.INVALID,
                id="all VUs wait, but k6 had no processor either",
            ),
            pytest.param(
                result("c", figures={"offered_iterations": None, "max_vus": None, "run_delay_ratio": 0.5}),
                Verdict.PASS,
                id="a burst is not judged by its wait for a processor",
            ),
        ],
    )
    def test_verdict(self, case: ScenarioResult, verdict: Verdict) -> None:
        assert generator_valid_check([case]).verdict is verdict

    def test_tells_its_figures(self) -> None:
        check = generator_valid_check([result(iterations=499, dropped_iterations=1)])
        assert check.observed == "b-blog-read: 1 iterations (0.20%) were not started while VUs were idle"
        assert check.evidence["figures"]["b-blog-read"]["dropped_iterations"] == 1

    def test_a_target_that_was_slow_by_its_own_account_is_never_the_generators_fault(self) -> None:
        # dropped while VUs were idle on average: a target that stalls for a second of ten does that
        stalled = result("d", iterations=450, dropped_iterations=50)
        sentence = "the target's own p95 was 900 ms"
        assert generator_valid_check([stalled]).verdict is Verdict.INVALID
        check = generator_valid_check([result(), stalled], {"d": sentence})
        assert check.verdict is Verdict.PASS
        assert check.observed == f"1 scenarios got the load that was asked for; d-search-load did not: {sentence}"
        assert check.evidence["figures"]["d-search-load"]["dropped_iterations"] == 50
        assert check.evidence["target_was_slow"] == {"d-search-load": sentence}

    def test_a_slow_target_excuses_no_other_scenario(self) -> None:
        check = generator_valid_check([result("b", iterations=400), result("d", iterations=400)], {"d": "slow"})
        assert check.verdict is Verdict.INVALID
        assert check.observed == "b-blog-read: 80.0% of the load was offered; d-search-load did not: slow"

    def test_has_no_data_when_nothing_ran_to_its_end(self) -> None:
        broken = result(error=FAILURE, ended_by_itself=False, exit_code=107)
        assert generator_valid_check([broken]).verdict is Verdict.NO_DATA


class TestSeveralGenerators:
    """One scenario shared by two k6."""

    def of_two(self, second: ScenarioResult, **changes: Any) -> ScenarioResult:
        return result(**{"parts": (result(), second), **changes})

    def test_that_each_kept_up_are_valid(self) -> None:
        assert generator_valid_check([self.of_two(result())]).verdict is Verdict.PASS

    def test_are_named_where_one_waited_for_a_processor(self) -> None:
        check = generator_valid_check([self.of_two(result(figures={"run_delay_ratio": 0.2}))])
        assert check.verdict is Verdict.INVALID
        assert check.observed == "b-blog-read: generator 2: k6 waited 20% of the time for a processor"

    @pytest.mark.parametrize(("apart_s", "verdict"), [(0.9, Verdict.PASS), (1.1, Verdict.INVALID)])
    def test_have_to_begin_within_a_second(self, apart_s: float, verdict: Verdict) -> None:
        late = result(started=BEGAN + timedelta(seconds=apart_s))
        check = generator_valid_check([self.of_two(late)])
        assert check.verdict is verdict
        assert ("generator 2 began 1.1 s after the first" in check.observed) is (verdict is Verdict.INVALID)

    def test_of_which_one_was_lost_make_no_claim_and_are_no_fault_of_the_target(self) -> None:
        stopped = {**FAILURE, "what": "k6 did not end by itself, the run was stopped"}
        lost = result(
            parts=(result(),),
            ended_by_itself=False,
            error=stopped,
            lost_generators=("generator 2: its worker is gone",),
        )
        valid = generator_valid_check([lost], {"b": "the blog itself measured p95 900 ms"})
        assert valid.verdict is Verdict.INVALID
        assert valid.observed == "b-blog-read: generator 2: its worker is gone"
        assert thresholds_check(lost).verdict is Verdict.NO_DATA
        run = k6_run_check([lost], {"b": True})
        assert run.verdict is Verdict.INVALID
        assert run.observed == "generator 2: its worker is gone"
