"""The manifests for k6-operator: what the TestRun says, and that the pods find scripts and plan where it says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from core.settings import ROOT
from infra.embedded.programs import PROGRAMS, ProgramId
from k6.kubernetes import IMAGE, main

SCHEMA = json.loads((ROOT / "tests" / "testrun-schema.json").read_text(encoding="utf-8"))


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    """The reference portal's profile with addresses of a cluster."""
    text = (ROOT / "targets" / "portal.yaml").read_text(encoding="utf-8")
    path = tmp_path / "cluster.yaml"
    path.write_text(text.replace("http://127.0.0.1:8080", "http://api-gateway.shop.svc:8080"), encoding="utf-8")
    return path


def documents(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    assert main(arguments) == 0
    return list(yaml.safe_load_all(capsys.readouterr().out))


class TestManifests:
    @pytest.mark.parametrize("scenario", ["a", "b", "c", "d", "e"])
    def test_are_a_test_run_as_the_operator_publishes_it(
        self, profile: Path, scenario: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        *_, run = documents(capsys, "--target", str(profile), "--scenario", scenario, "--generators", "4")
        jsonschema.validate(run, SCHEMA)
        assert run["spec"]["parallelism"] == 4

    def test_mount_every_script_where_the_others_import_it(
        self, profile: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        scripts, _, run = documents(capsys, "--target", str(profile))
        volume = run["spec"]["runner"]["volumes"][0]["configMap"]
        assert volume["name"] == scripts["metadata"]["name"]
        mounted = {item["path"]: scripts["data"][item["key"]] for item in volume["items"]}
        own = {
            path.relative_to(ROOT / "k6").as_posix(): path.read_text("utf-8") for path in (ROOT / "k6").rglob("*.js")
        }
        assert mounted == own
        where = run["spec"]["runner"]["volumeMounts"][0]["mountPath"]
        assert run["spec"]["script"]["localFile"].removeprefix(f"{where}/") in own
        assert sum(len(text.encode()) for text in own.values()) < 2**20  # what a ConfigMap may hold

    def test_keep_the_plan_with_its_passwords_in_a_secret(
        self, profile: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        scripts, secret, run = documents(capsys, "--target", str(profile), "--load", "design")
        plan = json.loads(secret["stringData"]["plan.json"])
        assert plan["load"]["rate_per_s"] == 500  # design 4.3 B
        assert {route["base_url"] for route in plan["routes"].values()} == {"http://api-gateway.shop.svc:8080"}
        assert plan["users"]["password"] not in yaml.safe_dump_all([scripts, run])
        environment = {row["name"]: row["value"] for row in run["spec"]["runner"]["env"]}
        mount = next(row for row in run["spec"]["runner"]["volumeMounts"] if row["name"] == "plan")
        assert environment["SUITE_PLAN"] == f"{mount['mountPath']}/plan.json"

    def test_write_native_histograms_under_the_runs_id(self, profile: Path, capsys: pytest.CaptureFixture[str]) -> None:
        *_, run = documents(capsys, "--target", str(profile), "--remote-write", "http://prom:9090/api/v1/write")
        environment = {row["name"]: row["value"] for row in run["spec"]["runner"]["env"]}
        assert environment["K6_PROMETHEUS_RW_SERVER_URL"] == "http://prom:9090/api/v1/write"
        assert environment["K6_PROMETHEUS_RW_TREND_AS_NATIVE_HISTOGRAM"] == "true"
        assert f"--tag run_id={run['metadata']['labels']['perf-suite/run-id']}" in run["spec"]["arguments"]

    def test_run_the_version_that_the_embedded_stack_builds(self) -> None:
        assert IMAGE.rpartition(":")[2] == PROGRAMS[ProgramId.K6].version


class TestAProfileOfThisMachine:
    def test_is_refused_with_the_cure(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["--target", "portal"]) == 2
        said = capsys.readouterr().err
        assert "in a pod it would be the pod itself" in said
        assert "addresses are those of the cluster's services" in said
