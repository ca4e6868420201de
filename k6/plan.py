"""The plan of one scenario: the document by which its script knows target, users and load numbers.

k6 gets no load flags: they would override the script's scenarios. All numbers stand in the plan, the script makes its
options from them (anchors.md, traps).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.checks import SCENARIOS
from core.errors import ConfigError
from k6.model import ScenarioRequest, Segment
from targets.load import Load
from targets.model import ORDER_ROUTES, SCENARIO_ROUTES, Profile, RouteName, Tokens, UserPool

HERD_AFTER_EXPIRY_S = 1.0
"""E's herd starts this long after the TTL, counted from the start of the warm-up request (corrections 8)."""
TTL_AT_MOST_S = 60.0
"""E is a matter of seconds (design 4.3 E: 15 s, then at most 10 s): it does not sit out an expiry of minutes."""
SETUP_TIMEOUT_S = 120.0
"""Bound of a script's setup(): 500 logins at the platform's 20 a second take 25 s (platform.md 1)."""
SEAM_S = 5.0
"""Around a seam between two segments this long on either side is not judged: a visit of A lasts 3 s, and who joins
connects and signs in."""
GRACEFUL_STOP_S = 30.0
"""k6's own default: how long iterations may finish after a scenario's end."""


def scenario_name(scenario: str) -> str:
    """Script name of a scenario given by letter or name; ConfigError for any other."""
    name = SCENARIOS.get(scenario, scenario)
    if name not in SCENARIOS.values():
        known = ", ".join(SCENARIOS.values())
        raise ConfigError(f"unknown scenario '{scenario}'", cure=f"Known: {known}; or the letter in front.")
    return name


def herd_starts_s(profile: Profile) -> float:
    """Seconds from the warm-up to E's herd; ConfigError where the target has no cache, or one that keeps too long."""
    if profile.cache is None:
        raise ConfigError(
            f"target '{profile.name}' has no cache",
            where=SCENARIOS["e"],
            cure="Leave scenario E out, or give the profile its `cache`.",
        )
    if profile.cache.ttl_s > TTL_AT_MOST_S:
        raise ConfigError(
            f"the cache of target '{profile.name}' keeps a product {profile.cache.ttl_s:.0f} s, "
            f"longer than scenario E lasts (at most {TTL_AT_MOST_S:.0f} s)",
            where=SCENARIOS["e"],
            cure="Give the test target a shorter TTL and say so in `cache.ttl_s`, or leave scenario E out.",
        )
    return profile.cache.ttl_s + HERD_AFTER_EXPIRY_S


def planned_s(scenario: str, load: Load, profile: Profile) -> float:
    """Longest time of the scenario's load in seconds, without setup() and the graceful stop."""
    match scenario:
        case "a":
            return load.a.ramp_up_s + load.a.steady_s + load.a.ramp_down_s
        case "b":
            return load.b.duration_s
        case "c":
            return load.c.max_duration_s
        case "d":
            return load.d.ramp_up_s + load.d.steady_s + load.d.ramp_down_s
        case _:
            return herd_starts_s(profile) + load.e.max_duration_s


def offered_iterations(scenario: str, load: Load) -> float | None:
    """Iterations that an arrival-rate scenario asks for; None for the others, whose number follows the target."""
    if scenario == "b":
        return load.b.rate_per_s * load.b.duration_s
    if scenario == "d":
        d = load.d
        ramp_up = (d.start_rate_per_s + d.rate_per_s) / 2 * d.ramp_up_s
        return ramp_up + d.rate_per_s * d.steady_s + d.rate_per_s / 2 * d.ramp_down_s
    return None


def max_vus(scenario: str, load: Load) -> int | None:
    """VUs that an arrival-rate scenario may use; None for the others."""
    return {"b": load.b.max_vus, "d": load.d.max_vus}.get(scenario)


def plan_document(request: ScenarioRequest) -> dict[str, Any]:
    """The plan as JSON values. It holds passwords and tokens: write it where only its owner can read.

    ConfigError when the load does not fit k6 or the target.
    """
    profile = request.profile
    _require_routes(request.scenario, profile)
    _require_whole_rates(request.load)
    if request.scenario == "c":
        _require_users(request)
    return {
        "scenario": scenario_name(request.scenario),
        "run_id": request.run_id,
        "run_mark": request.run_mark,
        "dialect": profile.dialect,
        "data_may_be_written": profile.data_may_be_written,
        "limiter": _limiter(profile),
        "routes": {name: _route(profile, name) for name in profile.routes},
        "responses": profile.responses.model_dump(mode="json"),
        "users": {
            "email": profile.users.email,
            "password": profile.users.password.get_secret_value(),
            "pool": _pool(profile.users.pool),
            "tokens": _tokens(profile.users.tokens),
        },
        "search_words": dict(profile.catalogue.search_words),
        "load": getattr(request.load, request.scenario).model_dump(mode="json"),
        "coupon_id": request.coupon_id,
        "product_id": request.product_id,
        "herd_starts_s": herd_starts_s(profile) if request.scenario == "e" else None,
        "setup_timeout_s": SETUP_TIMEOUT_S,
        "share": _share(request),
        "tokens": list(request.tokens),
        "segment": None if request.segment is None else _segment(request.segment),
    }


def _segment(segment: Segment) -> dict[str, Any]:
    """The load's first and last segment have one seam, those between two."""
    starts_ms, ends_ms, seam_ms = (
        1000 * each for each in (segment.starts_at.timestamp(), segment.ends_at.timestamp(), SEAM_S)
    )
    return {
        "number": segment.number,
        "starts_at_ms": starts_ms,
        "judged_from_ms": starts_ms + seam_ms if segment.number > 1 else 0,
        "judged_until_ms": ends_ms - seam_ms if segment.number < segment.of else ends_ms + 1000 * GRACEFUL_STOP_S,
    }


def _share(request: ScenarioRequest) -> Mapping[str, str]:
    """The share of one generator among several, as k6's options; empty for one alone.

    k6 deals VUs and iterations out among the segments and numbers them over all of them, so that no two generators have
    a user or an iteration in common.
    """
    n = request.generators
    if n == 1:
        return {}
    ends = ["0", *(f"{i}/{n}" for i in range(1, n)), "1"]
    segment = f"{ends[request.generator - 1]}:{ends[request.generator]}"
    return {"executionSegment": segment, "executionSegmentSequence": ",".join(ends)}


def _route(profile: Profile, name: RouteName) -> Mapping[str, Any]:
    base_url, path = profile.request_of(name)
    return {"method": profile.routes[name].method, "base_url": base_url, "path": path}


def _limiter(profile: Profile) -> Mapping[str, Any]:
    if profile.limiter is None:
        return {"way": "none"}
    return profile.limiter.model_dump(mode="json", exclude={"behind"})


def _tokens(tokens: Tokens) -> Mapping[str, Any]:
    key = tokens.key.get_secret_value() if tokens.key else None
    return {**tokens.model_dump(mode="json"), "key": key}


def _pool(pool: UserPool) -> Mapping[str, Any]:
    return {**pool.model_dump(mode="json"), "password": pool.password.get_secret_value()}


def _require_routes(scenario: str, profile: Profile) -> None:
    needed = SCENARIO_ROUTES[scenario] + (ORDER_ROUTES if scenario == "a" and profile.data_may_be_written else ())
    missing = [f"`{route}`" for route in needed if route not in profile.routes]
    if missing:
        raise ConfigError(
            f"target '{profile.name}' has no route {', '.join(missing)}, which {SCENARIOS[scenario]} needs",
            where="`routes` of the profile",
            cure=f"Add it there, or leave scenario {scenario.upper()} out.",
        )


def _require_whole_rates(load: Load) -> None:
    for key, rate in (
        ("b.rate_per_s", load.b.rate_per_s),
        ("d.rate_per_s", load.d.rate_per_s),
        ("d.start_rate_per_s", load.d.start_rate_per_s),
    ):
        if rate != int(rate):
            raise ConfigError(
                f"'{key}' is {rate}, k6 takes whole numbers", where=f"load '{load.name}'", cure="Round it."
            )


def _require_users(request: ScenarioRequest) -> None:
    """C needs one user, and one token if they are given, for each iteration (corrections 6)."""
    users, pool = request.load.c.users, request.profile.users.pool.count
    if users > pool:
        raise ConfigError(
            f"'c.users' is {users}, but the target's pool has {pool} users: one would take two coupons",
            where=f"load '{request.load.name}', target '{request.profile.name}'",
            cure="Lower c.users, or seed more users and raise users.pool.count.",
        )
    if request.tokens and len(request.tokens) < users:
        raise ConfigError(
            f"{len(request.tokens)} tokens for {users} users",
            where="scenario c-coupon-spike",
            cure="Give a token for every user, or none: then the script logs them in.",
        )
