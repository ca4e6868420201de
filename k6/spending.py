"""What a scenario puts on the target at the most, by its own arithmetic."""

from __future__ import annotations

from k6.plan import planned_s
from targets.budget import Spending
from targets.load import Load
from targets.model import ORDER_ROUTES, SCENARIO_ROUTES, Profile

VISIT_S = 3.0
"""A's think times (design 4.3 A): a visit takes no less, however fast the target is."""
READING = 12
"""B to E first sign in and read which ids there are: at most ten pages."""


def spending(scenario: str, load: Load, profile: Profile) -> Spending:
    """Requests at the most, the setup's included, and the seconds of the load."""
    return Spending(_requests(scenario, load, profile), planned_s(scenario, load, profile))


def _requests(scenario: str, load: Load, profile: Profile) -> float:
    match scenario:
        case "a":
            routes = len(SCENARIO_ROUTES["a"]) + (len(ORDER_ROUTES) if profile.data_may_be_written else 0)
            busy_s = load.a.vus * (load.a.ramp_up_s / 2 + load.a.steady_s + load.a.ramp_down_s / 2)
            return routes * (busy_s / VISIT_S + load.a.vus) + READING
        case "b":
            return load.b.rate_per_s * load.b.duration_s + READING
        case "c":
            return 2 * load.c.users  # each may have to sign in first
        case "d":
            d = load.d
            ramps = (d.start_rate_per_s + d.rate_per_s) / 2 * d.ramp_up_s + d.rate_per_s / 2 * d.ramp_down_s
            return ramps + d.rate_per_s * d.steady_s + READING
        case _:
            return load.e.herd_vus + READING
