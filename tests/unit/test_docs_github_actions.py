"""docs/github-actions.yml is an example that can be copied: pinned actions, our commands, files that a run leaves."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from core.settings import ROOT
from report.render import render_all

TEXT = (ROOT / "docs" / "github-actions.yml").read_text(encoding="utf-8")
WORKFLOW: dict[Any, Any] = yaml.safe_load(TEXT)
(JOB,) = WORKFLOW["jobs"].values()
STEPS: list[dict[str, Any]] = JOB["steps"]


def step(name: str) -> dict[str, Any]:
    return next(row for row in STEPS if name in row.get("name", ""))


class TestWorkflow:
    def test_runs_for_pull_requests_with_no_more_rights_than_it_needs(self) -> None:
        assert "pull_request" in WORKFLOW[True]  # YAML reads `on` as true
        assert WORKFLOW["permissions"] == {"contents": "read", "pull-requests": "write"}
        assert JOB["timeout-minutes"] <= 60

    @pytest.mark.parametrize("action", [row["uses"] for row in STEPS if "uses" in row])
    def test_pins_each_action_to_a_whole_version(self, action: str) -> None:
        assert re.fullmatch(r"actions/[a-z-]+@v\d+\.\d+\.\d+", action)

    def test_runs_the_smoke_load_by_the_readmes_command(self) -> None:
        assert step("smoke")["run"] == "make suite ARGS='--load smoke'"
        assert re.search(r"^suite:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)

    def test_tells_and_keeps_the_result_also_of_a_run_that_failed(self) -> None:
        assert "--body-file runs/latest/report.md" in step("pull request")["run"]
        assert step("junit")["with"]["path"].split()[0] == "runs/latest/junit.xml"
        assert all("!cancelled()" in step(name)["if"] for name in ("pull request", "junit"))

    def test_names_files_that_a_run_leaves(self) -> None:
        written = (ROOT / "report" / "render.py").read_text(encoding="utf-8")
        assert render_all.__module__ == "report.render"
        names = set(re.findall(r"runs/latest/([\w.]+)", TEXT)) - {"report.json"}
        assert [name for name in sorted(names) if f'"{name}"' not in written] == []

    def test_caches_what_the_builds_are_made_from(self) -> None:
        patterns = re.findall(r"'([^']+)'", next(row for row in STEPS if "cache" in row.get("uses", ""))["with"]["key"])
        assert [pattern for pattern in patterns if not list(ROOT.glob(pattern))] == []
