"""The gateway's circuit breaker, with a clock of the test's own."""

from infra.portal.breaker import CLOSED, HALF_OPEN, HALF_OPEN_CALLS, OPEN, OPEN_S, WINDOW_CALLS, Breaker


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def called(breaker: Breaker, *outcomes: bool) -> Breaker:
    for succeeded in outcomes:
        assert breaker.admits()
        breaker.record(succeeded)
    return breaker


def opened(clock: Clock) -> Breaker:
    return called(Breaker("blog", clock), *[False] * WINDOW_CALLS)


class TestBreaker:
    def test_stays_closed_until_it_has_seen_a_full_window(self) -> None:
        assert called(Breaker("blog", Clock()), *[False] * (WINDOW_CALLS - 1)).state == CLOSED

    def test_opens_when_half_of_the_window_failed(self) -> None:
        assert called(Breaker("blog", Clock()), *[True, False] * (WINDOW_CALLS // 2)).state == OPEN

    def test_stays_closed_below_half(self) -> None:
        assert called(Breaker("blog", Clock()), *[True, False] * (WINDOW_CALLS // 2 - 1), True, True).state == CLOSED

    def test_refuses_while_open_and_lets_five_pass_after_ten_seconds(self) -> None:
        clock = Clock()
        breaker = opened(clock)
        clock.now = OPEN_S - 0.1
        assert not breaker.admits()
        clock.now = OPEN_S
        assert [breaker.admits() for _ in range(HALF_OPEN_CALLS + 1)] == [True] * HALF_OPEN_CALLS + [False]

    def test_closes_again_when_the_five_succeed(self) -> None:
        clock = Clock()
        breaker = opened(clock)
        clock.now = OPEN_S
        assert called(breaker, *[True] * (HALF_OPEN_CALLS - 1)).state == HALF_OPEN
        assert called(breaker, True).state == CLOSED

    def test_opens_again_when_most_of_the_five_fail(self) -> None:
        clock = Clock()
        breaker = opened(clock)
        clock.now = OPEN_S
        assert called(breaker, True, True, False, False, False).state == OPEN
        assert not breaker.admits()

    def test_a_late_failure_does_not_count_once_it_is_open(self) -> None:
        breaker = opened(Clock())
        breaker.record(succeeded=False)
        assert breaker.state == OPEN
