"""What is drawn from a report: Markdown, JUnit, the terminal, the page, and a renderer that fails."""

from __future__ import annotations

import multiprocessing
import re
from io import StringIO
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from core.checks import CHECKS, VERIFICATION_PLAN, blocked, check
from core.words import Verdict
from report.advice import ADVICE
from report.build import build
from report.definitions import SCENARIO_LINES, measured_by_gate
from report.figures import series_figures
from report.html import DASHBOARD_TITLES, SECTIONS, render_html
from report.junit import render_junit
from report.markdown import render_markdown
from report.model import Bottleneck, ErrorRow, Report, read_report
from report.panel_figures import panel_figures
from report.panels import read_panels
from report.render import RENDERERS, main, render_all
from report.store import Collected, write_collected
from report.summary import SCENARIO_COLUMNS, checks_text, next_steps
from report.summary import facts as three_facts
from report.terminal import print_report
from tests.report_samples import collected, compared, facts, line, passing_checks, soak_report, write_panels

TAKEN = ErrorRow(where="kafka_bot", what="port 8000 is taken", cure="End that process, or use `--ports free`.")


def good() -> Report:
    return build(facts(), collected())


def bad() -> Report:
    """One miss, one part that could not run, what that blocks, an INVALID and a SKIPPED."""
    checks = passing_checks(
        a=check("ledger-coupons", Verdict.FAIL, "103 rows | stock 100 <b>3 too many</b>\x1b[31m", rows=103),
        b=check("kafka-bot-rate", Verdict.NO_DATA, "the bot did not start"),
        c=blocked("kafka-bot-accounting", ["kafka-bot-rate"]),
        d=blocked("kafka-lag-drains", ["kafka-bot-rate"]),
        e=check("generator-valid", Verdict.INVALID, "4 % of iterations dropped"),
        f=check("dashboards-provisioned", Verdict.SKIPPED, "no Grafana in this backend"),
    )
    return build(facts(checks=checks, errors=[TAKEN]), collected())


class TestSummary:
    def test_names_the_error_with_its_cure_first_and_the_worst_check_next(self) -> None:
        steps = next_steps(bad())
        assert [step.title for step in steps] == ["kafka_bot", "ledger-coupons", "generator-valid", "kafka-bot-rate"]
        assert TAKEN.cure in steps[0].text

    def test_does_not_send_anybody_to_a_check_that_is_only_blocked(self) -> None:
        assert "kafka-lag-drains" not in [step.title for step in next_steps(bad())]

    def test_counts_only_what_was_judged(self) -> None:
        # One check is SKIPPED; of the rest a FAIL, an INVALID and three NO_DATA did not pass.
        passed = f"{len(CHECKS) - 6} of {len(CHECKS) - 1} checks passed"
        assert checks_text(bad()) == f"{passed}, 1 failed, 1 invalid, 3 without data, 1 skipped"

    def test_tells_in_three_facts_of_load_correctness_and_earlier_runs(self) -> None:
        labels = ["Load", "Correctness under load", "Against earlier runs"]
        assert [fact.label for fact in three_facts(bad())] == labels

    def test_says_where_to_look_for_each_check_that_did_not_pass(self) -> None:
        assert set(ADVICE) == set(CHECKS)
        assert all(step.advice for step in next_steps(bad()) if step.title in CHECKS)

    def test_names_what_saturated_before_what_that_made_miss(self) -> None:
        found = Bottleneck(
            component="MySQL", confidence=0.9, evidence="it was waited for", advice="Look at its slow log"
        )
        steps = next_steps(bad().model_copy(update={"bottleneck": found}))
        assert [(step.verdict, step.title) for step in steps][1] == ("limit", "MySQL")
        assert (steps[1].text, steps[1].advice) == (found.evidence, found.advice)
        none = found.model_copy(update={"component": "none"})
        assert "limit" not in [step.verdict for step in next_steps(bad().model_copy(update={"bottleneck": none}))]

    def test_names_what_became_worse_and_since_when(self) -> None:
        report = compared(good())
        step = next(step for step in next_steps(report) if step.verdict == "worse")
        assert step.title == "a-shopping-flow/p95_ms"
        assert "since run night-0020" in step.text
        assert three_facts(report)[2].value == "1 worse, 1 new"

    def test_claims_nothing_of_earlier_runs_without_any(self) -> None:
        assert three_facts(good())[2].value == "not compared"
        assert three_facts(compared(good(), worse=1.0))[2].value == "nothing worse"

    def test_names_what_runs_out_and_when(self) -> None:
        report, _ = soak_report()
        [step] = [step for step in next_steps(report) if step.verdict == "grows"]
        assert step.title.startswith("Open connections")
        assert "at its limit in 3.4 h" in step.text

    def test_of_a_partial_run_says_what_its_pass_leaves_out(self) -> None:
        given = facts()
        report = build(facts(phases=[run for run in given.phases if run.id != "tracing"]), collected())
        assert "tracing" in next_steps(report)[0].text


class TestMarkdown:
    def test_is_short_enough_for_a_pull_request(self) -> None:
        assert len(render_markdown(bad()).splitlines()) < 50

    def test_opens_with_the_verdict(self) -> None:
        assert render_markdown(bad()).startswith("## ✗ FAIL: portal, load smoke\n")

    def test_holds_the_seven_rows_of_the_verification_plan(self) -> None:
        text = render_markdown(good())
        assert all(f"| `{id}` |" in text for id in VERIFICATION_PLAN)

    def test_what_was_seen_cannot_break_the_table(self) -> None:
        assert r"103 rows \| stock 100 &lt;b>" in render_markdown(bad())


class TestJunit:
    def test_is_xml_with_a_case_for_each_check_and_gate(self) -> None:
        report = bad()
        names = [case.attrib["name"] for case in ET.fromstring(render_junit(report)).iter("testcase")]
        assert len(names) == len(set(names))
        assert set(names) == {*CHECKS, *(gate.id for gate in report.gates), "every-part-ran"}

    @pytest.mark.parametrize(
        ("id", "tag"),
        [
            ("k6-run", None),
            ("ledger-coupons", "failure"),
            ("kafka-bot-rate", "error"),
            ("generator-valid", "error"),
            ("dashboards-provisioned", "skipped"),
            ("every-part-ran", "error"),
        ],
    )
    def test_says_each_verdict_in_junits_words(self, id: str, tag: str | None) -> None:
        root = ET.fromstring(render_junit(bad()))
        case = next(case for case in root.iter("testcase") if case.attrib["name"] == id)
        assert [child.tag for child in case] == ([tag] if tag else [])

    def test_counts_what_it_holds(self) -> None:
        root = ET.fromstring(render_junit(bad()))
        gates = sum(gate.verdict is Verdict.SKIPPED for gate in bad().gates)
        # 1 FAIL; 1 INVALID, 3 NO_DATA and the error; 1 SKIPPED, and the gates whose window this load does not have.
        skipped = str(1 + gates)
        assert (root.attrib["failures"], root.attrib["errors"], root.attrib["skipped"]) == ("1", "5", skipped)

    def test_names_are_the_same_on_a_good_and_on_a_bad_night(self) -> None:
        def names(report: Report) -> list[str]:
            cases = ET.fromstring(render_junit(report)).iter("testcase")
            return [f"{case.attrib['classname']}.{case.attrib['name']}" for case in cases]

        assert names(good()) == names(bad())


class TestTerminal:
    def test_ends_with_verdict_next_steps_and_the_way_to_the_report(self, tmp_path: Path) -> None:
        out = StringIO()
        print_report(bad(), tmp_path, Console(file=out, width=120))
        text = out.getvalue()
        assert "✗ FAIL" in text
        assert "End that process" in text
        assert "2 more could not be looked at" in text
        assert str(tmp_path / "report.html") in text.replace("\n", "")


class TestPage:
    def page(self, tmp_path: Path, report: Report, found: Collected | None) -> str:
        write_panels(tmp_path)
        return render_html(report, tmp_path, found)

    def test_loads_nothing_from_elsewhere(self, tmp_path: Path) -> None:
        page = self.page(tmp_path, bad(), collected())
        own = page[: page.index('<script type="application/json"')]  # the rest is data and plotly's own code
        assert "default-src 'none'" in own
        assert re.findall(r"""(?:src|href)=["']?(?:https?:)?//""", own) == []
        assert re.findall(r"@import|url\(", own) == []
        assert "<link" not in own.replace('<link rel="icon" href="data:,">', "")

    def test_leads_to_the_dashboards_in_grafana(self, tmp_path: Path) -> None:
        report = good()
        links = {"load-test-overview": "http://127.0.0.1:3000/d/load-test-overview?from=1&to=2", "bad": "javascript:1"}
        checks = [row.model_copy(update={"evidence": {"links": links}}) for row in report.checks]
        page = self.page(tmp_path, report.model_copy(update={"checks": checks}), collected())
        assert '<a href="http://127.0.0.1:3000/d/load-test-overview?from=1&amp;to=2">load-test-overview</a>' in page
        assert 'href="javascript' not in page

    def test_writes_what_was_seen_as_text_never_as_markup(self, tmp_path: Path) -> None:
        page = self.page(tmp_path, bad(), collected())
        assert "&lt;b&gt;3 too many" in page
        assert "<b>3 too many" not in page

    def test_data_cannot_end_the_script_it_stands_in(self, tmp_path: Path) -> None:
        evil = collected(service_requests=[line([1.0] * 41, application="</script><script>alert(1)</script>")])
        page = self.page(tmp_path, good(), evil)
        assert "</script><script>alert" not in page

    def test_lists_every_check_and_the_meaning_of_each_series(self, tmp_path: Path) -> None:
        report = good()
        page = self.page(tmp_path, report, collected())
        assert all(f'<th scope="row">{id}</th>' in page for id in [*CHECKS, *(row.id for row in report.series)])

    def test_without_series_and_panels_says_so(self, tmp_path: Path) -> None:
        page = render_html(good(), tmp_path, None)
        assert "No series were collected" in page
        assert "panels were not asked in this run" in page
        assert 'class="plot"' not in page

    def test_says_of_every_duration_whether_it_is_latency_or_service_time(self, tmp_path: Path) -> None:
        """Each plot, panel and series in seconds, each percentile of a scenario, and each gate over one of them."""
        report, found = good(), collected()
        durations = [row for row in report.series if row.unit == "s"]
        assert {row.id: row.measures for row in durations} == {
            "k6_latency_p95": "latency",
            **{f"service_latency_p{percent}": "service time" for percent in (50, 95, 99)},
            "gc_pause_max": "",
        }
        plots = [figure for section in SECTIONS for figure in series_figures(found, section)]
        write_panels(tmp_path)
        panels = [figure for name in DASHBOARD_TITLES for figure in panel_figures(read_panels(tmp_path), name)]
        for figure in (*plots, *panels):
            assert figure.metrics, figure.id
            in_seconds = figure.unit == "s" or figure.kind == "heatmap"
            assert bool(figure.measures) == in_seconds, figure.id
        assert {each.line for each in SCENARIO_LINES} == set(SCENARIO_COLUMNS[1:])
        assert {each.line for each in SCENARIO_LINES if each.measures} == {"p50", "p95", "p99", "p95 intended"}
        gates = {gate.series: measured_by_gate(report, gate) for gate in report.gates}
        assert (gates["service_latency_p95"], gates["k6_latency_p95"]) == ("service time", "latency")
        assert (gates["http_req_duration"], gates["http_req_failed"]) == ("latency", "")

    def test_draws_comparison_and_trends_as_plots_and_tables(self, tmp_path: Path) -> None:
        report, found = soak_report()
        report = report.model_copy(update={"comparison": compared(good()).comparison})
        page = self.page(tmp_path, report, found)
        assert 'data-figure="comparison"' in page
        assert "night-0020" in page
        assert 'data-figure="soak-service_memory-shopping-service-scenario A"' in page
        assert 'data-figure="soak-service_memory-auth-service-scenario A"' not in page  # it is level
        table = page[page.index('<section id="soak">') :]
        assert table.index("Open connections") < table.index("shopping-service") < table.index("auth-service")

    def test_a_run_without_history_says_that_it_was_not_compared(self, tmp_path: Path) -> None:
        assert "This run was not compared" in self.page(tmp_path, good(), collected())

    def test_a_plot_without_data_is_a_line_of_text_and_not_an_empty_box(self, tmp_path: Path) -> None:
        page = self.page(tmp_path, good(), collected(without=["kafka_lag"]))
        assert 'data-figure="kafka_lag"' not in page
        assert "Prometheus has no kafka_consumergroup_lag in this window" in page


class TestRenderAll:
    def run(self, tmp_path: Path) -> Path:
        write_collected(collected(), tmp_path)
        return tmp_path

    def test_writes_all_four_forms(self, tmp_path: Path) -> None:
        render_all(good(), self.run(tmp_path))
        assert {path.name for path in tmp_path.glob("*.*")} == {"report.json", *RENDERERS}

    def test_a_renderer_that_fails_is_an_error_in_the_report_and_costs_no_other(self, tmp_path: Path) -> None:
        def torn(report: Report, run_dir: Path, found: Collected | None, language: str) -> str:
            raise ZeroDivisionError("no pixels")

        given = good()
        report = render_all(given, self.run(tmp_path), {"report.html": torn, "report.md": RENDERERS["report.md"]})
        assert [row.where for row in report.errors] == ["report.html"]
        assert "python -m report.render" in report.errors[0].cure
        assert read_report(tmp_path / "report.json") == report
        assert (tmp_path / "report.md").is_file()
        assert report.verdict is given.verdict

    def test_drawing_again_mends_an_earlier_failure(self, tmp_path: Path) -> None:
        earlier = ErrorRow(where="report.html", what="could not be drawn", cure="")
        report = good().model_copy(update={"errors": (TAKEN, earlier)})
        assert render_all(report, self.run(tmp_path)).errors == (TAKEN,)

    def test_draws_although_no_series_were_collected(self, tmp_path: Path) -> None:
        assert render_all(good(), tmp_path).errors == ()
        assert "No series were collected" in (tmp_path / "report.html").read_text(encoding="utf-8")

    @pytest.mark.parametrize(
        ("file", "content", "said"),
        [
            ("metrics/panels.json", b"[{", "panels.json cannot be read"),
            ("metrics/panels.json", None, "panels were not asked in this run"),
            ("metrics/series.json", b"{", "No series were collected"),
            ("metrics/services.parquet", b"PAR1 torn", "metrics/services.parquet cannot be read"),
            ("metrics/services.parquet", None, "metrics/services.parquet cannot be read"),
        ],
    )
    def test_a_missing_or_broken_file_is_named_on_the_page(
        self, tmp_path: Path, file: str, content: bytes | None, said: str
    ) -> None:
        write_panels(self.run(tmp_path))
        (tmp_path / file).unlink() if content is None else (tmp_path / file).write_bytes(content)
        report = good()
        written = render_all(report, tmp_path)
        assert (written.errors, written.verdict) == ((), report.verdict)
        assert said in (tmp_path / "report.html").read_text(encoding="utf-8")

    def test_two_at_once_in_one_directory_leave_whole_files(self, tmp_path: Path) -> None:
        """As a run that is being written and somebody who draws it again: each file is of one of them, to its end."""
        self.run(tmp_path)
        two = [multiprocessing.Process(target=render_all, args=(report, tmp_path)) for report in (good(), bad())]
        for each in two:
            each.start()
        for each in two:
            each.join(timeout=60)
        assert [each.exitcode for each in two] == [0, 0]
        assert read_report(tmp_path / "report.json").verdict in (good().verdict, bad().verdict)
        assert (tmp_path / "report.html").read_text(encoding="utf-8").endswith("</html>")
        ET.parse(tmp_path / "junit.xml")

    def test_leaves_no_half_written_file(self, tmp_path: Path) -> None:
        render_all(good(), self.run(tmp_path))
        assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


class TestCommandLine:
    def test_draws_a_run_again_from_its_directory(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        write_collected(collected(), tmp_path)
        render_all(good(), tmp_path)
        (tmp_path / "report.html").unlink()
        assert main([str(tmp_path)]) == 0
        assert (tmp_path / "report.html").is_file()
        assert "✓ PASS" in capsys.readouterr().out

    @pytest.mark.parametrize("content", [None, b'{"schema": 1}'], ids=["missing", "not-a-report"])
    def test_says_what_to_give_when_there_is_no_report(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None
    ) -> None:
        if content is not None:
            (tmp_path / "report.json").write_bytes(content)
        assert main([str(tmp_path)]) == 2
        assert "Give a run directory that holds a report.json" in capsys.readouterr().err
