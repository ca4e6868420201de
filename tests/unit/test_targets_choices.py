"""What a profile may choose: how the load meets the target's limiter, and how users come by their tokens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from k6.model import K6Program, ScenarioRequest
from k6.plan import plan_document
from targets.load import load_load
from targets.model import Profile, RouteName, load_profile


def changed(**changes: Any) -> Profile:
    document = load_profile("portal-universe").model_dump()
    for path, value in changes.items():
        *parents, key = path.split("__")
        at = document
        for parent in parents:
            at = at[parent]
        at[key] = value
    return Profile.model_validate(document)


def plan_of(profile: Profile) -> dict[str, Any]:
    return plan_document(
        ScenarioRequest(
            "b", profile, load_load("smoke"), "run-1", "mark", "7", "3", K6Program(Path("/k6")), Path("/"), None
        )
    )


class TestLimiter:
    @pytest.mark.parametrize("way", ["x-real-ip", "measure"])
    def test_leaves_requests_to_the_gateway_unless_they_go_direct(self, way: str) -> None:
        profile = changed(limiter__way=way)
        for name, route in profile.routes.items():
            assert profile.request_of(name) == ("http://127.0.0.1:8080", route.path)

    @pytest.mark.parametrize(
        ("route", "expected"),
        [
            (RouteName.PRODUCT_LIST, ("http://127.0.0.1:8083", "/products")),
            (RouteName.COUPON_ISSUE, ("http://127.0.0.1:8083", "/coupons/{id}/issue")),
            (RouteName.POST_DETAIL, ("http://127.0.0.1:8082", "/posts/{id}")),
            (RouteName.LOGIN, ("http://127.0.0.1:8081", "/api/v1/auth/login")),
        ],
    )
    def test_direct_strips_the_gateways_prefix(self, route: RouteName, expected: tuple[str, str]) -> None:
        assert changed(limiter__way="direct").request_of(route) == expected

    def test_direct_without_a_service_for_a_route_is_refused(self) -> None:
        with pytest.raises(ValidationError, match="no prefix for route 'login'"):
            changed(limiter__way="direct", limiter__behind=[{"prefix": "/api/v1/blog", "service": "blog-service"}])

    def test_direct_to_a_service_without_an_address_is_refused(self) -> None:
        addresses = {key: value for key, value in load_profile("portal-universe").addresses.items() if key != "mysql"}
        behind = [{"prefix": "", "service": "mysql"}]
        with pytest.raises(ValidationError, match="addresses has no 'mysql'"):
            changed(limiter__way="direct", limiter__behind=behind, addresses=addresses)

    def test_is_stated_in_the_report_with_its_consequence(self) -> None:
        said = {way: changed(limiter__way=way).choices["rate limiter"] for way in ("x-real-ip", "direct", "measure")}
        assert "bucket of its own" in said["x-real-ip"]
        assert "past the gateway and its limiter" in said["direct"]
        assert "429" in said["measure"]

    def test_that_does_not_exist_is_not_spoken_of(self) -> None:
        assert "rate limiter" not in load_profile("portal").choices
        assert plan_of(load_profile("portal"))["limiter"] == {"way": "none"}


class TestTokens:
    def test_minting_needs_the_targets_key(self) -> None:
        with pytest.raises(ValidationError, match="needs `key`"):
            changed(users__tokens__way="mint")

    def test_refreshing_needs_its_route_and_its_token(self) -> None:
        with pytest.raises(ValidationError, match=r"needs routes\.refresh and responses\.refresh_token"):
            changed(users__tokens__way="refresh", responses__refresh_token=None)

    def test_the_key_is_in_the_scripts_plan_and_in_no_repr(self) -> None:
        profile = changed(users__tokens__way="mint", users__tokens__key="a-secret-key")
        assert plan_of(profile)["users"]["tokens"]["key"] == "a-secret-key"
        assert "a-secret-key" not in repr(profile)

    def test_minted_ids_are_uuids_in_the_order_of_the_pool(self) -> None:
        tokens = load_profile("portal-universe").users.tokens
        assert (tokens.minted_id(0), tokens.minted_id(17)) == (
            "10ad7e57-0000-4000-8000-000000000000",
            "10ad7e57-0000-4000-8000-000000000017",
        )


class TestStores:
    def test_hide_their_passwords(self) -> None:
        profile = changed(stores__postgresql__password="canary")
        assert "canary" not in repr(profile)


class TestOrders:
    def test_are_off_on_portal_universe_and_the_profile_says_why(self) -> None:
        profile = load_profile("portal-universe")
        assert not profile.data_may_be_written
        assert profile.no_orders_because is not None
        assert "S901" in profile.no_orders_because
        assert "S304" in profile.no_orders_because
