"""Variables are filled into a query as Grafana fills them."""

from __future__ import annotations

import pytest

from core.errors import ConfigError
from dashboards.variables import any_of, choose, duration, fill, rate_interval_s, step_s, variables
from targets.model import Metrics

METRICS = Metrics(service_label="application", services=("api-gateway", "blog-service"))


class TestFill:
    @pytest.mark.parametrize(
        ("written", "filled"),
        [
            ("rate(a[$interval])", "rate(a[1m])"),
            ("rate(a[${interval}])", "rate(a[1m])"),
            ("rate(a[[[interval]]])", "rate(a[1m])"),
            ('a{run_id=~"${run_id:regex}"}', 'a{run_id=~".*"}'),
            ("rate(a[$__interval])", "rate(a[15s])"),
            ("rate(a[$__rate_interval])", "rate(a[20s])"),
            ('a{application=~"$service"}', 'a{application=~"(api-gateway|blog-service)"}'),
            ('label_replace(a, "name", "$1", "x", "(.+)")', 'label_replace(a, "name", "$1", "x", "(.+)")'),
        ],
    )
    def test_replaces(self, written: str, filled: str) -> None:
        assert fill(written, choose(METRICS), step_s=15, scrape_s=5) == filled

    def test_names_an_unknown_variable_and_the_known_ones(self) -> None:
        with pytest.raises(ConfigError, match=r"unknown variable \$servce .*Known: .*service"):
            fill('a{x=~"$servce"}', choose(METRICS), step_s=15)


class TestRateInterval:
    @pytest.mark.parametrize(
        ("step_s", "scrape_s", "expected_s"),
        [
            (1, 5, 20),  # four scrapes are more than step + scrape
            (15, 5, 20),
            (30, 5, 35),
            (60, 15, 75),
            (15, 15, 60),
        ],
    )
    def test_is_the_documented_formula(self, step_s: float, scrape_s: float, expected_s: float) -> None:
        assert rate_interval_s(step_s, scrape_s) == expected_s


class TestStep:
    @pytest.mark.parametrize(
        ("range_s", "points", "at_least_s", "expected_s"),
        [
            (90, 240, 1, 1),
            (90, 240, 5, 5),
            (1800, 240, 5, 10),  # 7.5 s is rounded up
            (86_400, 240, 5, 600),  # 360 s
            (10**9, 240, 5, 86_400),
        ],
    )
    def test_is_a_nice_number_of_seconds(
        self, range_s: float, points: int, at_least_s: float, expected_s: float
    ) -> None:
        assert step_s(range_s, points, at_least_s) == expected_s


class TestChoice:
    def test_of_nothing_is_all(self) -> None:
        assert choose(METRICS) == {
            "service": "(api-gateway|blog-service)",
            "run_id": ".*",
            "scenario": ".*",
            "interval": "1m",
        }

    def test_of_a_run_is_that_run_alone(self) -> None:
        chosen = choose(METRICS, run_id="20260203T101500Z-portal-smoke-ab12", scenarios=("a", "b"), interval="5m")
        assert chosen["run_id"] == "20260203T101500Z-portal-smoke-ab12"
        assert chosen["scenario"] == "(a|b)"
        assert chosen["interval"] == "5m"

    def test_escapes_what_a_regular_expression_would_read_otherwise(self) -> None:
        assert any_of(["a.b"]) == r"a\\.b"  # as it stands inside a PromQL string

    def test_of_all_services_is_what_grafanas_all_stands_for(self) -> None:
        service = next(each for each in variables(METRICS) if each.name == "service")
        assert choose(METRICS)["service"] == service.all_value


class TestDuration:
    @pytest.mark.parametrize(("seconds", "text"), [(1, "1s"), (90, "90s"), (0.5, "500ms"), (2.5, "2500ms")])
    def test_is_promql(self, seconds: float, text: str) -> None:
        assert duration(seconds) == text
