"""The k6 scripts as text: what style.md 13 asks of each."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from core.checks import SCENARIOS
from core.settings import ROOT

SCRIPTS = {name: (ROOT / "k6" / "scenarios" / f"{name}.js").read_text() for name in SCENARIOS.values()}
IMPORTS = re.compile(r"^import \{([^}]*)\} from", re.MULTILINE)
THRESHOLD = re.compile(r"'(p\(\d+\)|rate)<")


@pytest.mark.parametrize("name", SCRIPTS)
class TestScript:
    def test_each_threshold_cites_its_line(self, name: str) -> None:
        lines = SCRIPTS[name].splitlines()
        judged = [number for number, line in enumerate(lines) if THRESHOLD.search(line)]
        assert judged
        for number in judged:
            assert "design" in lines[number] + lines[number - 1], lines[number]

    def test_says_in_its_first_line_which_scenario_of_the_design_it_is(self, name: str) -> None:
        letter = name[0].upper()
        first = SCRIPTS[name].splitlines()[0]
        assert first.startswith(f"// {letter}: ")
        assert f"4.3 {letter}" in first

    def test_leaves_the_summary_that_the_runner_reads(self, name: str) -> None:
        assert "export { handleSummary } from '../lib/summary.js';" in SCRIPTS[name]

    def test_gives_its_load_the_tag_by_which_setup_is_told_apart(self, name: str) -> None:
        assert "tags: LOAD," in SCRIPTS[name]


@pytest.mark.parametrize("path", sorted((ROOT / "k6").rglob("*.js")), ids=lambda path: path.name)
class TestModule:
    def test_imports_each_name_once(self, path: Path) -> None:
        names = [name.strip() for names in IMPORTS.findall(path.read_text()) for name in names.split(",")]
        assert [name for name, times in Counter(names).items() if times > 1] == []


class TestOpenModels:
    @pytest.mark.parametrize("name", ["b-blog-read", "d-search-load"])
    def test_note_the_latency_from_the_intended_start(self, name: str) -> None:
        assert SCRIPTS[name].rstrip().count("noteLatency();") == 1

    @pytest.mark.parametrize("name", ["a-shopping-flow", "c-coupon-spike", "e-cache-thundering"])
    def test_closed_ones_have_no_schedule_to_be_late_for(self, name: str) -> None:
        assert "schedule.js" not in SCRIPTS[name]
