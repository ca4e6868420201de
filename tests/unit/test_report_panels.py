"""The dashboards' answers, as the sampler leaves them, become plots; what cannot be read is said in words."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import orjson
import pytest

from core.errors import SetupError
from report.figures import POINTS_MAX, Grid, Limit, Number, Trace
from report.panel_figures import COLUMNS_MAX, columns, panel_figures, readable
from report.panels import PanelAnswer, PanelSeries, read_panels
from tests.report_samples import write_panels


def panel(**changes: Any) -> PanelAnswer:
    given: dict[str, Any] = {
        "id": "d/p",
        "dashboard": "d",
        "title": "P",
        "unit": "s",
        "kind": "timeseries",
        "description": "Says what.",
        "verdict": "PASS",
        "series": [{"legend": "0.0625", "unit": "s", "times": [1.0, 2.0], "values": [5.0, None]}],
    }
    return PanelAnswer.model_validate(given | changes)


class TestPanelFigure:
    def test_turns_seconds_into_milliseconds_of_the_epoch(self) -> None:
        [figure] = panel_figures([panel()], "d")
        assert (figure.traces[0].x, figure.traces[0].y) == ([1_000], [5.0])

    def test_of_a_histogram_calls_each_row_by_its_bound_and_counts_requests(self) -> None:
        [figure] = panel_figures([panel(kind="heatmap")], "d")
        assert (figure.kind, figure.traces[0].name, figure.unit) == ("heatmap", "≤ 62 ms", "1/s")

    def test_of_services_keeps_their_names_and_the_panels_unit(self) -> None:
        rows = [{"legend": "blog-service", "times": [1.0], "values": [0.2]}]
        [figure] = panel_figures([panel(kind="heatmap", series=rows)], "d")
        assert (figure.traces[0].name, figure.unit) == ("blog-service", "s")

    def test_stands_where_it_does_on_the_dashboard(self) -> None:
        wide, third = panel_figures([panel(grid={"x": 0, "w": 24}), panel(grid={"x": 16, "w": 8})], "d")
        assert (wide.grid, third.grid) == (Grid(0, 24), Grid(16, 8))

    def test_says_its_thresholds_in_its_unit(self) -> None:
        [figure] = panel_figures([panel(thresholds=YELLOW_AND_RED)], "d")
        assert figure.limits == (Limit(0.05, "yellow", "50 ms"), Limit(0.5, "red", "500 ms"))

    def test_without_data_gives_the_samplers_reason(self) -> None:
        [figure] = panel_figures([panel(series=[], verdict="NO_DATA", reason="no kafka_consumergroup_lag")], "d")
        assert not figure.has_data
        assert figure.note == "no kafka_consumergroup_lag"


YELLOW_AND_RED = [{"above": 0.05, "colour": "yellow"}, {"above": 0.5, "colour": "red"}]


def line_of(values: list[float | None], legend: str = "errors") -> dict[str, Any]:
    return {"legend": legend, "times": [1.0 + index for index in range(len(values))], "values": values}


class TestNumbers:
    @pytest.mark.parametrize(
        ("values", "colour"),
        [([0.0, 0.0], ""), ([0.0, 0.06, 0.0], "yellow"), ([0.7, 0.06, 0.0], "red"), ([0.5, None], "red")],
    )
    def test_of_a_stat_are_the_highest_in_its_colour_and_the_newest(
        self, values: list[float | None], colour: str
    ) -> None:
        given = panel(kind="stat", unit="percentunit", thresholds=YELLOW_AND_RED, series=[line_of(values)])
        [figure] = panel_figures([given], "d")
        number = figure.number
        assert number is not None
        present = [value for value in values if value is not None]
        assert number.highest == f"{max(present) * 100:.3g} %"
        assert number.newest == f"{present[-1] * 100:.3g} %"
        assert number.colour == colour

    def test_are_those_of_the_line_that_rose_highest(self) -> None:
        lines = [line_of([1.0], "auth"), line_of([None], "blog"), line_of([3.0, 2.0], "shopping")]
        [figure] = panel_figures([panel(kind="stat", unit="short", series=lines)], "d")
        assert figure.number == Number(highest="3", newest="2", colour="")

    @pytest.mark.parametrize(
        "changes", [{}, {"kind": "stat", "series": [line_of([None])]}], ids=["a line", "no number"]
    )
    def test_are_none_where_there_is_none(self, changes: dict[str, Any]) -> None:
        [figure] = panel_figures([panel(**changes)], "d")
        assert figure.number is None


class TestLegend:
    def test_says_highest_and_newest_of_each_line_in_its_own_unit(self) -> None:
        lines = [
            line_of([0.5, 0.25], "hit rate"),
            line_of([2e6, 3e6], "memory") | {"unit": "bytes"},
            line_of([], "none"),
        ]
        [figure] = panel_figures([panel(unit="percentunit", series=lines)], "d")
        assert [(trace.name, trace.highest, trace.newest) for trace in figure.traces] == [
            ("hit rate", "50 %", "25 %"),
            ("memory", "3 MB", "3 MB"),
            ("none", "–", "–"),
        ]


class TestReadable:
    @pytest.mark.parametrize(
        ("value", "unit", "text"),
        [
            (0.0, "percentunit", "0 %"),
            (0.00123, "percentunit", "0.123 %"),
            (0.048, "s", "48 ms"),
            (182.4e6, "bytes", "182 MB"),
            (12_345.0, "Bps", "12.3 kB/s"),
            (212.4, "reqps", "212 /s"),
            (0.5, "cps", "0.5 /s"),
            (12_345.6, "short", "12,346"),
            (3.0, "short", "3"),
        ],
    )
    def test_writes_a_number_with_its_unit(self, value: float, unit: str, text: str) -> None:
        assert readable(value, unit) == text


class TestColumns:
    TIMES = [float(index) for index in range(17_281)]

    def rows(self, *rows: dict[str, Any]) -> list[Trace]:
        return columns([PanelSeries.model_validate(row) for row in rows])

    def test_leave_a_short_heatmap_as_it_is(self) -> None:
        (row,) = self.rows(line_of([1.0, None, 3.0]))
        assert (row.x, row.y) == ([1000, 2000, 3000], [1.0, None, 3.0])

    def test_of_a_day_are_as_many_as_the_eye_can_tell_apart_with_every_spike(self) -> None:
        spiky = [50.0 if at == 9_999 else 1.0 for at in self.TIMES]
        first, second = self.rows(
            {"legend": "a", "times": self.TIMES, "values": spiky},
            {"legend": "b", "times": self.TIMES, "values": [2.0] * len(self.TIMES)},
        )
        assert first.x == second.x
        assert 300 < len(first.x) <= COLUMNS_MAX
        assert [value for value in first.y if value != 1.0] == [50.0]

    def test_of_a_row_that_begins_later_stand_on_the_same_grid(self) -> None:
        late = self.TIMES[12_000:]
        first, second = self.rows(
            {"legend": "a", "times": self.TIMES, "values": [1.0] * len(self.TIMES)},
            {"legend": "b", "times": late, "values": [2.0] * len(late)},
        )
        assert set(second.x) < set(first.x)


class TestADayOfPanels:
    def test_becomes_plots_in_less_than_five_seconds_with_every_spike(self) -> None:
        """24 h, a sample each 5 s, 28 panels of four lines."""
        times = tuple(index * 5.0 for index in range(17_281))
        values = tuple(1000.0 if index == 9_999 else float(index % 7) for index in range(17_281))
        lines = [PanelSeries(legend=f"0.{number + 1}", times=times, values=values) for number in range(4)]
        kinds = ["heatmap", "stat", *["timeseries"] * 26]
        panels = [panel(id=str(n), kind=kind).model_copy(update={"series": lines}) for n, kind in enumerate(kinds)]
        began = time.monotonic()
        figures = panel_figures(panels, "d")
        took_s = time.monotonic() - began
        assert took_s < 5
        for figure in figures:
            for trace in figure.traces:
                assert max(value for value in trace.y if value is not None) == 1000.0
                assert len(trace.y) <= POINTS_MAX + 2


DASHBOARDS = ("load-test-overview", "bottleneck-detection")


class TestWhatTheSamplerLeaves:
    def test_is_drawn_as_28_panels_of_which_none_is_empty(self, tmp_path: Path) -> None:
        write_panels(tmp_path)
        panels = read_panels(tmp_path)
        figures = [figure for uid in DASHBOARDS for figure in panel_figures(panels, uid)]
        assert len(figures) == 28
        assert [figure.title for figure in figures if not figure.has_data] == []
        assert [figure.title for figure in figures if figure.kind == "heatmap"] == [
            "k6: Response Time",
            "Service Latency Heatmap",
        ]
        assert {figure.title: len(figure.limits) for figure in figures if figure.limits}["k6: Error Rate"] == 2

    def test_names_the_reason_of_an_empty_one(self, tmp_path: Path) -> None:
        write_panels(tmp_path, without=["Kafka: Consumer Lag"])
        figures = panel_figures(read_panels(tmp_path), "load-test-overview")
        assert [(figure.title, figure.note) for figure in figures if not figure.has_data] == [
            ("Kafka: Consumer Lag", "it has no series")
        ]


class TestReadPanels:
    def test_keeps_the_pages_order(self, tmp_path: Path) -> None:
        write_panels(tmp_path)
        assert [panel.title for panel in read_panels(tmp_path)][:2] == ["k6: Total RPS", "k6: Error Rate"]

    @pytest.mark.parametrize(
        ("content", "says"),
        [
            (None, "were not asked in this run"),
            (b"[{]", "cannot be read"),
            (orjson.dumps([{"id": 1}]), "cannot be read"),
        ],
        ids=["missing", "not-json", "another-shape"],
    )
    def test_says_what_is_wrong_in_one_line(self, tmp_path: Path, content: bytes | None, says: str) -> None:
        if content is not None:
            (tmp_path / "metrics").mkdir()
            (tmp_path / "metrics" / "panels.json").write_bytes(content)
        with pytest.raises(SetupError, match=says) as caught:
            read_panels(tmp_path)
        assert "\n" not in str(caught.value)
        assert "Run the load and dashboards phases" in caught.value.cure
