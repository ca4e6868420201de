"""tasks.alone: across machines a slot of Prefect's global concurrency limit, on a real Prefect server."""

from __future__ import annotations

import pytest
from prefect.client.orchestration import get_client

from core.errors import TargetRefused
from tasks.alone import _alone_among_machines

LIMIT = "perf-suite-10.20.0.9-8080"


class TestAloneAmongMachines:
    def test_refuses_a_second_machine_and_says_how_to_break_it(self) -> None:
        with _alone_among_machines(LIMIT):
            with (
                pytest.raises(TargetRefused, match="under load from another machine") as caught,
                _alone_among_machines(LIMIT),
            ):
                pass
            assert f"prefect gcl update {LIMIT} --active-slots 0" in caught.value.cure

    def test_gives_the_slot_back(self) -> None:
        for _ in range(2):
            with _alone_among_machines(LIMIT):
                pass
        with get_client(sync_client=True) as client:
            assert client.read_global_concurrency_limit_by_name(LIMIT).active_slots == 0
