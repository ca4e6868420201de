"""A load ends by itself: when its budget is used up, when the target fails too much, and when the suite is gone."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from core.ports import ServiceId
from core.settings import ROOT, Settings
from core.waiting import wait_for
from k6.command_line import built_k6
from k6.model import K6Program, Progress, ScenarioRequest, ScenarioResult
from k6.runner import run_scenario
from targets.budget import Limits
from targets.load import load_load
from targets.model import Profile, load_profile
from tests.elsewhere.stub import Stub, stub

LOAD_S = 40.0
STARTER = """
import sys, threading
from pathlib import Path
import core.processes
core.processes.shutil.which = lambda _: None  # as where there is no parent-death signal: macOS, a bare container
from tests.integration.test_limits import request_to
from k6.runner import run_scenario
request = request_to(sys.argv[1], Path(sys.argv[2]))
run_scenario(request, lambda seen: print("under load", flush=True), threading.Event())
"""


def request_to(url: str, folder: Path, seconds: float = LOAD_S, **changes: Any) -> ScenarioRequest:
    """Scenario B at 50 requests/s; `changes` to the profile."""
    known = load_profile("portal")
    profile = known.model_copy(update={"addresses": {**known.addresses, ServiceId.GATEWAY: url}})
    profile = Profile.model_validate(profile.model_dump() | changes)
    smoke = load_load("smoke")
    load = smoke.model_copy(update={"b": smoke.b.model_copy(update={"duration_s": seconds})})
    return ScenarioRequest(
        scenario="b", profile=profile, load=load,
        run_id="r", run_mark="r", coupon_id="1", product_id="1", k6=K6Program(built_k6(Settings().cache_dir)),
        out_dir=folder, remote_write_url=None,
    )  # fmt: skip


def limited_run(request: ScenarioRequest) -> tuple[ScenarioResult, str]:
    """The result, and the sentence that ended the load."""
    stop, said = threading.Event(), list[str]()
    limit = Limits(request.profile).of("b")

    def note(progress: Progress) -> None:
        if sentence := limit(progress.elapsed_s, progress.requests, progress.ill_ratio):
            said.append(sentence)
            stop.set()

    return run_scenario(request, note, stop), said[0] if said else ""


class TestLoad:
    def test_ends_when_the_budget_is_used_up(self, tmp_path: Path) -> None:
        with stub(port=0) as told:
            request = request_to(told.url, tmp_path, budget={"requests": 150, "minutes": 5})
            result, said = limited_run(request)
        assert said == "the target's budget of 150 requests is used up"
        assert 150 < result.requests < 150 + 50 * 5  # looked at every two seconds, then k6 has to hear of it
        assert not result.ended_by_itself

    def test_ends_when_the_target_fails_for_a_while(self, tmp_path: Path) -> None:
        with stub(port=0) as told:
            told.redirect = lambda _: (503, told.url)
            request = request_to(told.url, tmp_path, abort={"error_ratio": 0.2, "for_s": 4})
            result, said = limited_run(request)
        assert said.startswith("the target failed ")
        assert (result.ended - result.started).total_seconds() < LOAD_S / 2

    def test_goes_on_when_the_targets_limiter_refuses(self, tmp_path: Path) -> None:
        with stub(port=0) as told:
            told.redirect = lambda _: (429, told.url)
            request = request_to(told.url, tmp_path, seconds=8, abort={"error_ratio": 0.2, "for_s": 4})
            result, said = limited_run(request)
        assert said == ""
        assert result.outcomes["429"] > 0.2 * result.requests

    def test_goes_on_when_all_is_well(self, tmp_path: Path) -> None:
        with stub(port=0) as told:
            request = request_to(told.url, tmp_path, seconds=6, abort={"error_ratio": 0.2, "for_s": 4})
            result, said = limited_run(request)
        assert said == ""
        assert result.ended_by_itself

    def test_ends_when_the_suite_was_killed_and_nothing_but_a_pipe_tells(self, tmp_path: Path) -> None:
        with stub(port=0) as told:
            with subprocess.Popen(
                [sys.executable, "-c", STARTER, told.url, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
            ) as suite:
                assert suite.stdout is not None
                assert suite.stdout.readline() == "under load\n"
                suite.send_signal(signal.SIGKILL)
                suite.wait()
            assert wait_for(lambda: _asked_in_a_second(told), lambda asked: asked == 0, timeout_s=10) == 0


def _asked_in_a_second(told: Stub) -> int:
    """How many requests arrive in a second: none when the load is over."""
    before = told.asked.total()
    time.sleep(1)
    return told.asked.total() - before
