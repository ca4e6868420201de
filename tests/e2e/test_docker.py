"""The suite on Docker, brought up for real: stand-in images under the public tags."""

from __future__ import annotations

from pathlib import Path

from core.checks import VERIFICATION_PLAN
from core.settings import Settings
from infra.docker.engine import Engine
from infra.docker.variables import project_name, state_folder
from tests.proof.suite_process import SuiteProcess
from tests.standins.engine import TestEngine


class TestSmokeOnDocker:
    def test_passes_the_verification_plan_and_leaves_nothing(self, docker_engine: TestEngine, tmp_path: Path) -> None:
        ended = SuiteProcess(tmp_path, "--backend", "docker").end()
        assert {id: ended.verdict(id) for id in VERIFICATION_PLAN} == dict.fromkeys(VERIFICATION_PLAN, "PASS"), (
            ended.output
        )
        assert ended.report is not None
        assert ended.report["backend"] == "docker"
        assert "MariaDB of Debian, standing in for mysql:8.0" in ended.report["versions"].values()
        assert ended.verdict("dashboards-provisioned") == "PASS", ended.output
        assert "28 of 28 panels answered with data" in ended.row("dashboards-provisioned")["observed"]
        assert ended.report["versions"]["grafana"].startswith("A server of the tests' own")
        assert ended.verdict("stack-alive") == "PASS"
        assert ended.verdict("teardown-clean") == "PASS"
        project = project_name(state_folder(Settings(stack_dir=tmp_path / "stack")))
        assert Engine().containers(project) == {}
        assert Engine().networks(project) == []
