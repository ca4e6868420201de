"""The generated pages are current, and every link of the documentation leads somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from core.checks import CHECKS, SCENARIOS
from core.settings import Settings
from core.words import Phase, Verdict
from docs import generate
from docs.markdown import code, table

ROOT = Path(__file__).resolve().parents[2]
WORDS = yaml.safe_load((ROOT / "docs" / "words.yaml").read_text(encoding="utf-8"))
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]
LINK = re.compile(r"\]\(([^)\s]+)\)")


def anchors(page: Path) -> set[str]:
    """The anchors that a reader's browser makes from the page's headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


class TestGeneratedPages:
    @pytest.mark.parametrize("name", generate.PAGES)
    def test_are_current(self, name: str) -> None:
        committed = ROOT / "docs" / name
        assert committed.is_file(), "run `python -m docs.generate`"
        assert committed.read_text(encoding="utf-8") == generate.page(name), "run `python -m docs.generate`"

    def test_are_named_when_they_are_stale(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(generate, "FOLDER", tmp_path)
        assert generate.main([]) == 0
        (tmp_path / "checks.md").write_text("changed by hand", encoding="utf-8")
        assert generate.main(["--check"]) == 1
        assert "docs/checks.md is not current" in capsys.readouterr().err
        assert generate.write() == ["checks.md"]
        assert generate.main(["--check"]) == 0

    def test_name_no_place_on_this_machine(self) -> None:
        assert [name for name in generate.PAGES if str(ROOT) in generate.page(name)] == []
        assert [name for name in generate.PAGES if str(Path.home()) + "/" in generate.page(name)] == []

    def test_show_every_check_with_what_blocks_it(self) -> None:
        page = generate.page("checks.md")
        for spec in CHECKS.values():
            assert f"## {spec.id}\n" in page
            row = next(line for line in page.splitlines() if line.startswith(f"| [{spec.id}]"))
            assert all(need in row for need in spec.needs)

    def test_show_every_setting(self) -> None:
        page = generate.page("settings.md")
        assert all(f"`SUITE_{name.upper()}`" in page for name in Settings.model_fields)


class TestGlossary:
    def test_ranks_the_verdicts_as_the_code_does(self) -> None:
        assert list(WORDS["verdicts"]) == ["FAIL", "ERROR", "INVALID", "NO_DATA", "PASS", "SKIPPED"]
        assert set(WORDS["verdicts"]) == set(Verdict)

    def test_names_the_phases_and_scenarios_of_the_code(self) -> None:
        assert ", ".join(Phase) in WORDS["words"]["phase"]
        assert all(name in WORDS["words"]["scenario"] for name in SCENARIOS.values())


class TestLinks:
    @pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
    def test_lead_somewhere(self, page: Path) -> None:
        assert page.is_file()
        dead = []
        for target in LINK.findall(re.sub(r"`[^`\n]*`", "", page.read_text(encoding="utf-8"))):
            name, _, anchor = target.partition("#")
            file = page.parent / name if name else page
            if not target.startswith("http") and not (file.exists() and (not anchor or anchor in anchors(file))):
                dead.append(target)
        assert sorted(set(dead)) == []


class TestMarkdown:
    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            ("a|b", "`a|b`"),
            ("a\\|b", "`a|b`"),
            ("two\n  lines", "`two lines`"),
            ("`quoted`", "`` `quoted` ``"),
        ],
    )
    def test_shows_any_text_as_code_on_one_line(self, text: str, shown: str) -> None:
        assert code(text) == shown

    def test_keeps_cells_apart_that_hold_a_bar(self) -> None:
        assert table(("a", "b"), [("x|y", "two\nlines")]) == "| a | b |\n| --- | --- |\n| x\\|y | two lines |\n"
