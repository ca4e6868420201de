"""Two rows of the table of interruptions (`make proof` makes all twenty): a cancel by Prefect's API, and a SIGKILL."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from core.words import Phase
from tests.prefect_site import PrefectSite
from tests.proof.interrupted import CANCEL, KILL, LOAD_ENDS_WITHIN_S, interrupted, one_site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectSite]:
    with one_site(tmp_path_factory.mktemp("site")) as site:
        yield site


class TestRunUnderLoad:
    def test_that_is_cancelled_by_the_api_ends_its_load_and_leaves_a_report_and_nothing_else(
        self, site: PrefectSite
    ) -> None:
        row = interrupted(site, Phase.LOAD, CANCEL)
        assert row.load_ended_s is not None
        assert row.load_ended_s <= LOAD_ENDS_WITHIN_S
        assert row.verdict not in ("none", "PASS")
        assert row.orphans == ()
        assert row.second_loads == 0

    def test_that_is_killed_is_reported_and_resumed_and_puts_no_load_twice(self, site: PrefectSite) -> None:
        row = interrupted(site, Phase.LOAD, KILL)
        assert row.verdict == "ERROR"
        assert row.orphans == ()
        # Scenario A was cut off, which is an ERROR; one of the others may miss its objective on a busy machine.
        assert row.resumed in ("ERROR, exit 2", "FAIL, exit 1")
        assert row.second_loads == 0
