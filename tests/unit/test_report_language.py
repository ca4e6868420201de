"""The Korean report: every sentence of ours has its Korean, and what is no sentence stays as it is."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest
import yaml

from core.checks import CHECKS, check
from core.settings import ROOT
from core.words import Verdict
from dashboards.pages import all_panels
from report.advice import ADVICE
from report.build import build
from report.catalogue import catalogue
from report.definitions import SCENARIO_LINES, compared_lines
from report.figures import PLOTS
from report.gate_file import FOLDER as GATES
from report.gate_file import gates_for
from report.histograms import histogram_series
from report.html import MEANINGS, SECTIONS, render_html
from report.junit import render_junit
from report.language import FOLDER, messages, places, words
from report.markdown import render_markdown
from report.model import Report
from report.render import main, render_all
from report.resource_series import resource_series
from report.soak_series import soak_series
from report.store import Collected, write_collected
from targets.model import load_profile
from tests.report_samples import RUN_ID, collected, compared, facts, passing_checks, soak_report, write_panels

TARGETS = ("portal", "portal-universe")
SPOKEN = (
    *(
        f"report/{name}.py"
        for name in (
            "bottleneck",
            "bottleneck_figures",
            "bottleneck_rules",
            "build",
            "gates",
            "native",
            "regressions",
            "soak",
            "summary",
            "trends",
            "windows",
        )
    ),
)
"""Modules whose sentences a reader of the report sees."""
WITHIN = frozenset(
    {
        " of what was added since the window's first sample",
        " (a warning, without a say in the verdict)",
        "did not hold",
        "could not run",
        "too close to call: ",
        "counted on after 7 restart7",
        "too few samples7 in the window",
        "7in the histogram of 7 generators 7",
        "7 did not hold.",
        "7: 7 grows by 7 an hour, used up in 7 h7",
        "7 not asked for",
        "no answer on the way: 7. 7",
        "Of 7 traces under high load, a request spent 7",
        "; of 7 under low load, 7",
        " In 7 the machine was short of processors: what took long there names nobody.",
        "on the way",
        "on the way to 7",
        "7 fell 7 records behind on 7 and worked off 7 a second",
        "7, its listener busy for 7 of the time.",
        "7; connections were in use for 7 s in all, so they were held and not at work.",
        "7; the connections were at work, 7 a use.",
        "duplicates are in the log",
        "messages are in the log that were never sent",
        "messages are in the log that were never acknowledged",
        "messages stand in the log behind a later one of the same key",
        "no bucket of a native histogram: 7 to 7",  # a fault of the suite, no sentence of a report
    }
)
"""Parts of sentences, which are known as a whole."""
HANGUL = re.compile("[가-힣]")
ENGLISH = re.compile(r"[a-z]{2,} [a-z]{2,} [a-z]{2,}")
ko = words("ko")


def sentences(path: Path) -> Iterator[str]:
    """The texts of at least three words in a module, with 7 in each place; log lines and docstrings left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    left_out = {id(node) for each in ast.walk(tree) if _is_silent(each) for node in ast.walk(each)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            left_out |= {id(part) for part in ast.walk(node) if part is not node}
    for node in ast.walk(tree):
        text = "" if id(node) in left_out else _text(node)
        if ENGLISH.search(text) and text not in WITHIN:
            yield text


def _is_silent(node: ast.AST) -> bool:
    called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
    return called.startswith(("log.", "Field")) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))


def _text(node: ast.AST) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "7" for part in node.values)
    return ""


def texts(page: str) -> list[str]:
    """What a reader sees of a page, without code, plots' data and what has its own names: panels, ids, legends."""
    body = page[: page.index('<script type="application/json"')]
    body = re.sub(r"<(style|script|pre|code|title|h4)\b.*?</\1>", "", body, flags=re.DOTALL)
    body = re.sub(r'<div class="legend">.*?</div>', "", body, flags=re.DOTALL)
    return [unescape(text).strip() for text in re.findall(r">([^<>]+)<", body)]


class TestMessages:
    def test_have_both_languages_with_the_same_places(self) -> None:
        unlike = {english for english, text in messages("ko").items() if places(english) != places(text)}
        assert unlike == set()
        assert all(HANGUL.search(text) for text in messages("ko").values())

    def test_stand_in_one_section_each(self) -> None:
        sections = yaml.safe_load((FOLDER / "ko.yaml").read_text(encoding="utf-8"))
        assert sum(len(section) for section in sections.values()) == len(messages("ko"))


class TestWords:
    def test_leave_english_alone(self) -> None:
        assert words("en").say("1 claim did not hold.") == "1 claim did not hold."

    def test_put_what_stands_in_a_place_into_the_same_place(self) -> None:
        assert ko.say("3 claims did not hold.") == "3건이 성립하지 않았습니다."

    def test_translate_a_known_sentence_within_another(self) -> None:
        assert ko.say("not reached: Prometheus does not answer: no route") == (
            "여기까지 진행하지 못함: Prometheus가 응답하지 않음: no route"
        )

    def test_say_sentence_by_sentence_what_they_do_not_know_as_a_whole(self) -> None:
        assert ko.say("disk is full. Free some disk space, then run again.") == (
            "disk is full. 디스크 공간을 확보한 뒤 다시 실행하십시오."
        )

    def test_keep_ids_verdicts_and_numbers(self) -> None:
        for text in ("ledger-coupons", "PASS", "a-shopping-flow/p95_ms", "12,345", "k6_http_reqs_total", "18.6 ms"):
            assert ko.say(text) == text

    def test_do_not_take_a_unit_for_a_sentence(self) -> None:
        assert ko.say("the service of all the things s") == "the service of all the things s"


class TestEverySentenceOfOurs:
    """Adds a line to report/languages/ko.yaml for each text named here."""

    @pytest.mark.parametrize("module", SPOKEN)
    def test_of_a_module_has_its_korean(self, module: str) -> None:
        assert [text for text in sentences(ROOT / module) if not HANGUL.search(ko.say(text))] == []

    def test_in_a_template_has_its_korean(self) -> None:
        template = (ROOT / "report" / "templates" / "report.html.j2").read_text(encoding="utf-8")
        said = re.findall(r'"((?:[^"\\]|\\.)*)"(?:\.format\([^|]*\))? \| say', template)
        said += [
            title for heads in re.findall(r"heads\(\[(.*?)\]", template) for title in re.findall(r'"(.+?)"', heads)
        ]
        known = [text.replace('\\"', '"').replace("{:,}", "7").replace("{}", "7") for text in said if "<" not in text]
        assert len(known) > 80
        assert [text for text in known if not HANGUL.search(ko.say(text)) and not text.endswith(": ")] == []

    @pytest.mark.parametrize(
        "text",
        [
            *(spec.claim for spec in CHECKS.values()),
            *ADVICE.values(),
            *MEANINGS.values(),
            *SECTIONS.values(),
            *(plot.title for plot in PLOTS),
            *(each.meaning for each in (*SCENARIO_LINES, *compared_lines()) if " " in each.meaning),
        ],
    )
    def test_of_a_table_has_its_korean(self, text: str) -> None:
        assert HANGUL.search(ko.say(text))

    @pytest.mark.parametrize("target", TARGETS)
    def test_about_a_target_has_its_korean(self, target: str) -> None:
        profile = load_profile(target)
        own = (*soak_series(profile), *resource_series(profile), *histogram_series(RUN_ID))
        specs = (*catalogue(profile, RUN_ID), *own)
        said = [text for spec in specs for text in (spec.title, spec.definition)]
        said += [panel.description for panel in all_panels(profile.metrics)]
        said += [gate.claim for gate in gates_for(profile).gates.values()]
        assert [text for text in said if ENGLISH.search(ko.say(text)) or not HANGUL.search(ko.say(text))] == []

    def test_of_every_gate_file_has_its_korean(self) -> None:
        claims = [
            gate["claim"]
            for file in GATES.glob("*.yaml")
            for gate in yaml.safe_load(file.read_text(encoding="utf-8"))["gates"].values()
        ]
        assert [claim for claim in claims if not HANGUL.search(ko.say(claim))] == []


def bad_night() -> tuple[Report, Collected]:
    found = collected(without=["kafka_brokers"])
    checks = passing_checks(
        a=check("ledger-coupons", Verdict.FAIL, "103 coupons of a stock of 100 were issued"),
        b=check("generator-valid", Verdict.INVALID, "k6 waited 12% of the time for a processor"),
        c=check("kafka-bot-rate", Verdict.NO_DATA, "the bot did not run"),
    )
    return compared(build(facts(checks=checks), found)), found


def soak_night() -> tuple[Report, Collected]:
    report, found = soak_report()
    return compared(report), found


class TestPage:
    @pytest.mark.parametrize("night", [bad_night, soak_night])
    def test_holds_no_untranslated_sentence(self, night: object, tmp_path: Path) -> None:
        report, found = night()  # type: ignore[operator]
        write_panels(tmp_path, without=["Kafka: Consumer Lag"])
        page = render_html(report, tmp_path, found, "ko")
        assert '<html lang="ko">' in page
        assert [text for text in texts(page) if ENGLISH.search(text)] == []
        assert sum(bool(HANGUL.search(text)) for text in texts(page)) > 200

    @pytest.mark.parametrize("night", [bad_night, soak_night])
    def test_short_report_holds_none_either(self, night: object) -> None:
        report, _ = night()  # type: ignore[operator]
        assert [line for line in render_markdown(report, "ko").splitlines() if ENGLISH.search(line)] == []

    def test_has_the_same_figures_ids_and_verdicts_as_the_english_one(self, tmp_path: Path) -> None:
        report, found = bad_night()
        english, korean = (render_html(report, tmp_path, found, language) for language in ("en", "ko"))
        for pattern in (r'data-sort="([^"]*)"', r'<th scope="row">([a-z0-9_-]+)</th>', r'class="badge (\w+)"'):
            assert re.findall(pattern, english) == re.findall(pattern, korean)


class TestCommandLine:
    def test_draws_in_the_language_and_leaves_the_data_alone(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        report, found = bad_night()
        write_collected(found, tmp_path)
        render_all(report, tmp_path)
        before = {name: (tmp_path / name).read_bytes() for name in ("report.json", "junit.xml")}
        assert main([str(tmp_path), "--lang", "ko"]) == 0
        assert "다음에 할 일" in (tmp_path / "report.html").read_text(encoding="utf-8")
        assert "다음에 할 일" in (tmp_path / "report.md").read_text(encoding="utf-8")
        assert {name: (tmp_path / name).read_bytes() for name in before} == before
        assert before["junit.xml"].decode() == render_junit(report)

    def test_follows_the_users_language(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SUITE_LANG", "ko")
        render_all(bad_night()[0], tmp_path)
        assert "다음에 할 일" in (tmp_path / "report.html").read_text(encoding="utf-8")
