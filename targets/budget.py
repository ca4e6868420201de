"""The most that one run may put on a target: reckoned before anything is sent, and counted while it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from core.errors import ConfigError
from targets.model import Abort, Budget, Profile
from targets.shape import BotStep


class Spending(NamedTuple):
    """Requests (and the bot's messages), and the seconds in which they are sent."""

    requests: float
    seconds: float


def require_within(profile: Profile, planned: Iterable[Spending], load: str) -> None:
    """ConfigError when the load's own arithmetic exceeds the profile's budget."""
    whole = _sum(planned)
    said = _excess(profile.budget, whole)
    if said:
        raise ConfigError(
            f"load '{load}' may put {whole.requests:,.0f} requests in {whole.seconds / 60:.1f} min on target "
            f"'{profile.name}': more than its budget of {said}",
            where="budget",
            cure="Ask for less (--scenario, --phase, a smaller load), or raise the budget in the profile.",
        )


def messages(steps: Iterable[BotStep]) -> Spending:
    """What the Kafka bot sends."""
    rows = list(steps)
    return Spending(sum(row.mean_rate_per_s * row.duration_s for row in rows), sum(row.duration_s for row in rows))


class Meter:
    """What a run has put on its target so far; each source (a scenario, the bot) tells its own totals."""

    def __init__(self, budget: Budget | None) -> None:
        self._budget = budget
        self._spent: dict[str, Spending] = {}

    def note(self, source: str, requests: float, seconds: float) -> str:
        """A sentence when the budget is used up, else ""."""
        self._spent[source] = Spending(requests, seconds)
        said = _excess(self._budget, _sum(self._spent.values()))
        return f"the target's budget of {said} is used up" if said else ""


class FailureWatch:
    """Says when a target has failed too much for too long."""

    def __init__(self, abort: Abort) -> None:
        self._abort = abort
        self._seen: list[tuple[float, float, float]] = []

    def note(self, elapsed_s: float, requests: float, failed_ratio: float) -> str:
        """A sentence when the target has had enough, else ""; requests and ratio count from the load's begin."""
        failed = requests * failed_ratio
        self._seen.append((elapsed_s, requests, failed))
        while len(self._seen) > 1 and elapsed_s - self._seen[1][0] >= self._abort.for_s:
            self._seen.pop(0)
        then_s, requests_then, failed_then = self._seen[0]
        sent = requests - requests_then
        if elapsed_s - then_s < self._abort.for_s or sent <= 0:
            return ""
        ratio = (failed - failed_then) / sent
        if ratio < self._abort.error_ratio:
            return ""
        return f"the target failed {ratio:.0%} of {sent:.0f} requests in the last {elapsed_s - then_s:.0f} s"


class Limits:
    """What one run may do to its target, over all that it sends."""

    def __init__(self, profile: Profile) -> None:
        self._meter = Meter(profile.budget)
        self._abort = profile.abort

    def of(self, source: str) -> Callable[[float, float, float], str]:
        """For one source's (elapsed seconds, requests, failed ratio): a sentence when the load must end, else ""."""
        failures = FailureWatch(self._abort)

        def note(elapsed_s: float, requests: float, failed_ratio: float) -> str:
            return self._meter.note(source, requests, elapsed_s) or failures.note(elapsed_s, requests, failed_ratio)

        return note


def _sum(parts: Iterable[Spending]) -> Spending:
    rows = list(parts)
    return Spending(sum(row.requests for row in rows), sum(row.seconds for row in rows))


def _excess(budget: Budget | None, spending: Spending) -> str:
    """Which bound is passed, in words; "" when none is."""
    if budget is not None and spending.requests > budget.requests:
        return f"{budget.requests:,} requests"
    if budget is not None and spending.seconds > budget.minutes * 60:
        return f"{budget.minutes:g} minutes"
    return ""
