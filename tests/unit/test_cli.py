"""The command line: what it understands, and what it says about what it does not know."""

from __future__ import annotations

import subprocess
import sys

import pytest

from core.request import Request
from core.settings import ROOT
from core.words import Phase
from flows.cli import parse


def suite(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "flows.full_suite", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


class TestParse:
    def test_without_arguments_everything_has_its_default(self) -> None:
        assert parse([]) == Request()

    @pytest.mark.parametrize("text", ["c", "C", "c-coupon-spike"])
    def test_a_scenario_is_known_by_letter_and_by_name(self, text: str) -> None:
        assert parse(["--scenario", text]).scenario == ("c",)

    def test_options_may_be_repeated_or_listed(self) -> None:
        repeated = parse(["--phase", "exporters", "--phase", "tracing"])
        assert repeated == parse(["--phase", "exporters", "tracing"])
        assert repeated.phases == (Phase.EXPORTERS, Phase.TRACING)

    def test_a_phase_module_runs_that_phase_alone(self) -> None:
        assert parse([], Phase.TRACING).phases == (Phase.TRACING,)

    @pytest.mark.parametrize("number", ["0", "65"])
    def test_a_number_of_generators_out_of_bounds_is_named_with_the_bound(
        self, number: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as exited:
            parse(["--generators", number])
        assert exited.value.code == 2
        assert f"argument --generators: Input should be {'greater' if number == '0' else 'less'} than or equal to" in (
            capsys.readouterr().err
        )

    def test_an_unknown_scenario_lists_the_known_ones(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as exited:
            parse(["--scenario", "z"])
        assert exited.value.code == 2
        assert "known: a (a-shopping-flow), b (b-blog-read)" in capsys.readouterr().err


class TestRefusals:
    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["--target", "nowhere"], "unknown target 'nowhere'. Known: portal, portal-design, portal-universe"),
            (["--fault", "gremlins"], "invalid choice: 'gremlins' (choose from 'trace-loss', "),
            (["--fault", "memory-leak=much"], "'much' is no strength of a fault: say a number"),
            (["--fault", "oversell", "--target", "portal-universe"], "'portal-universe' has no faults to switch on"),
            (["--load", "huge"], "unknown load 'huge'. Known: design, smoke, soak"),
        ],
    )
    def test_an_unknown_name_is_one_sentence_with_the_known_ones_and_exit_2(
        self, arguments: list[str], said: str
    ) -> None:
        answer = suite(*arguments)
        assert answer.returncode == 2
        assert said in answer.stderr
        assert "Traceback" not in answer.stderr

    def test_help_teaches_the_exit_codes(self) -> None:
        answer = suite("--help")
        assert answer.returncode == 0
        assert "0 PASS   1 FAIL   2 ERROR" in answer.stdout
