"""The catalogue: every query is PromQL, says what it means, and takes its labels from the target profile."""

from __future__ import annotations

import promql_parser
import pytest

from report.catalogue import SeriesSpec, catalogue, metric_names
from targets.model import Profile, load_profile
from tests.report_samples import RUN_ID

DESIGN_2_4 = {
    "container_cpu_usage_seconds_total",
    "container_memory_usage_bytes",
    "mysql_global_status_threads_connected",
    "mysql_global_status_slow_queries",
    "mysql_global_status_innodb_buffer_pool_reads",
    "mysql_global_variables_max_connections",
    "redis_keyspace_hits_total",
    "redis_keyspace_misses_total",
    "redis_memory_used_bytes",
    "redis_commands_processed_total",
    "redis_connected_clients",
    "kafka_consumergroup_lag",
    "kafka_topic_partition_current_offset",
    "kafka_brokers",
}
"""The exporters' core metrics, without network I/O: per-container network series exist in no embedded stack."""


def series(profile: Profile | None = None) -> dict[str, SeriesSpec]:
    return {spec.id: spec for spec in catalogue(profile or load_profile("portal"), RUN_ID)}


class TestCatalogue:
    @pytest.mark.parametrize("spec", series().values(), ids=series())
    def test_every_query_is_promql(self, spec: SeriesSpec) -> None:
        assert promql_parser.parse(spec.promql) is not None

    @pytest.mark.parametrize("spec", series().values(), ids=series())
    def test_every_series_says_what_it_means_in_a_sentence(self, spec: SeriesSpec) -> None:
        assert spec.definition.endswith(".")
        assert spec.unit in {"1/s", "s", "ratio", "bytes", "records", "count"}

    def test_ids_are_unique(self) -> None:
        specs = catalogue(load_profile("portal"), RUN_ID)
        assert len({spec.id for spec in specs}) == len(specs)

    def test_reads_every_core_metric_of_the_design(self) -> None:
        assert {name for spec in series().values() for name in spec.metrics} >= DESIGN_2_4

    def test_reads_latency_from_native_histograms_and_not_from_a_bucket_series(self) -> None:
        latency = series()["k6_latency_p95"]
        assert latency.metrics == ("k6_http_req_duration_seconds",)

    def test_takes_only_this_runs_k6_series(self) -> None:
        k6 = [spec for spec in series().values() if spec.group == "k6"]
        assert all(f'run_id="{RUN_ID}"' in spec.promql for spec in k6)

    def test_names_services_by_the_profiles_label(self) -> None:
        profile = load_profile("portal")
        other = profile.metrics.model_copy(update={"service_label": "service", "services": ("one.two", "three")})
        query = series(profile.model_copy(update={"metrics": other}))["service_requests"].promql
        assert 'service=~"one\\\\.two|three"' in query
        assert "sum by (service)" in query

    def test_a_rate_looks_back_over_four_scrapes(self) -> None:
        specs = {spec.id: spec for spec in catalogue(load_profile("portal"), RUN_ID, scrape_interval_s=15)}
        assert "[60s]" in specs["service_requests"].promql


class TestMetricNames:
    def test_are_given_once_in_order(self) -> None:
        assert metric_names("(a or b * 0) / b") == ("a", "b")

    def test_a_query_that_is_not_promql_is_refused(self) -> None:
        with pytest.raises(ValueError, match=r".+"):
            metric_names("sum by (")
