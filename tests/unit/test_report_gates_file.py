"""Gate files: what they may say, and that a mistake is told with file and line before any load."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from core.errors import ConfigError, SetupError
from core.request import Request
from core.settings import ROOT
from report.catalogue import catalogue
from report.gate_file import FOLDER, KEPT_AS, Gate, GateFile, defined_at, file_of, gates_for, keep_gates, read_gates
from report.reductions import Reduction
from report.units import UNITS
from report.windows import WindowName
from targets.model import FOLDER as TARGETS
from targets.model import Profile, load_profile
from tasks.opening import open_run
from tests.report_samples import RUN_ID

PORTAL = load_profile("portal")
GATE = """\
description: one gate
gates:
  lag:
    claim: the lag is small
    series: kafka_lag
    reduction: max
    comparison: "<"
    bound: 10
    unit: records
    window: whole
    severity: fail
    absent: no_data
"""
COMMITTED = sorted(path.stem for path in FOLDER.glob("*.yaml") if (TARGETS / path.name).is_file())
"""Those of a target; the others are there to be copied."""


def read(folder: Path, text: str) -> GateFile:
    file = folder / "mine.yaml"
    file.write_text(text, encoding="utf-8")
    return gates_for(PORTAL, file)


def refusal(folder: Path, text: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        read(folder, text)
    return caught.value


def changed(old: str, new: str) -> str:
    assert old in GATE
    return GATE.replace(old, new)


class TestCommittedFiles:
    @pytest.mark.parametrize("target", ["portal", "portal-design", "portal-universe"])
    def test_fit_the_catalogue_of_their_target(self, target: str) -> None:
        gates = gates_for(load_profile(target)).gates
        assert {"server-error-ratio", "kafka-lag-max", "memory-growth"} <= set(gates)

    @pytest.mark.parametrize("name", COMMITTED)
    def test_keep_the_ids_and_the_meaning_that_nights_are_compared_by(self, name: str) -> None:
        gates = gates_for(load_profile(name)).gates
        said = {
            id: (gate.series, gate.per, gate.reduction, gate.since_start, gate.comparison, gate.bound, gate.unit)
            for id, gate in gates.items()
        }
        assert said["server-error-ratio"] == ("service_errors", ("service_requests",), "mean", False, "<", 0.1, "%")
        assert said["kafka-lag-max"] == ("kafka_lag", (), "max", False, "<", 10_000, "records")
        assert said["memory-growth"] == ("service_memory", (), "last", True, "<", 128, "MiB")

    def test_judge_k6_server_and_kafka_alike(self) -> None:
        groups = {spec.id: spec.group for spec in catalogue(PORTAL, RUN_ID)}
        assert {groups[gate.series] for gate in gates_for(PORTAL).gates.values()} >= {"k6", "services", "kafka"}

    def test_a_target_without_its_own_is_judged_by_that_of_its_dialect(self) -> None:
        assert gates_for(load_profile("portal-design")).path == FOLDER / "portal.yaml"
        assert file_of("somebodys", "portal_universe") == FOLDER / "portal-universe.yaml"

    def test_a_target_without_any_is_told_and_never_judged_by_none(self) -> None:
        with pytest.raises(ConfigError) as caught:
            file_of("somebodys", "his_own")
        assert "no gates for target 'somebodys'" in caught.value.what
        assert "--gates FILE" in caught.value.cure


class TestGate:
    def test_is_read_as_it_stands(self, tmp_path: Path) -> None:
        gate = read(tmp_path, GATE).gates["lag"]
        assert (gate.series, gate.reduction, gate.bound, gate.unit) == ("kafka_lag", "max", 10, "records")
        assert gate.parts == ("a", "b", "c", "d", "e")

    @pytest.mark.parametrize("reduction", [each for each in get_args(Reduction) if each != "slope"])
    @pytest.mark.parametrize("window", get_args(WindowName))
    def test_takes_every_reduction_in_every_window(self, tmp_path: Path, reduction: str, window: str) -> None:
        text = changed("reduction: max", f"reduction: {reduction}").replace("window: whole", f"window: {window}")
        gate = read(tmp_path, text).gates["lag"]
        assert (gate.reduction, gate.window) == (reduction, window)

    def test_of_a_slope_is_per_hour(self, tmp_path: Path) -> None:
        text = changed("reduction: max", "reduction: slope").replace("unit: records", "unit: records/h")
        assert read(tmp_path, text).gates["lag"].unit == "records/h"

    def test_is_kept_in_the_run_directory_as_it_was(self, tmp_path: Path) -> None:
        keep_gates(read(tmp_path, GATE), tmp_path)
        assert (tmp_path / KEPT_AS).read_text(encoding="utf-8") == GATE

    def test_that_cannot_be_kept_says_so(self, tmp_path: Path) -> None:
        with pytest.raises(SetupError, match=r"gates\.yaml cannot be written"):
            keep_gates(read(tmp_path, GATE), tmp_path / "nowhere")


class TestMistakes:
    """Each answers with file, line and what is expected there."""

    @pytest.mark.parametrize(
        ("text", "line", "said"),
        [
            pytest.param(changed("kafka_lag", "kafka_lags"), 5, "did you mean 'kafka_lag'?", id="series, misspelt"),
            pytest.param(changed("kafka_lag", "xyzzy"), 5, "known: bot_actual_rate", id="series, unknown"),
            pytest.param(
                changed("max", "p42"), 6, "'max', 'mean', 'last', 'p50', 'p95', 'p99' or 'slope'", id="reduct."
            ),
            pytest.param(changed('"<"', '"~"'), 7, "'<', '<=', '>' or '>='", id="comparison"),
            pytest.param(changed("bound: 10", "bound: many"), 8, "valid number", id="bound, a word"),
            pytest.param(changed("bound: 10", "bound: .nan"), 8, "finite number", id="bound, not a number"),
            pytest.param(changed("bound: 10", "bound: true"), 8, "valid number", id="bound, yes or no"),
            pytest.param(changed("unit: records", "unit: ms"), 9, "'records' fits", id="unit"),
            pytest.param(changed("reduction: max", "reduction: slope"), 9, "'records/h' fits", id="unit of a slope"),
            pytest.param(changed("window: whole", "window: middle"), 10, "'steady', 'spike' or 'drain'", id="window"),
            pytest.param(changed("severity: fail", "severity: critical"), 11, "'fail' or 'warn'", id="severity"),
            pytest.param(changed("absent: no_data", "absent: pass"), 12, "'no_data' or 'skip'", id="absence"),
            pytest.param(GATE + "    parts: [f]\n", 13, "'gates.lag.parts.0'", id="part"),
            pytest.param(GATE + "    per: [kafka_brokers]\n", 13, "'kafka_brokers' is in count", id="unit of per"),
            pytest.param(GATE + "    only: {name: x}\n", 13, "no label 'name'; its labels: consumergroup", id="label"),
            pytest.param(GATE + "    colour: blue\n", 13, "unknown key 'gates.lag.colour'", id="key"),
            pytest.param(changed("  lag:", "  k6-lag:"), 2, "'k6-lag' is no id", id="id"),
            pytest.param(changed("    window: whole\n", ""), 3, "missing key 'gates.lag.window'", id="missing"),
            pytest.param(
                changed("unit: records", "unit: ratio\n    since_start: true\n    per: [kafka_lag]"),
                3,
                "since_start goes with a plain series",
                id="change of a share",
            ),
            pytest.param("description: none\ngates: {}\n", 2, "at least 1 item", id="no gate"),
            pytest.param("gates: {\n", 2, "not valid YAML", id="YAML"),
        ],
    )
    def test_are_told_with_file_and_line(self, tmp_path: Path, text: str, line: int, said: str) -> None:
        error = refusal(tmp_path, text)
        assert said in error.what
        assert error.where == f"{tmp_path / 'mine.yaml'}:{line}"

    def test_several_at_once_are_all_named(self, tmp_path: Path) -> None:
        text = changed("kafka_lag", "lag").replace("window: whole", "window: middle")
        assert {"gates.lag.series", "gates.lag.window"} <= set(
            re.findall(r"'(gates\.[\w.]+)'", refusal(tmp_path, text).what)
        )

    def test_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError) as caught:
            gates_for(PORTAL, tmp_path / "none.yaml")
        assert caught.value.where == str(tmp_path / "none.yaml")


class TestWrongPromQL:
    """The catalogue's queries take their labels from the profile."""

    def broken(self) -> Profile:
        metrics = PORTAL.metrics.model_copy(update={"service_label": "my app"})
        return PORTAL.model_copy(update={"metrics": metrics})

    def test_is_told_with_the_line_of_the_series(self) -> None:
        with pytest.raises(ConfigError) as caught:
            gates_for(self.broken())
        file, line = caught.value.where.split(":")
        defined = (ROOT / file).read_text(encoding="utf-8").splitlines()[int(line) - 1 : int(line) + 1]
        assert "series 'service_requests' is not PromQL" in caught.value.what
        assert '"service_requests"' in "".join(defined)
        assert "`metrics` in the profile of 'portal'" in caught.value.cure

    def test_of_a_series_whose_id_is_made_has_its_line_too(self) -> None:
        file, line = defined_at("service_latency_p95").split(":")
        assert "SeriesSpec(" in (ROOT / file).read_text(encoding="utf-8").splitlines()[int(line) - 1]


class TestBeforeAnyLoad:
    def test_a_run_is_not_opened_by_a_wrong_gate_file(self, tmp_path: Path) -> None:
        file = tmp_path / "mine.yaml"
        file.write_text(changed("kafka_lag", "kafka_lags"), encoding="utf-8")
        with pytest.raises(ConfigError, match="did you mean 'kafka_lag'"):
            open_run(Request(gates=file, run_dir=tmp_path / "runs"))
        assert not (tmp_path / "runs").exists()

    def test_the_command_line_says_file_and_line_and_exits_with_2(self, tmp_path: Path) -> None:
        file = tmp_path / "mine.yaml"
        file.write_text(changed("unit: records", "unit: ms"), encoding="utf-8")
        command = [sys.executable, "-m", "flows.full_suite", "--gates", str(file), "--run-dir", str(tmp_path / "runs")]
        answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
        assert answer.returncode == 2
        assert f"{file}:9" in answer.stderr
        assert "Traceback" not in answer.stderr
        assert not (tmp_path / "runs").exists()


class TestPage:
    PAGE = (ROOT / "docs" / "gates.md").read_text(encoding="utf-8")

    def test_explains_every_key(self) -> None:
        assert [key for key in Gate.model_fields if f"| `{key}` |" not in self.PAGE] == []

    def test_names_every_reduction_window_and_unit(self) -> None:
        words = (*get_args(Reduction), *get_args(WindowName), *(unit for units in UNITS.values() for unit in units))
        assert [word for word in words if f"`{word}`" not in self.PAGE] == []

    def test_shows_a_gate_that_can_be_read(self, tmp_path: Path) -> None:
        [example] = re.findall(r"```yaml\n(.*?)```", self.PAGE, re.S)
        shown: Any = yaml.safe_load(example)["gates"]["server-error-ratio"]
        assert read(tmp_path, example).gates["server-error-ratio"] == gates_for(PORTAL).gates["server-error-ratio"]
        assert shown["claim"].startswith("fewer than 1 in 1,000")


def test_known_series_may_be_those_of_a_run(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(GATE, encoding="utf-8")
    known = {spec.id: spec for spec in catalogue(PORTAL, RUN_ID) if spec.id == "kafka_lag"}
    assert list(read_gates(file, known).gates) == ["lag"]
