"""Worse or not: one shift, a night's series, what is announced and when, and two runs side by side."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest

from core.words import Verdict
from report.acknowledged import Acknowledgement
from report.build import build
from report.change_points import last_rise
from report.compare import main
from report.history import FOLDER, History
from report.model import Report
from report.regressions import compare_with_history
from report.remember import remember
from report.render import write_json
from report.shift import shift
from tests.history_samples import KEY, news, noisy, run, through
from tests.report_samples import collected, facts, scenarios

QUIET = 30
"""Nights before anything happens."""


def history_with(change: float, nights: int, seed: int = 5, series: int = 6) -> np.ndarray:
    """QUIET nights at 3 % noise, then `nights` in which service-0's p95 (column 1) is `change` higher."""
    values = noisy(QUIET + nights, series, 0.03, seed)
    values[QUIET:, 1] *= 1 + change
    return values


class TestShift:
    def test_gives_the_interval_of_students_t(self) -> None:
        # ln 90, 110 alternating: mean ln sqrt(9900), s from n - 1; t(0.025; 5) = 2.5706, m = 1, n = 6.
        before = [90.0, 110.0] * 3
        deviation = float(np.log(np.array(before)).std(ddof=1))
        half = 2.570582 * deviation * (1 + 1 / 6) ** 0.5
        found = shift(before, [120.0], 0.025)
        assert found.before == pytest.approx(9900**0.5)
        assert found.relative == pytest.approx(120 / 9900**0.5 - 1)
        assert found.low == pytest.approx(120 / 9900**0.5 * np.exp(-half) - 1, rel=1e-5)
        assert found.high == pytest.approx(120 / 9900**0.5 * np.exp(half) - 1, rel=1e-5)
        assert found.confidence == 0.95

    def test_covers_the_true_change_as_often_as_it_says(self) -> None:
        # 2,000 intervals of 90 %: the share that covers lies within 3 standard errors, 3 * sqrt(.9 * .1 / 2000) = 2 %.
        drawn = np.exp(np.random.default_rng(3).normal(np.log(100), 0.05, (2000, 11)))
        covered = [
            found.low <= 0 <= found.high for row in drawn if (found := shift(row[:8].tolist(), row[8:].tolist(), 0.05))
        ]
        assert 0.88 < np.mean(covered) < 0.92

    @pytest.mark.parametrize(
        ("after", "least", "worse"),
        [
            ([110.0, 111.0, 109.0], 0.5, True),
            ([103.0, 103.0, 103.0], 0.5, False),  # sure, but below 5 %
            ([110.0, 111.0, 109.0], 20.0, False),  # below the least absolute change
            ([100.0, 100.0, 140.0], 0.5, False),  # one disturbed run
            ([90.0, 90.0, 90.0], 0.5, False),
        ],
        ids=["shift", "small", "absolute", "one-run", "better"],
    )
    def test_is_worse_only_when_it_is_sure_and_matters(self, after: list[float], least: float, worse: bool) -> None:
        before = [99.0, 100.0, 101.0, 100.0, 99.5, 100.5]
        assert shift(before, after, 0.01).is_worse(least) is worse

    def test_leaves_out_a_disturbed_run_among_the_earlier_ones(self) -> None:
        before = [100.0 + n % 3 for n in range(20)]
        found = shift([*before, 900.0], [112.0], 0.01)
        assert found.runs_before == 20
        assert found.before == pytest.approx(101, abs=0.5)

    def test_of_equal_figures_believes_in_some_noise(self) -> None:
        found = shift([6.0] * 20, [6.05], 0.01)
        assert found.low < 0 < found.high

    def test_wants_enough_earlier_runs(self) -> None:
        with pytest.raises(ValueError, match="4 earlier"):
            shift([1.0] * 4, [1.0], 0.05)


class TestChangePoint:
    def test_is_where_the_new_level_begins(self) -> None:
        values = noisy(30, 1, 0.01, 1)[:, 0]
        values[22:] *= 1.2
        assert last_rise(values.tolist()) == 22

    def test_is_none_in_noise_and_none_for_a_fall(self) -> None:
        values = noisy(30, 1, 0.01, 1)[:, 0]
        assert last_rise(values.tolist()) is None
        values[22:] *= 0.8
        assert last_rise(values.tolist()) is None


class TestRegressions:
    def test_ten_percent_more_is_found_within_three_runs(self) -> None:
        # 20 seeded histories of 60 nights and 30 series at 3 % noise; make proof counts it over many more.
        found = 0
        for seed in range(20):
            values = noisy(63, 30, 0.03, seed)
            values[60:, 1] *= 1.1
            found += any("service-0" in news(night) for _, night in through(values, judged_from=60))
        assert found >= 18

    def test_are_not_announced_in_noise(self) -> None:
        # Fewer than one in 100 nights; make proof counts them over thousands.
        values = noisy(260, 30, 0.03, 9)
        assert sum(bool(news(night)) for _, night in through(values, judged_from=60)) <= 2

    def test_a_collapse_is_announced_the_same_night(self) -> None:
        nights = dict(through(history_with(1.0, 1), judged_from=QUIET))
        (group,) = nights[QUIET].regressions
        assert (group.about, group.headline.since, group.news) == ("service-0", f"night-{QUIET:04d}", True)
        assert group.headline.shift.relative == pytest.approx(1.0, abs=0.15)

    def test_are_announced_once_however_long_they_last(self) -> None:
        values = history_with(0.2, 40)
        told = [night for night, found in through(values, judged_from=QUIET) if "service-0" in news(found)]
        assert len(told) == 1
        assert told[0] <= QUIET + 2
        still = [bool(found.regressions) for night, found in through(values, judged_from=QUIET) if night > told[0]]
        assert all(still)

    def test_end_when_the_figure_is_back_and_are_announced_anew_when_it_rises_again(self) -> None:
        values = history_with(0.2, 40)
        values[QUIET + 10 : QUIET + 30, 1] /= 1.2
        nights = dict(through(values, judged_from=QUIET))
        assert nights[QUIET + 9].regressions
        assert nights[QUIET + 15].regressions == ()
        told = [night for night, found in nights.items() if "service-0" in news(found)]
        assert len(told) == 2
        assert QUIET + 30 <= told[1] <= QUIET + 32

    def test_a_further_step_is_news(self) -> None:
        values = history_with(0.2, 30)
        values[QUIET + 20 :, 1] *= 1.3
        told = [night for night, found in through(values, judged_from=QUIET) if "service-0" in news(found)]
        assert len(told) == 2
        assert QUIET + 20 <= told[1] <= QUIET + 22

    def test_of_one_service_fold_under_one_headline(self) -> None:
        values = history_with(0.3, 8)
        values[QUIET:, 0] *= 1.5  # its p50 as well; columns 0, 1 and 2 are service-0's
        nights = dict(through(values, judged_from=QUIET))
        (group,) = nights[QUIET + 7].regressions
        assert group.headline.shift.figure == "service-0/p50_ms"  # the larger change
        assert [row.shift.figure for row in group.beneath] == ["service-0/p95_ms"]
        assert sum(bool(news(found)) for found in nights.values()) == 1

    def test_that_are_acknowledged_are_announced_when_that_expires(self) -> None:
        until = date(2026, 2, 9)  # night 39: the first night is 2026-01-01
        entry = Acknowledgement(id="service-0", until=until, why="new hash")
        nights = dict(through(history_with(0.2, 15), [entry], judged_from=QUIET))
        told = [night for night, found in nights.items() if "service-0" in news(found)]
        assert told == [40]
        assert nights[39].regressions[0].headline.acknowledged == "until 2026-02-09: new hash"
        assert "expired on 2026-02-09" in " ".join(nights[40].notes)

    def test_an_acknowledgement_that_fits_nothing_is_named(self) -> None:
        entry = Acknowledgement(id="auth-servise", until=date(2030, 1, 1), why="typo")
        nights = dict(through(noisy(7, 3, 0.03, 1), [entry], judged_from=6))
        assert "auth-servise fits no figure" in nights[6].notes[0]

    def test_a_run_that_failed_is_compared_but_never_compared_with(self) -> None:
        failing = {night: Verdict.FAIL for night in range(QUIET, QUIET + 3)}
        nights = dict(through(history_with(0.2, 3), verdicts=failing, judged_from=QUIET))
        assert "service-0" in {group.about for group in nights[QUIET + 2].regressions}
        assert max(nights[QUIET + 2].baseline) < f"night-{QUIET:04d}"

    def test_a_run_that_claims_nothing_is_not_compared(self) -> None:
        nights = dict(through(history_with(5.0, 1), verdicts={QUIET: Verdict.INVALID}, judged_from=QUIET))
        assert nights[QUIET].shifts == ()
        assert "a run that is INVALID claims nothing" in nights[QUIET].notes[0]

    def test_names_what_sets_a_run_apart_from_all_earlier_ones(self) -> None:
        earlier = [run(night, {"x/p50_ms": 100.0}) for night in range(9)]
        other = run(9, {"x/p50_ms": 300.0}, key=KEY.model_copy(update={"backend": "docker"}))
        found = compare_with_history(other, earlier, (), date(2026, 1, 10))
        assert found.regressions == ()
        assert found.notes[-1] == "the newest earlier run, night-0008, is not comparable: backend: embedded and docker"

    def test_a_figure_that_is_missing_for_a_night_is_not_announced_twice(self) -> None:
        values = history_with(0.5, 6)
        kept, told = [], []
        for night, row in enumerate(values):
            figures = {
                f"service-0/{name}": float(value) for name, value in zip(("p50_ms", "p95_ms"), row, strict=False)
            }
            if night == QUIET + 3:
                del figures["service-0/p95_ms"]
            now = run(night, figures)
            found = compare_with_history(now, kept, (), date(2026, 1, 1))
            told += [night] if news(found) else []
            rows = [one for group in found.regressions for one in (group.headline, *group.beneath)]
            opened = [{"figure": one.shift.figure, "since": one.since, "announced": one.announced} for one in rows]
            kept.append(type(now).model_validate({**now.model_dump(), "open": opened}))
        assert len(told) == 1


class TestCommand:
    """`python -m report.compare A B`."""

    def report(self, number: int, p95_ms: float = 18.6, **changes: object) -> Report:
        rows = [row.model_copy(update={"p95_ms": p95_ms}) if row.id == "a" else row for row in scenarios()]
        given = {"key": KEY, "run_id": f"run-{number}", "scenarios": rows, **changes}
        return build(facts(**given), collected())

    def keep(self, runs: Path, *reports: Report) -> None:
        for report in reports:
            (runs / report.run_id).mkdir(parents=True, exist_ok=True)
            write_json(remember(report, runs / FOLDER, date(2026, 3, 1)), runs / report.run_id)

    def test_shows_what_became_worse_and_ends_with_1(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.keep(tmp_path, *(self.report(number, 18.6 + number % 3 * 0.1) for number in range(8)))
        self.keep(tmp_path, self.report(8, 40.0))
        assert main(["run-0", "run-8", "--runs", str(tmp_path)]) == 1
        assert "worse: a-shopping-flow/p95_ms" in capsys.readouterr().out

    def test_ends_with_0_when_nothing_is_worse(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.keep(tmp_path, *(self.report(number, 18.6 + number % 3 * 0.1) for number in range(8)))
        assert main(["run-0", "run-7", "--runs", str(tmp_path)]) == 0
        assert "nothing is worse" in capsys.readouterr().out

    def test_takes_directories_and_latest(self, tmp_path: Path) -> None:
        self.keep(tmp_path, self.report(0), self.report(1))
        (tmp_path / "latest").symlink_to("run-1")
        assert main([str(tmp_path / "run-0"), "latest", "--runs", str(tmp_path)]) == 0

    def test_takes_a_run_whose_directory_is_gone_from_the_history(self, tmp_path: Path) -> None:
        self.keep(tmp_path, self.report(0), self.report(1))
        for file in (tmp_path / "run-0").iterdir():
            file.unlink()
        (tmp_path / "run-0").rmdir()
        assert main(["run-0", "run-1", "--runs", str(tmp_path)]) == 0

    def test_calls_nothing_worse_without_knowing_the_noise(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.keep(tmp_path, self.report(0), self.report(1, 400.0))
        assert main(["run-0", "run-1", "--runs", str(tmp_path)]) == 0
        assert "no interval: 0 other runs of this kind passed" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("first", "second", "words"),
        [
            ("run-0", "other", "not comparable: load: smoke and design"),
            ("run-0", "nowhere", "there is no run 'nowhere'"),
            ("run-0", "old", "says nothing about what it may be compared with"),
            ("run-0", "broken", "not a report of schema 1"),
            ("run-0", "empty", "the report cannot be read"),
            ("invalid", "run-0", "is NO_DATA"),
        ],
    )
    def test_refuses_in_words_and_ends_with_2(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], first: str, second: str, words: str
    ) -> None:
        self.keep(
            tmp_path,
            self.report(0),
            self.report(1, run_id="other", key=KEY.model_copy(update={"load": "design"})),
            self.report(2, run_id="old", key=None),
            self.report(3, run_id="invalid", checks=[]),
        )
        (tmp_path / "broken").mkdir()
        (tmp_path / "broken" / "report.json").write_text('{"schema": 1}')
        (tmp_path / "empty").mkdir()
        assert main([first, second, "--runs", str(tmp_path)]) == 2
        assert words in capsys.readouterr().err

    def test_lets_a_field_differ_on_purpose(self, tmp_path: Path) -> None:
        self.keep(tmp_path, self.report(0), self.report(1, key=KEY.model_copy(update={"load": "design"})))
        assert main(["run-0", "run-1", "--runs", str(tmp_path), "--across", "load"]) == 0

    def test_names_a_line_of_the_history_that_cannot_be_read(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.keep(tmp_path, self.report(0), self.report(1))
        with History(tmp_path / FOLDER).path.open("ab") as file:
            file.write(b'{"run_id": "to')
        assert main(["run-0", "run-1", "--runs", str(tmp_path)]) == 0
        assert "line 3 is left out" in capsys.readouterr().out
