"""core.waiting: a wait has a bound and hands back what it saw last."""

from __future__ import annotations

import itertools
import time

from core.waiting import every, wait_for


class TestWaitFor:
    def test_returns_at_once_when_the_first_look_is_good(self) -> None:
        looks = itertools.count(1)
        assert wait_for(lambda: next(looks), lambda seen: seen == 1, timeout_s=60, every_s=60) == 1

    def test_looks_until_it_is_good(self) -> None:
        looks = itertools.count(1)
        assert wait_for(lambda: next(looks), lambda seen: seen == 4, timeout_s=60, every_s=0.001) == 4

    def test_returns_the_last_observation_when_time_is_up(self) -> None:
        looks = itertools.count(1)
        started = time.monotonic()
        seen = wait_for(lambda: next(looks), lambda seen: False, timeout_s=0.05, every_s=0.01)
        assert 1 < seen == next(looks) - 1
        assert time.monotonic() - started >= 0.05

    def test_looks_once_when_there_is_no_time(self) -> None:
        looks = itertools.count(1)
        assert wait_for(lambda: next(looks), lambda seen: False, timeout_s=0) == 1


class TestEvery:
    def test_does_it_at_once_and_then_not_before_its_time(self) -> None:
        done: list[int] = []
        act = every(60, lambda: done.append(1))
        act()
        act()
        assert done == [1]

    def test_tries_again_at_once_what_was_not_done(self) -> None:
        tried: list[int] = []

        def not_done() -> bool:
            tried.append(1)
            return False

        act = every(60, not_done)
        act()
        act()
        assert tried == [1, 1]
