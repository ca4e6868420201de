"""README.ko.md says what README.md says: the same commands, tables, links and pictures, section by section."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest

from core.settings import ROOT

COMMENT = re.compile(r"\s+#.*$", re.M)
PAGES = {name: (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.ko.md")}
HANGUL = re.compile(r"[가-힣]")


@dataclass(frozen=True)
class Section:
    """What a translation leaves as it is."""

    level: int
    commands: list[str]
    cells: list[tuple[int, str]]  # columns of each row, and its first cell where that is a name
    items: int
    links: list[str]
    quoted: list[str]  # `code`, whatever its order in the sentence


def sections(page: str) -> list[Section]:
    parts = re.split(r"^(?=#+ )", re.sub(r"^```bash\n(.*?)^```", _kept, page, flags=re.M | re.S), flags=re.M)
    return [section(part) for part in parts if part.strip()]


def section(part: str) -> Section:
    rows = [line.strip("|").split("|") for line in part.splitlines() if line.startswith("|")]
    links = [link for link in re.findall(r"\]\(([^)]+)\)", part) if not link.startswith("README")]
    return Section(
        level=len(part) - len(part.lstrip("#")),
        commands=[line.removeprefix("$ ") for line in part.splitlines() if line.startswith("$ ")],
        cells=[(len(row), row[0].strip() if row[0].strip().isupper() else "") for row in rows],
        items=len(re.findall(r"^(?:- |\d\. )", part, re.M)),
        links=sorted(links),
        quoted=sorted(re.findall(r"`([^`\n]+)`", part)),
    )


def _kept(block: re.Match[str]) -> str:
    """Its commands as lines with a `$`, without what is said about them."""
    return "".join(f"$ {line.rstrip()}\n" for line in COMMENT.sub("", block[1]).splitlines() if line.strip())


class TestReadmeInKorean:
    def test_has_the_same_sections(self) -> None:
        english, korean = (sections(page) for page in PAGES.values())
        assert [one.level for one in korean] == [one.level for one in english]

    @pytest.mark.parametrize("number", range(len(sections(PAGES["README.md"]))))
    def test_has_in_each_the_same_commands_tables_links_and_names(self, number: int) -> None:
        assert sections(PAGES["README.ko.md"])[number] == sections(PAGES["README.md"])[number]

    def test_is_korean_in_every_section(self) -> None:
        parts = re.split(r"^(?=## )", PAGES["README.ko.md"], flags=re.M)
        assert [part.splitlines()[0] for part in parts if len(HANGUL.findall(part)) < 40] == []

    def test_and_the_english_one_lead_to_each_other(self) -> None:
        assert "](README.ko.md)" in PAGES["README.md"]
        assert "](README.md)" in PAGES["README.ko.md"]

    @pytest.mark.parametrize(
        "changed",
        [
            PAGES["README.md"].replace("--load design", "--load smoke"),
            PAGES["README.md"].replace("| PASS |", "| GOOD |"),
            PAGES["README.md"].replace("docs/faults.md", "docs/faq.md"),
            PAGES["README.md"].replace("`process_*`", "`container_*`"),
        ],
        ids=["command", "table", "link", "name"],
    )
    def test_would_be_told_from_one_that_has_changed(self, changed: str) -> None:
        assert sections(changed) != sections(PAGES["README.ko.md"])
