"""The dashboards' answers, as the sampler leaves them, become plots; what cannot be read is said in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from core.errors import SetupError
from report.figures import panel_figures
from report.panels import PanelAnswer, read_panels
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

    def test_fills_its_row_where_it_does_on_the_dashboard(self) -> None:
        wide, narrow = panel_figures([panel(grid={"x": 0, "y": 0, "w": 24, "h": 8}), panel()], "d")
        assert (wide.wide, narrow.wide) == (True, False)

    def test_without_data_gives_the_samplers_reason(self) -> None:
        [figure] = panel_figures([panel(series=[], verdict="NO_DATA", reason="no kafka_consumergroup_lag")], "d")
        assert not figure.has_data
        assert figure.note == "no kafka_consumergroup_lag"


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
