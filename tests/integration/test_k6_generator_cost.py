"""The generator's own cost in short: the loops beside the design's checks (the whole table: `make bench`)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.generator import generator_cost


class TestGeneratorCost:
    @pytest.mark.parametrize("scenario", ["b", "d"])
    def test_looking_at_every_body_costs_less_than_the_designs_checks(self, scenario: str, tmp_path: Path) -> None:
        cost = generator_cost(scenario, tmp_path, repetitions=1)
        # measured 1.6 to 2.0; by k6's processor time, which other work on the machine moves least
        assert cost.scenario.per_cpu_s > 1.25 * cost.checked.per_cpu_s
        assert cost.scenario.per_cpu_s > 0.6 * cost.bare.per_cpu_s
