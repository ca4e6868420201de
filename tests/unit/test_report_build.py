"""From facts to report: each check once, verdict and exit code, gates, and what an invalid generator may say."""

from __future__ import annotations

from dataclasses import replace

import jsonschema
import orjson
import pytest

from core.checks import CHECKS, Check, blocked, check
from core.words import Phase, Verdict
from report.build import PhaseRun, build
from report.model import ErrorRow, Report, ThresholdRow, to_json
from report.schema import PATH, main
from tests.report_samples import collected, facts, line, passing_checks, scenario, scenarios

LOST_BROKER = ErrorRow(where="kafka_bot", what="no broker", cure="Start it.")


def with_checks(*changed: Check) -> Report:
    return build(facts(checks=passing_checks(**{item.id: item for item in changed})), collected())


def verdicts(report: Report) -> dict[str, Verdict]:
    return {item.id: item.verdict for item in report.checks}


class TestVerdict:
    @pytest.mark.parametrize(
        ("found", "verdict", "exit_code"),
        [
            ((), Verdict.PASS, 0),
            ((Verdict.SKIPPED,), Verdict.PASS, 0),
            ((Verdict.NO_DATA,), Verdict.NO_DATA, 3),
            ((Verdict.INVALID, Verdict.NO_DATA), Verdict.INVALID, 3),
            ((Verdict.ERROR, Verdict.INVALID), Verdict.ERROR, 2),
            ((Verdict.FAIL, Verdict.ERROR), Verdict.FAIL, 1),
        ],
        ids=["all-pass", "skipped-is-neutral", "no-data", "invalid", "error", "fail"],
    )
    def test_is_the_worst_of_its_checks(self, found: tuple[Verdict, ...], verdict: Verdict, exit_code: int) -> None:
        ids = ("stack-alive", "ledger-orders")
        report = with_checks(*(check(id, said, "seen") for id, said in zip(ids, found, strict=False)))
        assert (report.verdict, report.exit_code) == (verdict, exit_code)

    def test_is_error_when_a_requested_part_could_not_run(self) -> None:
        report = build(facts(errors=[LOST_BROKER]), collected())
        assert (report.verdict, report.exit_code) == (Verdict.ERROR, 2)

    def test_a_fail_is_worse_than_an_error(self) -> None:
        checks = passing_checks(a=check("ledger-coupons", Verdict.FAIL, "3 too many"))
        assert build(facts(checks=checks, errors=[LOST_BROKER]), collected()).verdict is Verdict.FAIL

    def test_nothing_but_skipped_is_no_data(self) -> None:
        report = build(facts(phases=[], scenarios=[], checks=[check(id, Verdict.SKIPPED, "no") for id in CHECKS]))
        assert (report.verdict, report.exit_code) == (Verdict.NO_DATA, 3)

    @pytest.mark.parametrize("code", [130, 143])
    def test_an_interrupted_run_exits_with_its_signal(self, code: int) -> None:
        assert build(facts(interrupted=code), collected()).exit_code == code


class TestChecks:
    def test_stand_in_the_registrys_order_each_once(self) -> None:
        shuffled = passing_checks()[::-1]
        assert [item.id for item in build(facts(checks=shuffled), collected()).checks] == list(CHECKS)

    def test_of_a_phase_that_was_not_asked_for_are_skipped(self) -> None:
        report = build(facts(phases=[PhaseRun(Phase.EXPORTERS)], checks=[], scenarios=[]))
        assert verdicts(report)["k6-run"] is Verdict.SKIPPED
        assert report.check("k6-run").observed == "not asked for"
        assert verdicts(report)["exporter-metrics"] is Verdict.NO_DATA

    def test_of_a_scenario_that_was_not_asked_for_are_skipped(self) -> None:
        report = build(facts(checks=[], scenarios_asked=("b",)))
        skipped = {id for id, verdict in verdicts(report).items() if verdict is Verdict.SKIPPED}
        assert skipped == {
            *(f"scenario-{letter}-thresholds" for letter in "acde"),
            "ledger-coupons",
            "ledger-orders",
            "cache-single-flight",
            "soak-trends",
        }

    def test_that_were_never_reached_say_because_of_what(self) -> None:
        report = build(facts(checks=[], errors=[LOST_BROKER]))
        assert report.check("kafka-bot-rate").observed == "not reached: no broker"

    def test_given_twice_keep_the_worse_result(self) -> None:
        twice = [check("stack-alive", Verdict.FAIL, "mysql died"), check("stack-alive", Verdict.PASS, "all alive")]
        assert build(facts(checks=twice)).check("stack-alive").verdict is Verdict.FAIL

    def test_that_the_registry_does_not_know_are_not_dropped(self) -> None:
        extra = check("stack-alive", Verdict.FAIL, "seen").model_copy(update={"id": "of-another-version"})
        report = build(facts(checks=[*passing_checks(), extra]), collected())
        assert report.checks[-1].id == "of-another-version"
        assert report.verdict is Verdict.FAIL


class TestPhases:
    def test_carry_the_worst_of_their_checks(self) -> None:
        report = with_checks(blocked("kafka-lag-drains", ["kafka-bot-rate"]))
        assert {row.id: row.verdict for row in report.phases}[Phase.KAFKA_BOT] is Verdict.NO_DATA

    def test_that_were_not_asked_for_say_so(self) -> None:
        report = build(facts(phases=[PhaseRun(Phase.LOAD)]))
        row = report.phases[0]
        assert (row.id, row.verdict, row.note) == (Phase.EXPORTERS, Verdict.SKIPPED, "not asked for")


class TestGates:
    def test_hold_on_a_good_run(self) -> None:
        gates = {gate.id: gate for gate in build(facts(), collected()).gates}
        assert gates["kafka-lag-max"].verdict is Verdict.PASS
        assert gates["server-error-ratio"].verdict is Verdict.PASS
        assert gates["k6-a-http_req_failed-rate"].verdict is Verdict.PASS

    def test_judge_the_worst_service_over_the_loads_window_only(self) -> None:
        # 41 steps of 5 s; the load lies between 30 s and 108 s: steps 6..21, that is 16 of them.
        # auth answers 100/s and errs with 1/s inside (ratio 1 %) and with 50/s after the load, which does not count.
        errors = [1.0 if 6 <= step <= 21 else 50.0 for step in range(41)]
        found = collected(
            service_errors=[line(errors, application="auth-service")],
            service_requests=[line([100.0] * 41, application="auth-service")],
        )
        report = build(facts(), found)
        gate = next(gate for gate in report.gates if gate.id == "server-error-ratio")
        assert (gate.verdict, gate.observed) == (Verdict.FAIL, "1.000% (auth-service)")
        assert report.verdict is Verdict.FAIL

    def test_name_the_service_whose_memory_grew_while_the_load_ran(self) -> None:
        # The load lies in steps 6..21; a leak of 10 MiB a step grows by 150 MiB there, and 128 MiB are allowed.
        leaking = line([(80 + 10 * step) * 2.0**20 for step in range(41)], application="shopping-service")
        steady = line([500 * 2.0**20] * 41, application="auth-service")
        report = build(facts(), collected(service_memory=[steady, leaking]))
        gate = next(gate for gate in report.gates if gate.id == "memory-growth")
        assert (gate.verdict, gate.observed) == (Verdict.FAIL, "150 MiB (shopping-service)")
        assert report.verdict is Verdict.FAIL

    def test_without_their_series_are_no_data_and_say_why(self) -> None:
        report = build(facts(), collected(without=["kafka_lag"]))
        gate = next(gate for gate in report.gates if gate.id == "kafka-lag-max")
        assert gate.verdict is Verdict.NO_DATA
        assert "kafka_consumergroup_lag" in gate.observed
        assert report.verdict is Verdict.NO_DATA

    def test_that_see_only_nan_are_no_data(self) -> None:
        found = collected(kafka_lag=[line([float("nan")] * 41, topic="t")])
        gate = next(gate for gate in build(facts(), found).gates if gate.id == "kafka-lag-max")
        assert gate.verdict is Verdict.NO_DATA

    def test_are_skipped_where_no_load_was_asked_for(self) -> None:
        report = build(facts(phases=[PhaseRun(Phase.TRACING)], scenarios=[]))
        assert {gate.verdict for gate in report.gates} == {Verdict.SKIPPED}

    def test_a_threshold_without_samples_is_no_data_whatever_k6_says(self) -> None:
        empty = ThresholdRow(metric="http_req_duration{name:login}", expression="p(95)<150", ok=True, samples=0)
        report = build(facts(scenarios=[scenario("a", 30, 20, thresholds=(empty,))]), collected())
        assert report.gates[-1].verdict is Verdict.NO_DATA


class TestInvalidGenerator:
    """INVALID figures claim nothing, unless the target's own side shows the breach."""

    SLOW = ThresholdRow(metric="http_req_duration", expression="p(95)<200", ok=False, samples=1_500)
    FAILED = ThresholdRow(metric="http_req_failed", expression="rate<0.001", ok=False, samples=1_500)

    def judged(self, threshold: ThresholdRow, **lines: list[object]) -> Report:
        late = check("generator-valid", Verdict.INVALID, "12 % of iterations dropped")
        missed = check("scenario-a-thresholds", Verdict.FAIL, "1 of 1 thresholds missed")
        given = facts(
            checks=passing_checks(a=late, b=missed), scenarios=[scenario("a", 30, 20, thresholds=(threshold,))]
        )
        return build(given, collected(**lines))  # type: ignore[arg-type]

    def test_makes_a_missed_threshold_invalid(self) -> None:
        report = self.judged(self.SLOW)
        assert report.check("scenario-a-thresholds").verdict is Verdict.INVALID
        assert "generator-valid" in report.check("scenario-a-thresholds").observed
        assert report.gates[-1].verdict is Verdict.INVALID
        assert (report.verdict, report.exit_code) == (Verdict.INVALID, 3)

    def test_leaves_a_fail_that_the_targets_own_histogram_shows(self) -> None:
        report = self.judged(self.SLOW, service_latency_p95=[line([0.25] * 41, application="shopping-service")])
        evidence = report.check("scenario-a-thresholds").evidence["seen_by_target"]
        assert evidence == "shopping-service itself measured p95 250 ms, limit 200 ms"
        assert report.verdict is Verdict.FAIL

    def test_leaves_a_fail_that_the_targets_own_error_counter_shows(self) -> None:
        report = self.judged(
            self.FAILED,
            service_requests=[line([100.0] * 41, application="shopping-service")],
            service_errors=[line([2.0] * 41, application="shopping-service")],
        )
        assert report.check("scenario-a-thresholds").verdict is Verdict.FAIL

    def test_does_not_touch_a_missed_threshold_of_a_valid_generator(self) -> None:
        missed = check("scenario-a-thresholds", Verdict.FAIL, "1 of 2 thresholds missed")
        assert with_checks(missed).check("scenario-a-thresholds").verdict is Verdict.FAIL


class TestReportJson:
    def test_is_valid_against_the_committed_schema(self) -> None:
        document = orjson.loads(to_json(build(facts(), collected())))
        jsonschema.validate(document, orjson.loads(PATH.read_bytes()), jsonschema.Draft202012Validator)
        assert document["schema"] == 1

    def test_the_committed_schema_is_current(self) -> None:
        assert main(check=True) == 0

    def test_the_schema_refuses_a_report_without_its_verdict(self) -> None:
        document = orjson.loads(to_json(build(facts(), collected())))
        del document["verdict"]
        with pytest.raises(jsonschema.ValidationError, match="verdict"):
            jsonschema.validate(document, orjson.loads(PATH.read_bytes()))

    def test_reads_back_as_the_same_report(self) -> None:
        report = build(facts(), collected())
        assert Report.model_validate_json(to_json(report)) == report

    def test_holds_no_nan_and_no_infinity(self) -> None:
        odd = scenario("a", 30, 20, rate=float("inf"))
        checks = passing_checks(a=check("stack-alive", Verdict.PASS, "ok", deep={"x": [float("nan"), -float("inf")]}))
        given = facts(scenarios=[odd, *scenarios()[1:]], checks=checks, ledger={"ratio": float("nan")})
        document = orjson.loads(to_json(build(given, collected())))  # orjson refuses NaN and Infinity when it reads
        assert document["scenarios"][0]["rate"] is None
        assert document["ledger"] == {"ratio": None}

    def test_evidence_of_any_type_becomes_text(self) -> None:
        checks = passing_checks(a=check("stack-alive", Verdict.PASS, "ok", where=object))
        document = orjson.loads(to_json(build(facts(checks=checks), collected())))
        evidence = next(row["evidence"] for row in document["checks"] if row["id"] == "stack-alive")
        assert "object" in evidence["where"]

    def test_writes_times_in_utc(self) -> None:
        document = orjson.loads(to_json(build(facts(), collected())))
        assert document["started"] == "2026-03-01T02:00:00.000Z"

    def test_a_time_without_a_zone_is_refused(self) -> None:
        given = facts()
        with pytest.raises(ValueError, match="timezone"):
            build(replace(given, started=given.started.replace(tzinfo=None)))
