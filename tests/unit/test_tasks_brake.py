"""tasks.brake: a budget is reckoned before a run and counted in it; a target that has had enough ends the load."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import tasks.brake
from bots.plan import Progress as BotProgress
from core.errors import ConfigError
from core.ports import Endpoints
from core.request import Request
from core.waiting import wait_for
from core.words import Phase
from k6.model import Progress
from targets.budget import Limits
from targets.load import load_load
from targets.model import Abort, Budget, load_profile
from tasks.brake import brake, limited, limited_bot, require_budget, room_watched


def run_with(**changes: Any) -> Any:
    """As much of a run as the brake needs."""
    profile = load_profile("portal").model_copy(update=changes)
    return SimpleNamespace(
        profile=profile, limits=Limits(profile), stop=threading.Event(), braked="", errors=[], endpoints=Endpoints(),
        directory=SimpleNamespace(path=Path()), fail=lambda error: run_errors.append(error),
    )  # fmt: skip


run_errors: list[Exception] = []


@pytest.fixture(autouse=True)
def no_errors() -> None:
    run_errors.clear()


def progress(elapsed_s: float, requests: int, failed_ratio: float = 0) -> Progress:
    return Progress("b", elapsed_s, 0, vus=1, requests=requests, rate_per_s=1, failed_ratio=failed_ratio)


class TestRequireBudget:
    # smoke, as tests/unit/test_targets_budget.py derives it: A 382, B 762, C 1000, D 552, E 212; the bot 3000 messages
    @pytest.mark.parametrize(
        ("asked", "requests", "fits"),
        [
            ({}, 5_000, False),
            ({}, 10_000, True),
            ({"scenario": ("b",), "phase": (Phase.LOAD,)}, 761, False),
            ({"scenario": ("b",), "phase": (Phase.LOAD,)}, 762, True),
            ({"phase": (Phase.KAFKA_BOT,)}, 2_999, False),
            ({"phase": (Phase.KAFKA_BOT,)}, 3_000, True),
            ({"phase": (Phase.TRACING,)}, 1, True),
        ],
    )
    def test_reckons_what_was_asked_for(self, asked: dict[str, Any], requests: int, fits: bool) -> None:
        profile = load_profile("portal").model_copy(update={"budget": Budget(requests=requests, minutes=60)})
        if fits:
            require_budget(Request(**asked), profile, load_load("smoke"))
        else:
            with pytest.raises(ConfigError, match="more than its budget"):
                require_budget(Request(**asked), profile, load_load("smoke"))

    def test_reckons_the_loads_time(self) -> None:
        profile = load_profile("portal").model_copy(update={"budget": Budget(requests=10**9, minutes=30)})
        with pytest.raises(ConfigError, match="budget of 30 minutes"):
            require_budget(Request(), profile, load_load("design"))


class TestBrake:
    def test_ends_the_load_once_and_says_why(self) -> None:
        run = run_with()
        brake(run, "")
        assert not run.stop.is_set()
        brake(run, "the disk is full")
        brake(run, "something else")
        assert run.stop.is_set()
        assert run.braked == "the disk is full"
        assert [str(error) for error in run_errors] == [
            "the disk is full (target 'portal'). The load was ended for its sake: `budget` and `abort` of the profile. "
            "See to it, then run again."
        ]

    def test_counts_the_scenarios_and_the_bot_together(self) -> None:
        run = run_with(budget=Budget(requests=100, minutes=60))
        shown: list[object] = []
        limited(run, "a", shown.append)(progress(1, 60))
        assert not run.stop.is_set()
        sending = BotProgress(doing="sending", elapsed_s=1, sent=41, acked=41, failed=0, rate_per_s=1, late_ms=0)
        limited_bot(run, shown.append)(sending)
        assert run.braked == "the target's budget of 100 requests is used up"
        assert len(shown) == 2

    def test_ends_the_load_of_a_target_that_fails(self) -> None:
        run = run_with(abort=Abort(error_ratio=0.5, for_s=4))
        note = limited(run, "b", lambda _: None)
        for at_s in range(2, 8, 2):
            note(progress(at_s, at_s * 100, failed_ratio=1.0))
        assert run.braked == "the target failed 100% of 400 requests in the last 4 s"

    def test_takes_the_limiters_refusals_for_no_failure(self) -> None:
        run = run_with(abort=Abort(error_ratio=0.5, for_s=4))
        note = limited(run, "b", lambda _: None)
        for at_s in range(2, 8, 2):
            note(replace(progress(at_s, at_s * 100, failed_ratio=0.9), refused=at_s * 80))
        assert run.braked == ""

    def test_does_not_count_what_the_bot_does_after_sending(self) -> None:
        run = run_with(budget=Budget(requests=100, minutes=0.1))
        draining = BotProgress(doing="draining", elapsed_s=60, sent=1, acked=1, failed=0, rate_per_s=0, late_ms=0)
        limited_bot(run, lambda _: None)(draining)
        assert not run.stop.is_set()


class TestRoomWatched:
    def test_ends_the_load_when_the_disk_fills(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setattr(tasks.brake, "LOOK_EVERY_S", 0.01)
        run = run_with(abort=Abort(disk_free_mb=1e12))
        run.directory.path = tmp_path
        with room_watched(run):
            assert wait_for(run.stop.is_set, bool, timeout_s=5, every_s=0.01)
        assert "MB left" in run.braked

    def test_ends_the_load_at_elasticsearchs_watermark(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        run = run_with(abort=Abort(disk_free_mb=0))
        run.directory.path = tmp_path
        run.endpoints = load_profile("portal").endpoints()
        monkeypatch.setattr(tasks.brake, "elasticsearch_problem", lambda url: f"{url} is full")
        with room_watched(run):
            assert wait_for(run.stop.is_set, bool, timeout_s=5, every_s=0.01)
        assert run.braked == "http://127.0.0.1:9200 is full"

    def test_lets_a_load_with_room_be(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        run = run_with(abort=Abort(disk_free_mb=0))
        run.directory.path = tmp_path
        with room_watched(run):
            pass
        assert not run.stop.is_set()
