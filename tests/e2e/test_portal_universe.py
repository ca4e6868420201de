"""The whole suite with portal-universe's profile, against the portal that plays it, limiter on."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.proof.suite_process import SHORT_LOAD, Ended, SuiteProcess

PACED = {"scenario-a-thresholds", "scenario-b-thresholds", "scenario-c-thresholds", "generator-valid"}
"""What a busy machine may spoil: this is not what the test is about."""
BUCKETS = "management.metrics.distribution.percentiles-histogram.http.server.requests=true"


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    folder: Path = tmp_path_factory.mktemp("universe")
    load = yaml.safe_load(SHORT_LOAD.read_text(encoding="utf-8"))
    load["c"]["users"] = 150  # enough for sold out; 500 at once may open the circuit breaker of a busy machine
    file = folder / "short.yaml"
    file.write_text(yaml.safe_dump(load), encoding="utf-8")
    return SuiteProcess(folder, "--target", "portal-universe", "--backend", "embedded", load=str(file)).end()


class TestRun:
    def test_every_check_says_what_there_is_to_say(self, ended: Ended) -> None:
        assert ended.report is not None, ended.output
        others = {row["id"]: row["verdict"] for row in ended.report["checks"] if row["verdict"] != "PASS"}
        of_the_machine = {id for id in others if others[id] in ("FAIL", "INVALID") and id in PACED}
        assert {id: verdict for id, verdict in others.items() if id not in of_the_machine} == {
            "scenario-d-thresholds": "SKIPPED",  # its index is empty
            "scenario-e-thresholds": "SKIPPED",  # it has no cache
            "cache-single-flight": "SKIPPED",
            "ledger-orders": "SKIPPED",  # no seller service
            "panels-data": "NO_DATA",  # no buckets
            "dashboard-live": "NO_DATA",
            "dashboards-provisioned": "SKIPPED",  # no Grafana
            "soak-trends": "SKIPPED",  # nothing was steady for ten minutes
        }, ended.output
        assert ended.orphans == []

    def test_what_is_left_out_says_why_and_what_cures_it(self, ended: Ended) -> None:
        observed = {row["id"]: row["observed"] for row in ended.rows()}
        assert "/products/_bulk" in observed["scenario-d-thresholds"]
        assert "no cache" in observed["scenario-e-thresholds"]
        assert "S901" in observed["ledger-orders"]
        assert BUCKETS in observed["panels-data"]

    def test_no_request_was_refused_by_the_limiter(self, ended: Ended) -> None:
        assert ended.report is not None
        outcomes = {row["id"]: row["outcomes"] for row in ended.report["scenarios"]}
        assert set(outcomes) == {"a", "b", "c"}
        assert all("429" not in each for each in outcomes.values()), outcomes
        assert outcomes["c"]["200"] == 100

    def test_the_coupons_balance_by_rows_and_redis(self, ended: Ended) -> None:
        evidence = ended.row("ledger-coupons")["evidence"]
        assert (evidence["rows"], evidence["redis_members"], evidence["redis_stock_left"]) == (100, 100, 0)
        assert evidence["counter"] is None

    def test_says_which_choices_it_was_measured_by_and_what_played_the_platform(self, ended: Ended) -> None:
        assert ended.report is not None
        versions = ended.report["versions"]
        assert "bucket of its own" in versions["rate limiter"]
        assert "signs in" in versions["tokens"]
        assert "standing in for its Spring services" in versions["portal"]
        assert "postgres:18" in versions["postgresql"]
