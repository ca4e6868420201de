"""A phase runs alone, on a stack that nobody has prepared, and what it leaves behind tells no secret."""

from __future__ import annotations

import json
from pathlib import Path

from targets.model import load_profile
from tests.proof.suite_process import SuiteProcess
from tests.secrets_told import command_lines_watched, files_that_tell


class TestDashboardsAlone:
    def test_puts_a_load_of_its_own_on_the_target_and_every_panel_has_data(self, tmp_path: Path) -> None:
        password = load_profile("portal").users.password.get_secret_value()
        with command_lines_watched([password]) as lines:
            suite = SuiteProcess(tmp_path, "--phase", "dashboards")
            ended = suite.end()
        assert ended.verdict("panels-data") == "PASS", ended.output
        assert ended.verdict("k6-run") == "SKIPPED"
        assert ended.orphans == []

        made_up = json.loads((suite.state.data / "secrets.json").read_text())
        assert len(made_up) >= 4
        secrets = [password, *made_up.values()]
        assert lines == []
        assert [secret for secret in secrets if secret in ended.output] == []
        for folder in ("runs", "prefect", "stack/logs"):  # report and logs, Prefect's database, the services' logs
            assert files_that_tell(tmp_path / folder, secrets) == []
