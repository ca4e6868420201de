"""The design document's own dialect: its routes at the gateway, its lists, and the profile that speaks it."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from starlette.requests import Request
from starlette.types import Scope

from infra.portal.design_routes import as_platform
from infra.portal.gateway import _forwarded
from infra.portal.http import DESIGN_HEADER, ApiError, list_name, page_of, paging
from targets.model import FOLDER, Profile, load_profile


def scope_of(method: str, path: str, headers: dict[str, str] | None = None, query: str = "") -> Scope:
    return {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()],
        "client": ("127.0.0.1", 1),
    }


def document(name: str) -> dict[str, Any]:
    parsed: dict[str, Any] = yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    return parsed


def asked(query: str, of_design: bool) -> Request:
    return Request(scope_of("GET", "/posts", {DESIGN_HEADER: "true"} if of_design else {}, query))


class TestRoutes:
    @pytest.mark.parametrize(
        ("method", "design", "platform"),
        [
            ("GET", "/api/v1/products", "/api/v1/shopping/products"),
            ("GET", "/api/v1/products/7", "/api/v1/shopping/products/7"),
            ("GET", "/api/v1/products/search", "/api/v1/shopping/search/products"),
            ("POST", "/api/v1/cart/items", "/api/v1/shopping/cart/items"),
            ("POST", "/api/v1/cart/checkout", "/api/v1/shopping/cart/checkout"),
            ("POST", "/api/v1/orders", "/api/v1/shopping/orders"),
            ("GET", "/api/v1/posts", "/api/v1/blog/posts"),
            ("GET", "/api/v1/posts/65c0", "/api/v1/blog/posts/65c0"),
            ("POST", "/api/v1/coupons/1/issue", "/api/v1/shopping/coupons/1/issue"),
        ],
    )
    def test_of_the_design_lead_to_the_platforms(self, method: str, design: str, platform: str) -> None:
        scope = scope_of(method, design)
        assert as_platform(scope)
        assert (scope["path"], scope["raw_path"]) == (platform, platform.encode())

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("GET", "/api/v1/auth/login"),
            ("GET", "/api/v1/shopping/products"),
            ("POST", "/api/v1/products"),
            ("GET", "/api/v1/products/7/reviews"),
            ("GET", "/api/v1/%70roducts/7"),
            ("GET", "/api/v1/products/"),
            ("POST", "/api/v1/coupons/1/../issue"),
        ],
    )
    def test_of_others_stay_as_they_are(self, method: str, path: str) -> None:
        scope = scope_of(method, path)
        assert not as_platform(scope)
        assert scope["path"] == path

    def test_keep_an_id_as_it_was_written(self) -> None:
        scope = scope_of("GET", "/api/v1/posts/a%20b")
        assert as_platform(scope)
        assert (scope["path"], scope["raw_path"]) == ("/api/v1/blog/posts/a b", b"/api/v1/blog/posts/a%20b")


class TestLists:
    @pytest.mark.parametrize(
        ("query", "of_design", "expected"),
        [
            ("", False, (1, 20, 0)),
            ("page=2&size=5", False, (2, 5, 5)),
            ("", True, (0, 20, 0)),
            ("page=0&size=5", True, (0, 5, 0)),
            ("page=2&size=5", True, (2, 5, 10)),
        ],
    )
    def test_begin_where_the_dialect_says(self, query: str, of_design: bool, expected: tuple[int, int, int]) -> None:
        assert paging(asked(query, of_design), default_size=20) == expected

    @pytest.mark.parametrize(("query", "of_design"), [("page=0", False), ("page=-1", True)])
    def test_have_no_page_before_the_first(self, query: str, of_design: bool) -> None:
        with pytest.raises(ApiError, match="page must be at least"):
            paging(asked(query, of_design), default_size=20)

    @pytest.mark.parametrize(("of_design", "name"), [(False, "items"), (True, "content")])
    def test_have_the_dialects_name(self, of_design: bool, name: str) -> None:
        body = yaml.safe_load(page_of(["x"], 0, 20, 1, list_name(asked("", of_design))).body)
        assert body["data"][name] == ["x"]

    def test_cannot_be_asked_for_in_the_designs_dialect_by_a_client(self) -> None:
        assert DESIGN_HEADER not in _forwarded(asked("", of_design=True), None, {})

    def test_are_asked_for_by_the_gateway_alone(self) -> None:
        request = asked("", of_design=False)
        request.scope["of_design"] = True
        assert _forwarded(request, None, {})[DESIGN_HEADER] == "true"


class TestProfile:
    @pytest.fixture
    def profile(self) -> Profile:
        return load_profile("portal-design")

    def test_differs_from_the_portals_in_routes_and_lists_only(self) -> None:
        portal, design = (
            yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
            for name in ("portal", "portal-design")
        )
        assert _differing(portal, design) == {
            *("name", "description"),
            *(f"routes.{name}" for name in portal["routes"] if name != "login"),
            *("responses.products", "responses.posts", "responses.search"),
        }

    def test_speaks_as_the_design_is_written(self, profile: Profile) -> None:
        assert profile.routes["product_list"].path == "/api/v1/products"  # type: ignore[index]
        assert (profile.responses.products.first_page, profile.responses.products.items) == (0, "data.content")


def _differing(one: dict[str, Any], other: dict[str, Any]) -> set[str]:
    """Keys, one level below `routes` and `responses`, whose values are not the same."""
    flat = [
        {
            **{key: value for key, value in document.items() if key not in ("routes", "responses")},
            **{f"{part}.{key}": value for part in ("routes", "responses") for key, value in document[part].items()},
        }
        for document in (one, other)
    ]
    return {key for key in flat[0].keys() | flat[1].keys() if flat[0].get(key) != flat[1].get(key)}
