"""`k6/run.sh` as a person calls it: alone, without Prefect, with the design's environment variables (section 4.4)."""

from __future__ import annotations

import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.settings import ROOT, process_environment
from tests.integration.test_k6_runner import COUPONS, SHORT, Portal, portal

__all__ = ["portal"]

RUN_SH = ROOT / "k6" / "run.sh"
OURS = ("LOAD", "TARGET_ENV", "COUPON_ID", "PRODUCT_ID")
RECORDER = """#!/bin/sh
cp "$SUITE_PLAN" "$RECORD/plan.json"
env > "$RECORD/environment"
printf '%s\\n' "$@" > "$RECORD/arguments"
"""


@dataclass(frozen=True)
class Recorded:
    """What a k6 that only takes notes was given."""

    ended: subprocess.CompletedProcess[str]
    folder: Path

    @property
    def plan(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "plan.json").read_text())
        return found

    @property
    def environment(self) -> dict[str, str]:
        lines = (self.folder / "environment").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    @property
    def started_k6(self) -> bool:
        return (self.folder / "arguments").exists()


def run_sh(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The script in an environment without anybody's own choices, from another folder than the checkout."""
    inherited = {name: value for name, value in process_environment().items() if name not in OURS}
    return subprocess.run(
        [RUN_SH, *arguments], env={**inherited, **environment}, capture_output=True, text=True, cwd="/", timeout=60
    )


class Recorder:
    """run.sh with a k6 that takes notes in the place of the one that `make setup` built."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        program = folder / "cache" / "programs" / "k6-noted" / "k6"
        program.parent.mkdir(parents=True)
        program.write_text(RECORDER)
        program.chmod(0o755)

    def __call__(self, *arguments: str, **environment: str) -> Recorded:
        folders = {"SUITE_CACHE_DIR": self.folder / "cache", "SUITE_RUNS_DIR": self.folder / "runs"}
        given = {name: str(path) for name, path in folders.items()}
        return Recorded(run_sh(*arguments, RECORD=str(self.folder), **given, **environment), self.folder)


@pytest.fixture
def recorder(tmp_path: Path) -> Recorder:
    return Recorder(tmp_path)


class TestArguments:
    def test_none_mean_scenario_a_on_the_reference_portal(self, recorder: Recorder) -> None:
        noted = recorder()
        assert noted.plan["scenario"] == "a-shopping-flow"
        assert noted.plan["routes"]["login"]["base_url"] == "http://127.0.0.1:8080"
        assert noted.plan["load"]["vus"] == 10  # smoke
        assert noted.environment["K6_PROMETHEUS_RW_SERVER_URL"] == "http://127.0.0.1:9090/api/v1/write"  # pinned

    @pytest.mark.parametrize("target", ["local", "docker", "portal"])
    def test_the_designs_names_of_the_target_are_known(self, recorder: Recorder, target: str) -> None:
        assert recorder("b-blog-read", target).plan["routes"]["login"]["base_url"] == "http://127.0.0.1:8080"

    def test_scenario_target_and_prometheus_by_place(self, recorder: Recorder) -> None:
        noted = recorder("d-search-load", "local", "http://127.0.0.1:19090/api/v1/write")
        assert noted.plan["scenario"] == "d-search-load"
        assert noted.environment["K6_PROMETHEUS_RW_SERVER_URL"] == "http://127.0.0.1:19090/api/v1/write"

    def test_an_empty_prometheus_writes_no_series(self, recorder: Recorder) -> None:
        assert "K6_PROMETHEUS_RW_SERVER_URL" not in recorder("b", "local", "").environment

    def test_coupon_and_product_have_the_designs_defaults(self, recorder: Recorder) -> None:
        assert recorder("c").plan["coupon_id"] == "1"


class TestEnvironment:
    def test_coupon_product_and_load_are_honoured(self, recorder: Recorder) -> None:
        noted = recorder("e", COUPON_ID="77", PRODUCT_ID="1234", LOAD="design")
        assert (noted.plan["coupon_id"], noted.plan["product_id"]) == ("77", "1234")

    def test_the_target_is_honoured_and_the_argument_goes_before_it(self, recorder: Recorder) -> None:
        refused = recorder("b", TARGET_ENV="nowhere")
        assert refused.ended.returncode == 2
        assert "nowhere" in refused.ended.stderr
        assert (
            recorder("b", "docker", TARGET_ENV="nowhere").plan["routes"]["login"]["base_url"] == "http://127.0.0.1:8080"
        )

    def test_the_callers_k6_settings_and_proxies_reach_nothing(self, recorder: Recorder) -> None:
        noted = recorder(
            "b", K6_VUS="1", K6_OUT="cloud", HTTPS_PROXY="http://192.0.2.1/", http_proxy="http://192.0.2.1/"
        )
        assert noted.started_k6
        assert not {"K6_VUS", "K6_OUT", "HTTPS_PROXY", "http_proxy"} & noted.environment.keys()


class TestAnotherHost:
    """Refused with exit 2 before k6 is started (guard.md 1, 2, 25)."""

    def test_as_prometheus_is_refused(self, recorder: Recorder) -> None:
        refused = recorder("b", "portal", "http://192.0.2.1:9090/api/v1/write")
        assert refused.ended.returncode == 2
        assert "192.0.2.1" in refused.ended.stderr
        assert "127.0.0.1" in refused.ended.stderr  # the cure
        assert not refused.started_k6

    def test_as_target_is_refused(self, recorder: Recorder, tmp_path: Path) -> None:
        refused = recorder("b", str(profile_file(tmp_path, "192.0.2.1:80")))
        assert refused.ended.returncode == 2
        assert "192.0.2.1" in refused.ended.stderr
        assert not refused.started_k6

    def test_a_refusal_is_one_sentence(self, recorder: Recorder) -> None:
        refused = recorder("b", "portal", "http://192.0.2.1:9090/api/v1/write").ended
        assert len(refused.stderr.splitlines()) == 1
        assert refused.stderr.startswith("ERROR ")


def profile_file(folder: Path, gateway: str) -> Path:
    """The reference portal's profile with its gateway at `gateway`."""
    profile = yaml.safe_load((ROOT / "targets" / "portal.yaml").read_text())
    profile["addresses"]["api-gateway"] = f"http://{gateway}"
    path = folder / "elsewhere.yaml"
    path.write_text(yaml.safe_dump(profile))
    return path


def load_file(folder: Path) -> Path:
    path = folder / "short.yaml"
    path.write_text(yaml.safe_dump(SHORT.model_dump(mode="json")))
    return path


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, str]:
    return {"SUITE_RUNS_DIR": str(tmp_path / "runs"), "LOAD": str(load_file(tmp_path))}


class TestAlone:
    """The real k6 against this test's own server."""

    def test_the_coupon_of_the_environment_is_the_one_that_is_asked_for(
        self, portal: Portal, tmp_path: Path, settings: dict[str, str]
    ) -> None:
        target = profile_file(tmp_path, portal.url)
        ended = run_sh("c-coupon-spike", str(target), "", COUPON_ID="77", **settings)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert portal.asked_coupons == {"77"}
        assert f"coupons_issued: {COUPONS}" in ended.stdout
        assert "Traceback" not in ended.stderr

    def test_a_coupon_that_is_sold_out_is_said(self, portal: Portal, tmp_path: Path, settings: dict[str, str]) -> None:
        portal.holders |= {str(number) for number in range(COUPONS)}
        ended = run_sh("c", str(profile_file(tmp_path, portal.url)), "", **settings)
        assert "nobody got the coupon: it is sold out or not there. COUPON_ID chooses another one." in ended.stdout

    def test_prefect_is_not_imported(self, portal: Portal, tmp_path: Path, settings: dict[str, str]) -> None:
        target = profile_file(tmp_path, portal.url)
        ended = run_sh("c", str(target), "", PYTHONPROFILEIMPORTTIME="1", **settings)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        imported = set(re.findall(r"^import time:.*\| +([\w.]+)$", ended.stderr, re.MULTILINE))
        assert {"k6.command_line", "k6.result"} <= imported  # it is the list of the whole run
        assert not {name for name in imported if name.partition(".")[0] == "prefect"}

    def test_a_target_that_is_down_is_one_sentence_and_exit_2(self, tmp_path: Path, settings: dict[str, str]) -> None:
        ended = run_sh("b", str(profile_file(tmp_path, "127.0.0.1:1")), "", **settings)
        assert ended.returncode == 2
        said = [line for line in ended.stdout.splitlines() if line.startswith("ERROR")]
        assert any("the load did not begin" in line and "127.0.0.1:1" in line for line in said)
        assert "Traceback" not in ended.stdout + ended.stderr


def test_the_script_may_be_executed() -> None:
    assert os.access(RUN_SH, os.X_OK)
