"""The totals from which the judge takes what each moment added."""

from __future__ import annotations

import promql_parser
import pytest

from report.catalogue import SeriesSpec, catalogue
from report.resource_series import resource_series
from report.soak_series import soak_series
from targets.model import load_profile
from tests.report_samples import RUN_ID

PORTAL = load_profile("portal")
SERIES = {spec.id: spec for spec in resource_series(PORTAL)}


class TestResourceSeries:
    @pytest.mark.parametrize("spec", SERIES.values(), ids=SERIES)
    def test_every_query_is_promql_and_says_what_it_means_in_a_sentence(self, spec: SeriesSpec) -> None:
        assert promql_parser.parse(spec.promql) is not None
        assert spec.definition.endswith(".")
        assert spec.unit in {"s", "ratio", "bytes", "records", "count"}

    def test_ids_are_their_own_beside_every_other_series(self) -> None:
        every = [*catalogue(PORTAL, RUN_ID), *soak_series(PORTAL), *resource_series(PORTAL)]
        assert len({spec.id for spec in every}) == len(every)

    def test_leaves_out_what_is_no_load(self) -> None:
        assert 'uri!~"/actuator.*|/admin.*"' in SERIES["served_seconds"].promql

    def test_names_services_and_containers_by_the_profiles_labels(self) -> None:
        other = PORTAL.metrics.model_copy(
            update={"service_label": "service", "services": ("one",), "container_label": "pod"}
        )
        queries = {s.id: s.promql for s in resource_series(PORTAL.model_copy(update={"metrics": other}))}
        assert (
            queries["usage_seconds"]
            == 'sum by (service, pool) (hikaricp_connections_usage_seconds_sum{service=~"one"})'
        )
        assert queries["container_cpu_seconds"].startswith("sum by (pod) ")
