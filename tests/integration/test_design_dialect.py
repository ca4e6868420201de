"""The design document's own dialect: the portal serves it unless told not to; the real k6 runs A to E against it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from core.ports import Endpoints, ServiceId
from core.settings import Settings
from core.words import Verdict
from k6.checks import thresholds_check
from k6.command_line import built_k6
from k6.model import K6Program, ScenarioRequest, ScenarioResult
from k6.runner import run_scenario
from targets.adapter import Adapter, Fixtures, adapter_for
from targets.load import Load
from targets.model import Profile, load_profile

TINY = Load.model_validate(
    {
        "name": "tiny",
        "description": "a few seconds each",
        "a": {"vus": 2, "ramp_up_s": 1, "steady_s": 4, "ramp_down_s": 0},
        "b": {"rate_per_s": 20, "duration_s": 3, "pre_allocated_vus": 5, "max_vus": 20},
        "c": {"users": 120, "max_duration_s": 10},
        "d": {
            "start_rate_per_s": 5, "rate_per_s": 20, "ramp_up_s": 1, "steady_s": 2, "ramp_down_s": 1,
            "pre_allocated_vus": 5, "max_vus": 20,
        },
        "e": {"herd_vus": 20, "max_duration_s": 5},
        "bot": [{"rate_per_s": 1, "duration_s": 1}],
    }
)  # fmt: skip
SWITCH = "/admin/design-routes"


def profile_at(name: str, urls: object) -> Profile:
    named = {
        ServiceId.GATEWAY: "gateway",
        ServiceId.AUTH: "auth",
        ServiceId.BLOG: "blog",
        ServiceId.SHOPPING: "shopping",
        ServiceId.NOTIFICATION: "notification",
    }
    at = {service: urlsplit(getattr(urls, attribute)).netloc for service, attribute in named.items()}
    return load_profile(name).at(Endpoints(at))


@pytest.fixture(scope="module")
def urls(request: pytest.FixtureRequest) -> object:
    return request.getfixturevalue("portal_urls")


@pytest.fixture(scope="module")
def design(urls: object) -> Profile:
    return profile_at("portal-design", urls)


@pytest.fixture(scope="module")
def adapter(design: Profile) -> Adapter:
    """The portal's adapter, after seeding."""
    adapter = adapter_for(design)
    adapter.seed()
    return adapter


@pytest.fixture(scope="module")
def fixtures(adapter: Adapter) -> Fixtures:
    return adapter.fixtures("design-dialect-run")


@pytest.fixture(scope="module")
def k6() -> K6Program:
    return K6Program(built_k6(Settings().cache_dir))


def run(scenario: str, profile: Profile, fixtures: Fixtures, k6: K6Program, out_dir: Path) -> ScenarioResult:
    request = ScenarioRequest(
        scenario=scenario,
        profile=profile,
        load=TINY,
        run_id="run-1",
        run_mark=fixtures.mark,
        coupon_id=fixtures.coupon_id,
        product_id=fixtures.product_id,
        k6=k6,
        out_dir=out_dir,
        remote_write_url=None,
    )
    return run_scenario(request, lambda _: None, threading.Event())


class TestScenarios:
    @pytest.mark.parametrize("scenario", ["a", "b", "c", "d", "e"])
    def test_run_on_the_designs_routes_with_every_answer_right(
        self, scenario: str, design: Profile, fixtures: Fixtures, k6: K6Program, tmp_path: Path
    ) -> None:
        result = run(scenario, design, fixtures, k6, tmp_path)
        assert result.error is None
        assert result.requests > 0
        assert (result.wrong_answers, result.error_rate) == (0, 0.0)
        assert [row.metric for row in result.thresholds if not row.samples] == []
        if scenario == "c":
            assert (result.counters["coupons_issued"], result.counters["coupons_sold_out"]) == (100, 20)
        if scenario == "a":
            assert result.counters["orders_created"] > 0

    @pytest.mark.parametrize("scenario", ["a", "b", "d"])
    def test_as_the_design_wrote_them_fail_on_the_platform_as_it_is(
        self, scenario: str, urls: object, fixtures: Fixtures, k6: K6Program, tmp_path: Path
    ) -> None:
        """corrections.md row 17: page=0 is a 400 and `data.content` is not there."""
        platform, design = profile_at("portal", urls), load_profile("portal-design")
        routes = {name: route for name, route in platform.routes.items() if name != "product_search"}
        searched = design.routes["product_search"].model_copy(  # type: ignore[index]
            update={"path": "/api/v1/shopping/products/search"}
        )
        mixed = platform.model_copy(
            update={"responses": design.responses, "routes": {**routes, "product_search": searched}}
        )
        result = run(scenario, mixed, fixtures, k6, tmp_path)
        assert thresholds_check(result).verdict is not Verdict.PASS
        assert result.error is not None or result.error_rate


class TestSwitch:
    PATHS = ("/api/v1/products?page=0", "/api/v1/products/search?keyword=a", "/api/v1/posts?page=0")

    @pytest.fixture
    def gateway(self, design: Profile, adapter: Adapter) -> Iterator[httpx.Client]:
        """Seeded; the design's routes are on, before and after."""
        with httpx.Client(base_url=design.base_url, trust_env=False) as client:
            yield client
            client.put(SWITCH).raise_for_status()

    def test_off_the_routes_are_unknown_and_on_they_are_there(self, gateway: httpx.Client) -> None:
        user = {"email": "load0001@test.com", "password": "loadtest123"}
        token = gateway.post("/api/v1/auth/login", json=user).json()["data"]["accessToken"]
        headers = {"Authorization": f"Bearer {token}"}
        for switch, status in (("DELETE", 404), ("PUT", 200)):
            gateway.request(switch, SWITCH).raise_for_status()
            assert [gateway.get(path, headers=headers).status_code for path in self.PATHS] == [status] * 3

    def test_the_platforms_own_routes_stay_as_they_are(self, gateway: httpx.Client) -> None:
        assert gateway.get("/api/v1/shopping/products?page=0").status_code == 400
        assert gateway.get("/api/v1/shopping/products?page=1").json()["data"]["items"]

    def test_the_first_page_is_the_same_in_both(self, gateway: httpx.Client) -> None:
        design = gateway.get("/api/v1/products?page=0&size=5").json()["data"]
        platform = gateway.get("/api/v1/shopping/products?page=1&size=5").json()["data"]
        assert design["content"] == platform["items"]
        assert design["totalElements"] == platform["totalElements"]

    def test_access_is_as_on_the_platforms_routes(self, gateway: httpx.Client) -> None:
        assert gateway.post("/api/v1/cart/items", json={}).status_code == 401
        assert gateway.post("/api/v1/coupons/1/issue").status_code == 401
        assert gateway.get("/api/v1/products/7").status_code == 200

    def test_the_limiter_is_that_of_the_platforms_routes(self, gateway: httpx.Client) -> None:
        gateway.put("/admin/faults/rate-limit").raise_for_status()
        try:
            limits = gateway.get("/api/v1/products").headers
        finally:
            gateway.delete("/admin/faults/rate-limit").raise_for_status()
        rates = limits["X-RateLimit-Replenish-Rate"], limits["X-RateLimit-Burst-Capacity"]
        assert rates == ("50", "200")  # platform.md 1

    def test_a_client_cannot_ask_for_the_designs_lists_on_the_platforms_routes(self, gateway: httpx.Client) -> None:
        headers = {"X-Portal-Design-Route": "true"}
        assert gateway.get("/api/v1/shopping/products?page=0", headers=headers).status_code == 400

    def test_is_not_reached_through_a_proxy(self, gateway: httpx.Client) -> None:
        assert gateway.put(SWITCH, headers={"X-Forwarded-For": "10.0.0.1"}).status_code == 403
