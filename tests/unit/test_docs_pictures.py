"""The README's pictures are there, small enough to load, and made by a command that is documented."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from core.settings import ROOT
from docs.screenshot import BYTES_MAX, DASHBOARDS, FIRST_SCREEN, main

README = (ROOT / "README.md").read_text(encoding="utf-8")


class TestPictures:
    def test_of_the_readme_are_those_that_the_command_takes(self) -> None:
        assert re.findall(r"!\[[^\]]+\]\(([^)]+)\)", README) == [f"docs/{FIRST_SCREEN}", f"docs/{DASHBOARDS}"]
        assert "python -m docs.screenshot" in (ROOT / "docs" / "development.md").read_text(encoding="utf-8")

    @pytest.mark.parametrize("name", [FIRST_SCREEN, DASHBOARDS])
    def test_are_pngs_below_the_limit(self, name: str) -> None:
        picture = (ROOT / "docs" / name).read_bytes()
        assert picture.startswith(b"\x89PNG")
        assert len(picture) <= BYTES_MAX


class TestCommand:
    def test_without_a_run_says_so_in_one_line(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main([str(tmp_path)]) == 2
        said = capsys.readouterr().err
        assert "report.json" in said
        assert said.count("\n") == 1
