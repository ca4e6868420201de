"""core.checks: the registry of check ids, and what blocks what."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from core.checks import CHECKS, SCENARIOS, VERIFICATION_PLAN, Check, blocked, blockers, check, of_phase, passed_if
from core.words import Kind, Phase, Verdict

ARCHITECTURE_IDS = {
    "exporter-metrics",
    "prometheus-targets",
    "zipkin-es-index",
    "k6-run",
    "k6-panels",
    "kafka-bot-rate",
    "dashboard-live",
    "stack-alive",
    "seed-readback",
    "panels-data",
    "dashboards-provisioned",
    "scenario-a-thresholds",
    "scenario-b-thresholds",
    "scenario-c-thresholds",
    "scenario-d-thresholds",
    "scenario-e-thresholds",
    "generator-valid",
    "ledger-coupons",
    "ledger-orders",
    "cache-single-flight",
    "kafka-bot-accounting",
    "kafka-lag-drains",
    "teardown-clean",
}


def results(*checks: Check) -> dict[str, Check]:
    return {each.id: each for each in checks}


class TestRegistry:
    def test_keeps_every_id_that_nights_are_compared_by(self) -> None:
        assert set(CHECKS) >= ARCHITECTURE_IDS

    def test_names_the_seven_rows_of_the_verification_plan_in_their_order(self) -> None:
        assert VERIFICATION_PLAN == (
            "exporter-metrics",
            "prometheus-targets",
            "zipkin-es-index",
            "k6-run",
            "k6-panels",
            "kafka-bot-rate",
            "dashboard-live",
        )
        assert set(VERIFICATION_PLAN) <= set(CHECKS)

    @pytest.mark.parametrize("id", CHECKS)
    def test_needs_only_registered_verification_checks(self, id: str) -> None:
        assert all(CHECKS[need].kind is Kind.VERIFICATION for need in CHECKS[id].needs)

    @pytest.mark.parametrize("id", CHECKS)
    def test_lists_a_check_after_all_that_it_needs(self, id: str) -> None:
        order = list(CHECKS)
        assert all(order.index(need) < order.index(id) for need in CHECKS[id].needs)

    def test_has_one_thresholds_check_a_scenario(self) -> None:
        assert {f"scenario-{letter}-thresholds" for letter in SCENARIOS} <= set(CHECKS)
        assert [*SCENARIOS] == ["a", "b", "c", "d", "e"]

    def test_judges_the_platform_only_in_objectives(self) -> None:
        assert {id for id, spec in CHECKS.items() if spec.kind is Kind.OBJECTIVE} == {
            *(f"scenario-{letter}-thresholds" for letter in SCENARIOS),
            "ledger-coupons",
            "ledger-orders",
            "traces-complete",
            "cache-single-flight",
            "kafka-lag-drains",
            "soak-trends",
        }

    def test_gives_every_phase_at_least_one_check_and_keeps_their_order(self) -> None:
        for phase in Phase:
            ids = [spec.id for spec in of_phase(phase)]
            assert ids == [id for id, spec in CHECKS.items() if spec.phase is phase]
            assert ids


class TestBlocking:
    @pytest.mark.parametrize(
        ("verdict", "blocks"),
        [
            (Verdict.PASS, False),
            (Verdict.SKIPPED, False),
            (Verdict.INVALID, False),
            (Verdict.FAIL, True),
            (Verdict.NO_DATA, True),
            (Verdict.ERROR, True),
        ],
    )
    def test_comes_from_a_verification_that_did_not_show_its_claim(self, verdict: Verdict, blocks: bool) -> None:
        assert check("k6-run", verdict, "seen").blocks is blocks

    @pytest.mark.parametrize("verdict", Verdict)
    def test_never_comes_from_an_objective(self, verdict: Verdict) -> None:
        assert not check("ledger-coupons", verdict, "seen").blocks

    def test_names_only_the_needs_that_stand_in_the_way(self) -> None:
        seen = results(
            check("exporter-metrics", Verdict.PASS, "4 of 4"),
            check("prometheus-targets", Verdict.FAIL, "redis-exporter is down"),
        )
        assert blockers("kafka-bot-rate", seen) == ("prometheus-targets",)

    def test_does_not_come_from_a_check_that_was_not_asked_for(self) -> None:
        assert blockers("kafka-bot-rate", {}) == ()

    def test_is_handed_on_along_the_needs(self) -> None:
        first = check("seed-readback", Verdict.FAIL, "0 products")
        second = blocked("k6-run", blockers("k6-run", results(first)))
        third = blocked("k6-panels", blockers("k6-panels", results(first, second)))
        assert second.observed == "blocked by seed-readback"
        assert third.observed == "blocked by k6-run"

    def test_leaves_no_data_with_every_blocker_named(self) -> None:
        result = blocked("kafka-bot-rate", ("exporter-metrics", "prometheus-targets"))
        assert result.verdict is Verdict.NO_DATA
        assert result.observed == "blocked by exporter-metrics, prometheus-targets"


class TestCheck:
    def test_takes_claim_kind_and_phase_from_the_registry(self) -> None:
        result = check("kafka-bot-rate", Verdict.PASS, "100.0 msg/s", rate_per_s=100.0)
        spec = CHECKS["kafka-bot-rate"]
        assert (result.claim, result.kind, result.phase) == (spec.claim, spec.kind, spec.phase)
        assert result.evidence == {"rate_per_s": 100.0}

    def test_refuses_an_id_that_is_not_registered(self) -> None:
        with pytest.raises(KeyError, match="no-such-check"):
            check("no-such-check", Verdict.PASS, "seen")

    @pytest.mark.parametrize(("good", "verdict"), [(True, Verdict.PASS), (False, Verdict.FAIL)])
    def test_passes_exactly_when_the_claim_is_good(self, good: bool, verdict: Verdict) -> None:
        assert passed_if("k6-run", good, "exit 0").verdict is verdict

    def test_does_not_change_once_it_is_said(self) -> None:
        with pytest.raises(ValidationError, match="frozen"):
            check("k6-run", Verdict.FAIL, "exit 107").verdict = Verdict.PASS  # type: ignore[misc]

    def test_survives_the_way_through_report_json(self) -> None:
        result = check("ledger-coupons", Verdict.FAIL, "101 rows", rows=101, stock=100)
        assert Check.model_validate_json(result.model_dump_json()) == result
