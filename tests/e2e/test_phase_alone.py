"""A phase runs alone, on a stack that nobody has prepared; it tells no secret, and nobody else can reach it."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

from infra.embedded import procfs
from targets.model import load_profile
from tests.listeners import beyond_loopback, listeners_watched, listening
from tests.proof.suite_process import SuiteProcess
from tests.secrets_told import command_lines_watched, files_that_tell


class TestDashboardsAlone:
    def test_puts_a_load_of_its_own_on_the_target_and_every_panel_has_data(self, tmp_path: Path) -> None:
        password = load_profile("portal").users.password.get_secret_value()
        suite = SuiteProcess(tmp_path, "--phase", "dashboards")
        with (
            command_lines_watched([password]) as lines,
            listeners_watched(lambda: procfs.marked(f"{suite.state.key}/")) as listeners,
        ):
            ended = suite.end()
        assert ended.verdict("panels-data") == "PASS", ended.output
        assert ended.verdict("k6-run") == "SKIPPED"
        assert ended.orphans == []

        assert len(listeners) >= 16  # stores, portal, Prometheus, Zipkin, exporters
        assert beyond_loopback(listeners) == []

        made_up = json.loads((suite.state.data / "secrets.json").read_text())
        assert len(made_up) >= 4
        secrets = [password, *made_up.values()]
        assert lines == []
        assert [secret for secret in secrets if secret in ended.output] == []
        for folder in ("runs", "prefect", "stack/logs"):  # report and logs, Prefect's database, the services' logs
            assert files_that_tell(tmp_path / folder, secrets) == []


class TestListening:
    def test_would_be_seen(self) -> None:
        """The positive control: a socket that others could reach."""
        with socket.create_server(("0.0.0.0", 0)) as open_door:
            found = beyond_loopback(listening({os.getpid()}))
            assert found == [f"0.0.0.0:{open_door.getsockname()[1]}"]
