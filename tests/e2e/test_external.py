"""A stack that somebody else runs: the suite attaches by a profile that names its ports, and doctor looks at it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.ports import WHOLE_STACK, ServiceId
from core.settings import ROOT, process_environment
from infra.embedded.catalogue import open_backend
from infra.mysql.account import ensure_exporter_account
from infra.stack import Backend
from targets.model import FOLDER
from tests.proof.suite_process import SuiteProcess


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """The whole stack, started by somebody else, on ports that the suite is not told."""
    with open_backend(any_ports=True, state_dir=tmp_path_factory.mktemp("others") / "stack") as backend:
        backend.start(WHOLE_STACK)
        backend.wait_ready(WHOLE_STACK)
        account = backend.exporter_account()
        assert account is not None
        ensure_exporter_account(account)
        yield backend


def profile_at(backend: Backend, file: Path, **changes: Any) -> Path:
    """The reference portal's profile with the addresses of `backend`, `changes` made, as a file."""
    profile = yaml.safe_load((FOLDER / "portal.yaml").read_text(encoding="utf-8"))
    for service, address in profile["addresses"].items():
        scheme = address.partition("://")[0]
        profile["addresses"][service] = f"{scheme}://{backend.endpoint(ServiceId(service))}"
    file.write_text(yaml.safe_dump({**profile, **changes}, allow_unicode=True), encoding="utf-8")
    return file


def doctor(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "flows.doctor", *arguments]
    environment = process_environment(PREFECT_HOME=str(folder / "prefect"), COLUMNS="300", NO_COLOR="1")
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)


class TestRun:
    def test_passes_and_leaves_the_stack_as_it_was(self, others: Backend, tmp_path: Path) -> None:
        before = {service: others.identity(service) for service in WHOLE_STACK}
        profile = profile_at(others, tmp_path / "attached.yaml")
        ended = SuiteProcess(tmp_path, "--target", str(profile), "--backend", "external").end()
        wrong = {row["id"]: row["observed"] for row in ended.rows() if row["verdict"] in ("FAIL", "ERROR", "NO_DATA")}
        assert not {id for id in wrong if not id.startswith("scenario-")}, ended.output
        assert ended.verdict("doctor") == "PASS"
        assert "warns" not in ended.row("doctor")["observed"]
        assert ended.verdict("stack-alive") == "PASS"
        assert ended.verdict("teardown-clean") == "PASS"
        assert {service: others.identity(service) for service in WHOLE_STACK} == before

    def test_is_refused_before_any_load_when_the_target_is_not_as_its_profile_says(
        self, others: Backend, tmp_path: Path
    ) -> None:
        responses = yaml.safe_load((FOLDER / "portal.yaml").read_text(encoding="utf-8"))["responses"]
        responses["products"]["items"] = "data.content"
        profile = profile_at(others, tmp_path / "wrong.yaml", responses=responses)
        arguments = ("--target", str(profile), "--backend", "external", "--phase", "load")
        ended = SuiteProcess(tmp_path, *arguments).end()
        assert ended.exit_code == 2
        assert ended.verdict("doctor") == "ERROR"
        assert ended.verdict("k6-run") == "NO_DATA"
        assert any("responses.products.items: data.items" in error["cure"] for error in ended.report["errors"])


class TestDoctor:
    def test_finds_nothing_that_lacks(self, others: Backend, tmp_path: Path) -> None:
        seen = doctor(
            tmp_path, "--target", str(profile_at(others, tmp_path / "attached.yaml")), "--backend", "external"
        )
        assert seen.returncode in (0, 3), seen.stdout + seen.stderr
        assert "lacks" not in seen.stdout
        assert "takes remote write and native histograms" in seen.stdout
        assert "wrote a span and read it back" in seen.stdout

    def test_names_wrong_credentials_with_their_cure(self, others: Backend, tmp_path: Path) -> None:
        users = yaml.safe_load((FOLDER / "portal.yaml").read_text(encoding="utf-8"))["users"]
        profile = profile_at(others, tmp_path / "users.yaml", users={**users, "email": "nobody@test.com"})
        seen = doctor(tmp_path, "--target", str(profile), "--backend", "external")
        assert seen.returncode == 2
        assert "login of nobody@test.com" in seen.stdout
        assert "Correct `users` in the profile" in " ".join(seen.stdout.split())
        assert "Traceback" not in seen.stdout + seen.stderr
