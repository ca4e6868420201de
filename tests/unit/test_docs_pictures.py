"""The README's pictures are there, small enough to load, and made by a command that is documented."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from core.settings import ROOT
from docs.prefect_pictures import ARTIFACTS, FORM, RUN
from docs.screenshot import BYTES_MAX, DASHBOARDS, FIRST_SCREEN, main

README = (ROOT / "README.md").read_text(encoding="utf-8")
DEVELOPMENT = (ROOT / "docs" / "development.md").read_text(encoding="utf-8")


def pictures_of(page: str) -> list[str]:
    return re.findall(r"!\[[^\]]+\]\(([^)]+)\)", page)


class TestPictures:
    def test_of_the_readme_are_those_that_the_command_takes(self) -> None:
        assert pictures_of(README) == [f"docs/{name}" for name in (FIRST_SCREEN, DASHBOARDS, RUN)]
        assert "python -m docs.screenshot" in DEVELOPMENT
        assert "python -m docs.prefect_pictures" in DEVELOPMENT

    def test_of_prefect_stand_on_its_page(self) -> None:
        page = (ROOT / "docs" / "prefect.md").read_text(encoding="utf-8")
        assert pictures_of(page) == [FORM, RUN, ARTIFACTS]

    @pytest.mark.parametrize("name", [FIRST_SCREEN, DASHBOARDS, RUN, FORM, ARTIFACTS])
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
