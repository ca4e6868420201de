"""The scenario pages and the FAQ quote the code: numbers, thresholds, checks, panels, faults, commands, sentences."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.checks import CHECKS, SCENARIOS
from core.ports import ServiceId
from core.settings import ROOT
from dashboards.pages import all_panels
from flows.cli import parse
from infra.portal_faults import FAULTS
from report.gate_file import gates_for
from targets.load import load_load
from targets.model import ORDER_ROUTES, SCENARIO_ROUTES, RouteName, load_profile
from tests.proof.faults import EXPECTED

FOLDER = ROOT / "docs" / "scenarios"
FAQ = ROOT / "docs" / "faq.md"
PAGES = {letter: FOLDER / f"{name}.md" for letter, name in SCENARIOS.items()}
GUIDES = (*PAGES.values(), FOLDER / "README.md", FAQ)
LOADS = ("smoke", "design", "soak")
EXPRESSION = re.compile(r"(?:p\(\d+\)|rate)<[\d.]+")
THRESHOLD = re.compile(r"\[(?P<metric>FAILED|latency\((?P<name>[^)]*)\))\]: \[(?P<expressions>[^\]]*)\]")
COMMAND = re.compile(r"python -m flows\.full_suite ([^\n`#]+)")
SAID = re.compile(r"“([^”]+)”")
SPEAKING = ("k6/**/*.py", "k6/**/*.js", "core/*.py", "tasks/*.py", "report/*.py", "infra/verify/*.py")
SOURCES = "".join(path.read_text(encoding="utf-8") for pattern in SPEAKING for path in sorted(ROOT.glob(pattern)))


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def rows(page: Path, first_head: str) -> Iterator[list[str]]:
    """The cells of each row of the page's table whose first column is called `first_head`."""
    table = re.search(rf"^\| {first_head} \|.*\n\| ---.*\n((?:\|.*\n?)+)", text(page), re.M)
    assert table is not None, f"{page.name} has no table '{first_head}'"
    for line in table[1].splitlines():
        yield [cell.strip() for cell in line.strip("|").split("|")]


def thresholds_in_script(letter: str) -> set[tuple[str, str]]:
    """(request or "all", expression) as the script judges them."""
    script = text(ROOT / "k6" / "scenarios" / f"{SCENARIOS[letter]}.js")
    constants = dict(re.findall(r"^const ([A-Z]+) = '(\w+)';", script, re.M))
    found = set()
    for each in THRESHOLD.finditer(script):
        name = (each["name"] or "").strip("'")
        found |= {(constants.get(name, name) or "all", one) for one in EXPRESSION.findall(each["expressions"])}
    return found


def quoted(page: Path) -> list[str]:
    """The parts of the suite's sentences that the page quotes; … stands for what differs from run to run."""
    return [part.strip(" ,;:") for said in SAID.findall(text(page)) for part in " ".join(said.split()).split("…")]


@pytest.mark.parametrize("letter", PAGES)
class TestScenarioPage:
    def test_quotes_every_number_of_its_loads(self, letter: str) -> None:
        said = {
            word.strip("`"): [float(number) for number in numbers] for word, *numbers in rows(PAGES[letter], "number")
        }
        loads = [getattr(load_load(name), letter).model_dump() for name in LOADS]
        assert said == {word: [load[word] for load in loads] for word in loads[0]}

    def test_quotes_every_threshold_of_its_script(self, letter: str) -> None:
        said = {
            (request.strip("`"), expression)
            for request, held in rows(PAGES[letter], "requests")
            for expression in EXPRESSION.findall(held)
        }
        assert said == thresholds_in_script(letter)

    def test_quotes_no_other_bound(self, letter: str) -> None:
        judged = {expression for _, expression in thresholds_in_script(letter)}
        assert set(EXPRESSION.findall(text(PAGES[letter]))) == judged

    def test_names_every_request_of_the_load(self, letter: str) -> None:
        assert {row[0].strip("`") for row in rows(PAGES[letter], "request")} == requests_of(letter)

    def test_shows_every_fault_that_the_scenario_must_find(self, letter: str) -> None:
        expected = {(each.turns, f"--fault {fault}") for fault, each in EXPECTED.items() if each.part == letter}
        assert expected <= pairs(PAGES[letter])
        assert f"scenario-{letter}-thresholds" in {check for check, _ in pairs(PAGES[letter])}

    def test_knows_the_checks_and_faults_that_it_names(self, letter: str) -> None:
        for check, *_, fault in rows(PAGES[letter], "check"):
            assert check.strip("`") in {*CHECKS, *gates_for(load_profile("portal")).gates}
            assert not fault or fault.strip("`").removeprefix("--fault ") in FAULTS

    def test_knows_the_panels_and_logs_that_it_names(self, letter: str) -> None:
        titles = {panel.title for panel in all_panels(load_profile("portal").metrics)}
        named = re.findall(r"panel \*\*([^*]+)\*\*", text(PAGES[letter]))
        assert named
        assert [title for title in named if title not in titles] == []
        logs = re.findall(r"`logs/([\w-]+)\.log`", text(PAGES[letter]))
        assert [log for log in logs if log not in set(ServiceId)] == []

    def test_points_at_panel_trace_log_and_ledger(self, letter: str) -> None:
        places = [row[0].partition(" ")[0] for row in rows(PAGES[letter], "where")]
        assert set(places) == {"panel", "trace", "log", "ledger"}


def requests_of(letter: str) -> set[str]:
    """Name tags of the load's requests; the login is load in A only, and E tags its one route by what it is for."""
    if letter == "e":
        return {"cache_warm", "thundering_herd"}
    return {*SCENARIO_ROUTES[letter], *(ORDER_ROUTES if letter == "a" else ())} - (
        set() if letter == "a" else {RouteName.LOGIN}
    )


def pairs(page: Path) -> set[tuple[str, str]]:
    """(check, fault) of each row of the page's table of failures."""
    return {(row[0].strip("`"), row[3].strip("`")) for row in rows(page, "check")}


class TestFaults:
    def test_are_all_shown_on_some_page(self) -> None:
        shown = {fault.removeprefix("--fault ") for page in PAGES.values() for _, fault in pairs(page) if fault}
        assert shown == set(FAULTS)


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.name)
class TestGuide:
    def test_gives_commands_that_the_command_line_takes(self, page: Path) -> None:
        for arguments in COMMAND.findall(text(page)):
            assert parse(shlex.split(arguments)).fault is not None

    def test_quotes_sentences_that_the_suite_says(self, page: Path) -> None:
        assert [part for part in quoted(page) if part not in SOURCES] == []

    def test_is_found_from_the_index(self, page: Path) -> None:
        index = text(ROOT / "docs" / "README.md") + text(FOLDER / "README.md")
        assert f"{page.name})" in index


class TestFaq:
    def test_answers_what_the_owner_asked(self) -> None:
        questions = re.findall(r"^### (.*)$", text(FAQ), re.M)
        wanted = [
            "sold out",
            "locked",
            "index empty",
            "429",
            "target is down",
            "INVALID",
            "NO_DATA",
            "intended start",
            "alone",
        ]
        assert [
            word for word in [*wanted, "thresholds come from"] if not any(asked(word, each) for each in questions)
        ] == []

    @pytest.mark.parametrize(
        "figure", ["60 s after 3", "300 s after 5", "1,800 s after 10", "burst of 200", "20 and 50"]
    )
    def test_quotes_the_platforms_limits(self, figure: str) -> None:
        assert figure in " ".join(text(FAQ).split())


def asked(words: str, question: str) -> bool:
    return all(word in question for word in words.split())
