"""The rows of corrections.md that touch the load and need no k6: each test fails with the design document's version.

The rows about what k6 itself does stand in tests/integration/test_corrections_load.py.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.settings import ROOT
from core.words import Verdict
from k6.checks import thresholds_check
from k6.model import Threshold
from k6.plan import herd_starts_s
from report.build import build
from targets.model import load_profile
from tasks.ledger import coupons_check
from tests.report_samples import collected, facts, passing_checks
from tests.unit.test_tasks_ledger import COUPONS, SPIKE

STOCK = 100
OVERSOLD = replace(
    COUPONS,
    row_ids=frozenset(map(str, range(1000, 1103))),
    users=tuple(f"user-{number}" for number in range(103)),
    counter=103,
    members=103,
)
DESIGNS_HERD_S = 15.0
"""Design 4.3 E: startTime of the thundering herd."""


class TestRow7OverIssueFailsTheRun:
    held = Threshold(metric="http_req_duration", expression="p(99)<500", ok=True, samples=500)

    def test_though_every_threshold_of_k6_held(self) -> None:
        told = SPIKE.model_copy(update={"thresholds": (self.held,)})
        checks = passing_checks(c=thresholds_check(told), ledger=coupons_check(told, OVERSOLD, STOCK))
        report = build(facts(checks=checks), collected())
        assert report.check("scenario-c-thresholds").verdict is Verdict.PASS
        assert "103 coupons of a stock of 100 were issued" in report.check("ledger-coupons").observed
        assert (report.verdict, report.exit_code) == (Verdict.FAIL, 1)

    @pytest.mark.parametrize("ledger", ["ledger-coupons", "ledger-orders", "cache-single-flight"])
    def test_and_a_run_in_which_nobody_looked_is_no_pass(self, ledger: str) -> None:
        nobody = [item for item in passing_checks() if item.id != ledger]
        assert build(facts(), collected()).verdict is Verdict.PASS
        assert build(facts(checks=nobody), collected()).verdict is Verdict.NO_DATA


class TestRow8TheHerdComesJustAfterTheExpiry:
    LATE_AT_MOST_S = 2.0
    """Later somebody else may have filled the cache again."""

    @pytest.mark.parametrize("ttl_s", [1.0, 10.0, DESIGNS_HERD_S, 60.0])
    def test_whatever_the_ttl_of_the_target(self, ttl_s: float) -> None:
        profile = load_profile("portal")
        assert profile.cache is not None
        cache = profile.cache.model_copy(update={"ttl_s": ttl_s})
        late_s = herd_starts_s(profile.model_copy(update={"cache": cache})) - ttl_s
        assert 0 < late_s <= self.LATE_AT_MOST_S
        assert not 0 < DESIGNS_HERD_S - ttl_s <= self.LATE_AT_MOST_S  # as designed


class TestRow17NoScriptKnowsThePlatform:
    scripts = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "k6").glob("[ls]*/*.js")))

    def test_its_routes_stand_in_the_profile(self) -> None:
        paths = [route.path.partition("{")[0] for route in load_profile("portal").routes.values()]
        assert [path for path in [*paths, "/api/v1"] if path in self.scripts] == []

    def test_its_pages_stand_in_the_profile(self) -> None:
        assert [path for path in ("data.content", "data.items", "page=0") if path in self.scripts] == []
