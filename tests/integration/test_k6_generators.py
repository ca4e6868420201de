"""Several generators of one scenario: the real k6 against the small server of test_k6_runner."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from k6.runner import run_scenario
from tests.integration.test_k6_runner import SHORT, Portal, Runner, k6, portal, runner
from tests.several_generators import Gate, shares_of, together

__all__ = ["k6", "portal", "runner"]


class TestAGate:
    def test_keeps_all_load_back_until_it_opens(self, runner: Runner, portal: Portal) -> None:
        gate = Gate(1)
        with ThreadPoolExecutor(1) as pool:
            ending = pool.submit(run_scenario, runner.request("b"), runner.progress.append, runner.stop, gate)
            assert gate.waiting.acquire(timeout=60)
            assert portal.total() == 0  # also setup() waits
            opened = time.time()
            gate.held.set()
            result = ending.result()
        assert result.error is None
        # 0.1 s until it is looked at, setup() and k6's own start come to less than the second that a seam may take
        assert 0 <= result.started.timestamp() - opened < 1
        assert result.iterations + result.dropped_iterations == pytest.approx(100, abs=1)

    def test_that_does_not_open_is_left_when_the_run_is_stopped(self, runner: Runner, portal: Portal) -> None:
        gate = Gate(1)
        with ThreadPoolExecutor(1) as pool:
            ending = pool.submit(run_scenario, runner.request("b"), runner.progress.append, runner.stop, gate)
            assert gate.waiting.acquire(timeout=60)
            runner.stop.set()
            result = ending.result()
        assert portal.total() == 0
        assert not result.ended_by_itself
        assert result.error is not None


class TestSegments:
    @pytest.mark.parametrize("generators", [1, 2, 4])
    def test_make_the_same_iterations_in_all(self, runner: Runner, portal: Portal, generators: int) -> None:
        results = together(shares_of(runner.request("b"), generators))
        # 50/s for 2 s; k6 may start one more at the end
        made = [result.iterations + result.dropped_iterations for result in results]
        assert sum(made) == pytest.approx(100, abs=1)
        assert min(made) >= 100 // generators - 1

    def test_have_no_user_in_common(self, runner: Runner, portal: Portal) -> None:
        results = together(shares_of(runner.request("c"), 3))
        users = SHORT.c.users
        assert sum(result.iterations for result in results) == users
        # who asks twice is a duplicate: there is none
        assert sum(result.counters.get("coupons_duplicate", 0) for result in results) == 0
        assert sum(result.counters.get("coupons_issued", 0) for result in results) == len(portal.issued)

    def test_have_no_cart_in_common(self, runner: Runner, portal: Portal) -> None:
        together(shares_of(runner.request("a"), 2))
        portal.signed_in.pop("loadtest@test.com")
        assert portal.signed_in == {f"load{number:04d}@test.com": 1 for number in range(1, SHORT.a.vus + 1)}
