"""What is kept of each run: whole lines, whoever writes and whatever crashes; and what makes two runs comparable."""

from __future__ import annotations

import multiprocessing
from datetime import date
from pathlib import Path

import pytest

from core.errors import ConfigError, SetupError
from core.words import Verdict
from report.acknowledged import FILE as ACKNOWLEDGED
from report.acknowledged import in_force, read_acknowledged
from report.build import build
from report.history import FILE, History, Kept, OpenRegression, kept_of
from report.key import differences, digest, digest_of_files, machine_class, suite_version
from report.measures import MEASURES, about, figures_of, measure_of
from report.model import Report
from report.remember import remember
from tests.history_samples import KEY, day_of, run
from tests.report_samples import collected, facts, line, scenario, scenarios

FIGURES = {"a-shopping-flow/p95_ms": 18.6, "shopping-service/memory_mib": 153.0}
OPEN = OpenRegression(figure="a-shopping-flow/p95_ms", since="night-0003", announced=True)


def kept(night: int) -> Kept:
    return run(night, FIGURES).model_copy(update={"open": (OPEN,)})


def append_many(folder: Path, first: int, number: int) -> None:
    """Runs in a process of its own: each append under the lock, as `remember` does it."""
    history = History(folder)
    for night in range(first, first + number):
        with history.locked():
            seen = len(history.read().runs)
            history.append(run(night, {"seen/p50_ms": float(seen + 1)}))


class TestHistory:
    def test_reads_back_what_was_kept(self, tmp_path: Path) -> None:
        history = History(tmp_path / "history")
        for night in (0, 1):
            history.append(kept(night))
        assert history.read().runs == (kept(0), kept(1))
        assert history.read().problems == ()

    def test_of_nobody_is_empty(self, tmp_path: Path) -> None:
        assert History(tmp_path / "nowhere").read().runs == ()

    def test_is_small(self, tmp_path: Path) -> None:
        many = {f"service-{n}/p95_ms": 18.123456789 for n in range(40)}
        history = History(tmp_path)
        history.append(run(0, many))
        assert history.path.stat().st_size < 4096

    @pytest.mark.parametrize("cut", [1, 20, 300])
    def test_names_and_leaves_out_a_line_that_a_crash_left_half_written(self, tmp_path: Path, cut: int) -> None:
        history = History(tmp_path)
        for night in (0, 1):
            history.append(kept(night))
        whole = history.path.read_bytes()
        history.path.write_bytes(whole[:-cut] if cut > 1 else whole[:-30])
        read = history.read()
        assert read.runs == (kept(0),)
        assert read.problems == ("history/runs.jsonl line 2 is left out: it was not written to its end",)

    def test_goes_on_after_a_half_written_line(self, tmp_path: Path) -> None:
        history = History(tmp_path)
        for night in (0, 1):
            history.append(kept(night))
        history.path.write_bytes(history.path.read_bytes()[:-40])
        history.append(kept(2))
        read = history.read()
        assert read.runs == (kept(0), kept(2))
        assert len(read.problems) == 1

    def test_keeps_a_line_whose_end_of_line_alone_is_missing(self, tmp_path: Path) -> None:
        history = History(tmp_path)
        history.append(kept(0))
        history.path.write_bytes(history.path.read_bytes()[:-1])
        history.append(kept(1))
        assert history.read().runs == (kept(0), kept(1))

    @pytest.mark.parametrize(
        ("line", "words"),
        [
            (b"\xff\xfe", "not written to its end"),
            (b'{"schema_version": 2}', "schema_version"),
            (b'{"run_id": "x"}', "started"),
        ],
    )
    def test_names_a_line_that_is_none_of_its_own(self, tmp_path: Path, line: bytes, words: str) -> None:
        history = History(tmp_path)
        history.append(kept(0))
        with history.path.open("ab") as file:
            file.write(line + b"\n")
        read = history.read()
        assert read.runs == (kept(0),)
        assert words in read.problems[0]

    def test_loses_nothing_when_two_write_at_once(self, tmp_path: Path) -> None:
        context = multiprocessing.get_context("fork")
        writers = [context.Process(target=append_many, args=(tmp_path, first, 20)) for first in (0, 20)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join(30)
        read = History(tmp_path).read()
        assert [writer.exitcode for writer in writers] == [0, 0]
        assert read.problems == ()
        # Each writer noted how many runs it saw: with the lock no two of the 40 saw the same.
        assert sorted(one.figures["seen/p50_ms"] for one in read.runs) == [float(n) for n in range(1, 41)]

    def test_says_what_to_do_when_it_cannot_be_written(self, tmp_path: Path) -> None:
        (tmp_path / "taken").write_text("a file, not a folder")
        with pytest.raises(SetupError, match="Free some disk space"):
            History(tmp_path / "taken").append(kept(0))


class TestRemember:
    def report(self, number: int = 0) -> Report:
        id = f"20260301T020000Z-portal-smoke-{number:04x}"
        return build(facts(key=KEY, run_id=id), collected())

    def test_keeps_the_run_with_its_key_and_figures(self, tmp_path: Path) -> None:
        report = self.report()
        remember(report, tmp_path, date(2026, 3, 1))
        (found,) = History(tmp_path).read().runs
        assert (found.run_id, found.verdict, found.key) == (report.run_id, Verdict.PASS, KEY)
        assert found.figures == report.figures != {}

    def test_says_why_a_first_run_is_not_compared(self, tmp_path: Path) -> None:
        found = remember(self.report(), tmp_path, date(2026, 3, 1)).comparison
        assert found is not None
        assert found.notes == ("0 comparable runs passed before; 5 are needed",)
        assert {row.change for row in found.shifts} == {"unknown"}

    def test_compares_once_enough_runs_passed(self, tmp_path: Path) -> None:
        reports = [remember(self.report(number), tmp_path, date(2026, 3, 1)) for number in range(6)]
        last = reports[-1].comparison
        assert last is not None
        assert [len(report.comparison.baseline) for report in reports if report.comparison] == [0, 1, 2, 3, 4, 5]
        assert {row.change for row in last.shifts} == {"same"}

    def test_keeps_a_run_once(self, tmp_path: Path) -> None:
        for _ in range(2):
            remember(self.report(), tmp_path, date(2026, 3, 1))
        assert len(History(tmp_path).path.read_bytes().splitlines()) == 1

    def test_puts_what_it_could_not_read_into_the_report(self, tmp_path: Path) -> None:
        (tmp_path / FILE).write_bytes(b'{"run_id": "torn')
        (tmp_path / ACKNOWLEDGED).write_text("- id: a-shopping-flow\n")
        report = remember(self.report(), tmp_path, date(2026, 3, 1))
        assert report.comparison is not None
        assert "line 1 is left out" in report.comparison.notes[-1]
        assert "entry 0.until" in report.errors[0].what
        assert report.verdict is Verdict.PASS  # the measurement stands

    def test_leaves_a_report_without_a_key_alone(self, tmp_path: Path) -> None:
        report = build(facts(), collected())
        assert remember(report, tmp_path, date(2026, 3, 1)) is report
        assert list(tmp_path.iterdir()) == []
        with pytest.raises(ValueError, match="has no key"):
            kept_of(report)


class TestKey:
    @pytest.mark.parametrize(
        ("change", "sentence"),
        [
            ({"load": "design"}, "load: smoke and design"),
            ({"scripts": "333333333333"}, "scripts: 222222222222 and 333333333333"),
            ({"versions": {"k6": "1.8.1", "kafka": "4.2.0"}}, "version of kafka: 4.1.1 and 4.2.0"),
            ({"versions": {"k6": "1.8.1"}}, "version of kafka: 4.1.1 and none"),
            ({"load_numbers": "0"}, "load numbers: 111111111111 and 0"),
        ],
    )
    def test_names_what_differs(self, change: dict[str, object], sentence: str) -> None:
        assert differences(KEY, KEY.model_copy(update=change)) == (sentence,)

    def test_lets_a_field_differ_on_purpose(self) -> None:
        other = KEY.model_copy(update={"suite": "0.2.0", "load": "design"})
        assert differences(KEY, other, across=("suite",)) == ("load: smoke and design",)
        assert differences(KEY, KEY) == ()

    def test_digest_changes_with_a_files_name_and_content_only(self, tmp_path: Path) -> None:
        first, second = tmp_path / "a.js", tmp_path / "b.js"
        first.write_text("1")
        second.write_text("2")
        whole = digest_of_files([first, second], tmp_path)
        assert digest_of_files([second, first], tmp_path) == whole
        second.write_text("3")
        assert digest_of_files([first, second], tmp_path) != whole
        assert len(digest("text")) == 12

    def test_machine_class_names_processor_and_memory(self, tmp_path: Path) -> None:
        info = tmp_path / "cpuinfo"
        info.write_text("processor\t: 0\nmodel name\t: A Processor @ 2.20GHz\n")
        assert ", A Processor @ 2.20GHz, " in machine_class(info)
        assert machine_class(info).endswith(" GiB")
        assert "A Processor" not in machine_class(tmp_path / "none")

    def test_suite_version_is_a_version(self) -> None:
        assert suite_version().count(".") == 2


class TestFigures:
    def test_are_of_scenarios_and_services(self) -> None:
        found = figures_of(scenarios(), collected())
        assert found["a-shopping-flow/p95_ms"] == 18.6
        assert {"shopping-service/memory_mib", "shopping-service/service_time_p95_ms", "mysql/connections"} <= {*found}
        assert {measure_of(figure) for figure in found} <= {*MEASURES.values()}

    def test_of_services_are_taken_under_the_load_only(self) -> None:
        # The load lies in steps 6..21; 0.1 s inside and 9 s outside gives a median of 100 ms.
        values = [0.1 if 6 <= step <= 21 else 9.0 for step in range(41)]
        found = figures_of(scenarios(), collected(service_latency_p95=[line(values, application="auth-service")]))
        assert found["auth-service/service_time_p95_ms"] == pytest.approx(100)

    def test_leave_out_what_has_no_relative_change(self) -> None:
        none = line([0.0] * 41, consumergroup="g", topic="t")
        nan = line([float("nan")] * 41, application="auth-service")
        found = figures_of(scenarios(), collected(kafka_lag=[none], service_memory=[nan]))
        assert not {figure for figure in found if "lag_records" in figure or figure == "auth-service/memory_mib"}

    def test_leave_out_a_scenario_that_broke_off(self) -> None:
        broken = scenario("a", 30, 20, error={"where": "k6", "what": "hung", "cure": "none"})
        assert not any(about(figure) == "a-shopping-flow" for figure in figures_of([broken], None))


class TestAcknowledged:
    def test_covers_a_figure_or_all_of_a_service_until_its_last_day(self, tmp_path: Path) -> None:
        path = tmp_path / ACKNOWLEDGED
        path.write_text(
            "- {id: auth-service, until: 2026-01-05, why: new hash}\n- {id: x/p95_ms, until: 2026-01-09, why: y}\n"
        )
        entries = read_acknowledged(path)
        assert str(in_force(entries, "auth-service/p95_ms", date(2026, 1, 5))) == "until 2026-01-05: new hash"
        assert in_force(entries, "auth-service/p95_ms", date(2026, 1, 6)) is None
        assert in_force(entries, "x/p99_ms", day_of(0)) is None

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("- {id: a, until: someday, why: b}", "entry 0.until"),
            ("- {id: a, until: 2026-01-01}", "entry 0.why"),
            ("- {id: a, until: 2026-01-01, why: b, for: c}", "entry 0.for"),
            ("id: a", "list"),
            ("- [unclosed", "not YAML"),
        ],
    )
    def test_that_is_wrong_is_named(self, tmp_path: Path, text: str, words: str) -> None:
        path = tmp_path / ACKNOWLEDGED
        path.write_text(text)
        with pytest.raises(ConfigError, match=words):
            read_acknowledged(path)

    @pytest.mark.parametrize("text", [None, "", "[]"])
    def test_of_no_file_or_an_empty_one_is_nothing(self, tmp_path: Path, text: str | None) -> None:
        path = tmp_path / ACKNOWLEDGED
        if text is not None:
            path.write_text(text)
        assert read_acknowledged(path) == ()
