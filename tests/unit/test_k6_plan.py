"""The plan that a script gets, and the command and environment by which k6 is started."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.checks import SCENARIOS
from core.errors import ConfigError
from k6.command import Files, k6_arguments, k6_environment
from k6.model import K6Program, ScenarioRequest
from k6.plan import max_vus, offered_iterations, plan_document, planned_s, scenario_name
from targets.load import Load, load_load
from targets.model import Profile, load_profile

REMOTE_WRITE = "http://127.0.0.1:9090/api/v1/write"
FILES = Files.of(Path("/out"), Path("/private"))


def a_request(scenario: str = "b", load: str | Load = "design", **changes: Any) -> ScenarioRequest:
    request = ScenarioRequest(
        scenario=scenario,
        profile=load_profile("portal"),
        load=load_load(load) if isinstance(load, str) else load,
        run_id="run-1",
        run_mark="mark-1",
        coupon_id="7",
        product_id="3",
        k6=K6Program(Path("/k6"), {"LD_LIBRARY_PATH": "/lib"}),
        out_dir=Path("/out"),
        remote_write_url=REMOTE_WRITE,
    )
    return replace(request, **changes)


def changed(load: Load, scenario: str, **numbers: float) -> Load:
    return load.model_copy(update={scenario: getattr(load, scenario).model_copy(update=numbers)})


def without(name: str, *routes: str, cache_ttl_s: float = 10) -> Profile:
    """A profile that lacks `routes`, with another TTL of its cache."""
    profile = load_profile(name)
    assert profile.cache is not None
    kept = {route: value for route, value in profile.routes.items() if route not in routes}
    return profile.model_copy(update={"routes": kept, "cache": profile.cache.model_copy(update={"ttl_s": cache_ttl_s})})


class TestPlan:
    def test_says_all_that_a_script_needs(self) -> None:
        plan = plan_document(a_request("e"))
        assert plan["scenario"] == "e-cache-thundering"
        assert plan["routes"]["product_detail"] == {
            "method": "GET",
            "base_url": "http://127.0.0.1:8080",
            "path": "/api/v1/shopping/products/{id}",
        }
        assert plan["responses"]["products"]["first_page"] == 1
        assert plan["responses"]["coupon_sold_out"][0] == {"status": 409, "code": "S602"}
        assert plan["load"] == {"herd_vus": 200, "max_duration_s": 10}
        assert (plan["run_mark"], plan["coupon_id"], plan["product_id"]) == ("mark-1", "7", "3")

    def test_holds_the_passwords_in_plain(self) -> None:
        users = plan_document(a_request())["users"]
        assert users["password"] == users["pool"]["password"] == "loadtest123"

    def test_herd_starts_a_second_after_the_targets_own_ttl(self) -> None:
        # corrections 8: the design's 15 s are right only for a TTL below 15 s; the portal's is 10 s
        assert plan_document(a_request("e"))["herd_starts_s"] == 11

    def test_refuses_e_where_there_is_no_cache(self) -> None:
        with pytest.raises(ConfigError, match="has no cache") as refused:
            plan_document(a_request("e", profile=load_profile("portal-universe")))
        assert "Leave scenario E out" in refused.value.cure

    def test_refuses_a_cache_that_keeps_longer_than_e_lasts(self) -> None:
        with pytest.raises(ConfigError, match="keeps a product 600 s, longer than scenario E lasts") as refused:
            plan_document(a_request("e", profile=without("portal", cache_ttl_s=600)))
        assert "`cache.ttl_s`" in refused.value.cure

    @pytest.mark.parametrize(
        ("scenario", "route"),
        [("a", "add_to_cart"), ("a", "create_order"), ("b", "post_detail"), ("c", "coupon_issue"), ("e", "login")],
    )
    def test_refuses_a_scenario_whose_route_the_profile_lacks(self, scenario: str, route: str) -> None:
        with pytest.raises(ConfigError, match=f"has no route `{route}`, which {SCENARIOS[scenario]} needs") as refused:
            plan_document(a_request(scenario, profile=without("portal", route)))
        assert f"leave scenario {scenario.upper()} out" in refused.value.cure

    def test_a_route_that_the_scenario_does_not_need_may_be_missing(self) -> None:
        assert "coupon_issue" not in plan_document(a_request("b", profile=without("portal", "coupon_issue")))["routes"]

    def test_orders_need_no_route_where_data_may_not_be_written(self) -> None:
        profile = without("portal", "create_order").model_copy(update={"data_may_be_written": False})
        assert plan_document(a_request("a", profile=profile))["data_may_be_written"] is False

    def test_refuses_more_users_than_the_pool_has(self) -> None:
        # corrections 6: one user an iteration
        load = changed(load_load("design"), "c", users=601)
        with pytest.raises(ConfigError, match="600 users"):
            plan_document(a_request("c", load=load))

    def test_refuses_too_few_tokens(self) -> None:
        with pytest.raises(ConfigError, match="499 tokens for 500 users"):
            plan_document(a_request("c", tokens=("token",) * 499))

    def test_refuses_rates_that_k6_cannot_take(self) -> None:
        with pytest.raises(ConfigError, match=r"'d\.start_rate_per_s' is 0\.5"):
            plan_document(a_request("d", load=changed(load_load("design"), "d", start_rate_per_s=0.5)))


class TestNumbers:
    @pytest.mark.parametrize(
        ("scenario", "seconds"),
        [("a", 840), ("b", 600), ("c", 30), ("d", 900), ("e", 21)],  # e: TTL 10, margin 1, at most 10
    )
    def test_planned_time_of_the_design(self, scenario: str, seconds: float) -> None:
        assert planned_s(scenario, load_load("design"), load_profile("portal")) == seconds

    @pytest.mark.parametrize(
        ("scenario", "iterations", "vus"),
        [
            ("a", None, None),
            ("b", 300_000, 500),  # 500/s x 600 s
            ("c", None, None),
            ("d", 154_500, 300),  # (50+200)/2 x 180 + 200 x 600 + 200/2 x 120
            ("e", None, None),
        ],
    )
    def test_offered_iterations_of_the_design(self, scenario: str, iterations: float | None, vus: int | None) -> None:
        assert offered_iterations(scenario, load_load("design")) == iterations
        assert max_vus(scenario, load_load("design")) == vus

    def test_smoke_keeps_k6_below_ninety_seconds(self) -> None:
        # C takes about a second of its 30: its bound is for a target that hangs
        load, profile = load_load("smoke"), load_profile("portal")
        assert sum(planned_s(scenario, load, profile) for scenario in "abde") <= 90


class TestScenarioName:
    def test_takes_letter_or_name(self) -> None:
        assert scenario_name("c") == scenario_name("c-coupon-spike") == "c-coupon-spike"

    def test_lists_the_known_ones(self) -> None:
        with pytest.raises(ConfigError, match="unknown scenario 'f'") as refused:
            scenario_name("f")
        assert all(name in refused.value.cure for name in SCENARIOS.values())


class TestArguments:
    arguments = k6_arguments(a_request("c"), FILES, "127.0.0.1:6565")

    def test_label_every_sample(self) -> None:
        # corrections 21
        assert {"--tag=run_id=run-1", "--tag=scenario=c-coupon-spike", "--tag=generator=1"} <= set(self.arguments)

    def test_hold_no_load_flag(self) -> None:
        # a load flag would override the script's scenarios (anchors.md, traps)
        forbidden = ("--vus", "-u", "--duration", "-d", "--iterations", "-i", "--stage", "-s", "--rps")
        assert not [argument for argument in self.arguments if argument.split("=")[0] in forbidden]

    def test_hold_no_setting_of_the_output(self) -> None:
        # corrections 1: --env reaches only the script
        assert not [argument for argument in self.arguments if "K6_" in argument]

    def test_end_with_the_script(self) -> None:
        assert self.arguments[-1].endswith("k6/scenarios/c-coupon-spike.js")
        assert Path(self.arguments[-1]).is_file()

    def test_leave_the_output_out_where_nothing_is_to_be_written(self) -> None:
        assert "--out=experimental-prometheus-rw" in self.arguments
        silent = k6_arguments(a_request("c", remote_write_url=None), FILES, "127.0.0.1:6565")
        assert not [argument for argument in silent if argument.startswith("--out")]


class TestEnvironment:
    def test_leaves_processors_to_the_target_and_bounds_the_memory_that_fewer_collections_take(self) -> None:
        environment = k6_environment(a_request("b"), FILES, {})
        assert int(environment["GOMAXPROCS"]) == max(1, (os.cpu_count() or 1) // 2)
        assert (environment["GOGC"], environment["GOMEMLIMIT"]) == ("400", "1GiB")

    def environment(self, scenario: str = "b", load: str = "design", **caller: str) -> dict[str, str]:
        return k6_environment(a_request(scenario, load), FILES, caller)

    def test_tells_the_output_where_and_how_to_write(self) -> None:
        environment = self.environment()
        assert environment["K6_PROMETHEUS_RW_SERVER_URL"] == REMOTE_WRITE  # corrections 1
        assert environment["K6_PROMETHEUS_RW_TREND_AS_NATIVE_HISTOGRAM"] == "true"  # corrections 2
        assert environment["K6_PROMETHEUS_RW_PUSH_INTERVAL"] == "1s"  # corrections 19
        assert environment["K6_PROMETHEUS_RW_STALE_MARKERS"] == "true"

    def test_drops_the_callers_k6_settings_and_proxies(self) -> None:
        environment = self.environment(
            K6_VUS="1", K6_OUT="cloud", K6_PROMETHEUS_RW_SERVER_URL="http://elsewhere/", HTTP_PROXY="http://elsewhere/",
            https_proxy="http://elsewhere/", ALL_PROXY="http://elsewhere/", HOME="/srv/someone",
        )  # fmt: skip
        assert not [value for value in environment.values() if "elsewhere" in value]
        assert "K6_VUS" not in environment
        assert "K6_OUT" not in environment
        assert environment["HOME"] == "/srv/someone"

    def test_names_plan_and_summary(self) -> None:
        environment = self.environment()
        assert environment["SUITE_PLAN"] == "/private/plan.json"
        assert environment["SUITE_SUMMARY"] == "/out/summary.json"
        assert environment["LD_LIBRARY_PATH"] == "/lib"

    @pytest.mark.parametrize(("load", "exported"), [("design", True), ("smoke", False)])
    def test_exports_the_web_dashboard_where_it_has_something_to_show(self, load: str, exported: bool) -> None:
        assert ("K6_WEB_DASHBOARD_EXPORT" in self.environment("b", load)) is exported
