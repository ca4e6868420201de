"""A new profile: what an OpenAPI document and a Prometheus tell stands in it, what they do not tell is marked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.errors import ConfigError, SuiteError, TargetRefused
from core.settings import ROOT
from targets.metrics_look import Seen, look_at_prometheus
from targets.model import Profile, RouteName, load_profile
from targets.new import main, new_profile
from targets.openapi import Told, read_openapi, told
from tests.canned import Answer, canned
from tests.shop import app

SHOP = app.openapi()
ENVELOPED: dict[str, Any] = {
    "openapi": "3.0.3",
    "info": {"title": "Portal"},
    "servers": [{"url": "https://portal.internal/api/v1"}],
    "paths": {
        "/auth/login": {
            "post": {
                "requestBody": {"$ref": "#/components/requestBodies/Login"},
                "responses": {"200": {"content": {"*/*": {"schema": {"$ref": "#/components/schemas/Login"}}}}},
            }
        },
        "/shopping/products": {
            "get": {
                "parameters": [{"name": "page", "in": "query", "schema": {"type": "integer", "default": 0}}],
                "responses": {
                    "200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Page"}}}}
                },
            }
        },
        "/shopping/products/{productId}": {"get": {"responses": {"200": {"description": "one"}}}},
        "/shopping/cart/items": {"post": {"responses": {}}},
        "/shopping/cart/checkout": {"post": {"responses": {}}},
        "/shopping/orders": {"post": {"responses": {}}},
        "/shopping/orders/{orderNumber}/cancel": {"post": {"responses": {}}},
        "/shopping/coupons/{couponId}/issue": {"post": {"responses": {}}},
    },
    "components": {
        "requestBodies": {
            "Login": {"content": {"application/x-www-form-urlencoded": {"schema": {"type": "object"}}}},
        },
        "schemas": {
            "Login": {
                "properties": {
                    "success": {"type": "boolean"},
                    "data": {"properties": {"accessToken": {"type": "string"}, "expiresIn": {"type": "integer"}}},
                }
            },
            "Item": {"properties": {"id": {"type": "integer"}, "parent": {"$ref": "#/components/schemas/Item"}}},
            "Page": {
                "allOf": [
                    {"properties": {"success": {"type": "boolean"}}},
                    {
                        "properties": {
                            "data": {
                                "properties": {
                                    "content": {"type": "array", "items": {"$ref": "#/components/schemas/Item"}},
                                    "totalElements": {"type": "integer"},
                                }
                            }
                        }
                    },
                ]
            },
        },
    },
}


class TestOpenApi:
    def test_names_the_routes_of_a_shop_by_their_words(self) -> None:
        found = {route: operation.path for route, operation in told(SHOP).routes.items()}
        assert found == {
            RouteName.LOGIN: "/v1/sessions/login",
            RouteName.PRODUCT_LIST: "/v1/catalog/products",
            RouteName.PRODUCT_DETAIL: "/v1/catalog/products/{sku}",
            RouteName.PRODUCT_SEARCH: "/v1/catalog/search",
            RouteName.CREATE_ORDER: "/v1/orders",
            RouteName.POST_LIST: "/v1/articles",
            RouteName.POST_DETAIL: "/v1/articles/{article_id}",
        }

    def test_tells_how_its_lists_are_read(self) -> None:
        shop = told(SHOP)
        products, posts = shop.lists["products"], shop.lists["posts"]
        assert (products.items, products.id, products.total) == ("items", "sku", "total")
        assert (products.first_page, products.size_parameter, products.detail_id) == (1, "per_page", "sku")
        assert (posts.items, posts.id, posts.total) == ("articles", "id", "count")
        assert (shop.token, shop.token_lifetime_s, shop.search_parameter) == ("access_token", "expires_in", "q")

    def test_is_read_through_references_envelopes_and_a_server_with_a_path(self) -> None:
        portal = told(ENVELOPED)
        products = portal.lists["products"]
        assert (portal.server, portal.prefix) == ("https://portal.internal", "/api/v1")
        assert (products.items, products.total, products.first_page) == ("data.content", "data.totalElements", 0)
        assert (portal.success, portal.token) == ("success", "data.accessToken")
        assert portal.routes[RouteName.LOGIN].takes_a_form

    def test_tells_cart_checkout_order_and_coupon_apart(self) -> None:
        routes = told(ENVELOPED).routes
        assert routes[RouteName.ADD_TO_CART].path == "/shopping/cart/items"
        assert routes[RouteName.CHECKOUT].path == "/shopping/cart/checkout"
        assert routes[RouteName.CREATE_ORDER].path == "/shopping/orders"
        assert routes[RouteName.COUPON_ISSUE].path == "/shopping/coupons/{couponId}/issue"

    def test_takes_its_server_from_where_it_was_read_when_it_names_none(self) -> None:
        with canned({"GET /docs/openapi.json": Answer(SHOP)}) as server:
            found = read_openapi(f"http://{server.address}/docs/openapi.json")
        assert found.server == f"http://{server.address}"

    @pytest.mark.parametrize(
        ("text", "what"),
        [
            ("{", "neither JSON nor YAML"),
            ("swagger: '2.0'", "no OpenAPI 3"),
            ("[1, 2]", "no OpenAPI 3"),
            ("openapi: 3.1.0\npaths: 7", "its `paths` are no mapping"),
            ("openapi: 3.1.0\npaths: {/login: {post: 7}}", "not built as OpenAPI 3 says"),
        ],
        ids=["syntax", "Swagger 2", "a list", "paths", "operation"],
    )
    def test_that_is_none_is_named_with_its_cure(self, tmp_path: Path, text: str, what: str) -> None:
        file = tmp_path / "api.yaml"
        file.write_text(text, encoding="utf-8")
        with pytest.raises(ConfigError) as caught:
            read_openapi(str(file))
        assert what in caught.value.what
        assert caught.value.cure

    def test_hidden_by_a_login_page_is_named(self) -> None:
        with canned({}) as server, pytest.raises(SuiteError, match="HTML, 'Sign in'"):
            read_openapi(f"http://{server.address}/openapi.json")

    def test_on_another_machine_is_refused_before_it_is_asked(self) -> None:
        with pytest.raises(TargetRefused):
            read_openapi("http://192.0.2.1/openapi.json")


def series(**labels: str) -> dict[str, Any]:
    return {"metric": labels, "value": [0, "1"]}


class TestPrometheusLook:
    def seen(self, monkeypatch: pytest.MonkeyPatch, **answers: list[dict[str, Any]]) -> Seen:
        def answer(client: object, url: str, cure: str = "", *, params: dict[str, str]) -> dict[str, Any]:
            return {"data": {"result": answers.get(params["query"], [])}}

        monkeypatch.setattr("targets.metrics_look.fetch_json", answer)
        return look_at_prometheus("http://127.0.0.1:9090/")

    def test_takes_the_label_that_tells_services_apart(self, monkeypatch: pytest.MonkeyPatch) -> None:
        rows = [series(application="auth", job="spring"), series(application="shop", job="spring")]
        seen = self.seen(monkeypatch, http_server_requests_seconds_count=rows)
        assert (seen.service_label, seen.services) == ("application", ("auth", "shop"))
        assert not seen.has_buckets

    def test_knows_another_dialect_its_buckets_and_its_exporters(self, monkeypatch: pytest.MonkeyPatch) -> None:
        rows = [series(job="auth"), series(job="shop")]
        seen = self.seen(
            monkeypatch,
            http_request_duration_seconds_count=rows,
            http_request_duration_seconds_bucket=rows,
            container_cpu_usage_seconds_total=[series(pod="auth-1")],
            mysql_up=[series(instance="mysql-exporter:9104")],
        )
        assert (seen.family, seen.service_label, seen.has_buckets) == ("http_request_duration_seconds", "job", True)
        assert seen.container_label == "pod"
        assert list(seen.exporters.values()) == ["mysql-exporter:9104"]

    def test_says_nothing_where_there_is_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert self.seen(monkeypatch) == Seen("http://127.0.0.1:9090")

    def test_that_is_no_prometheus_is_named(self) -> None:
        with canned({}) as server, pytest.raises(SuiteError, match="HTML"):
            look_at_prometheus(f"http://{server.address}")


@pytest.fixture
def shop_document(tmp_path: Path) -> str:
    file = tmp_path / "openapi.json"
    file.write_text(json.dumps(SHOP), encoding="utf-8")
    return str(file)


class TestNewProfile:
    def test_can_be_read_and_holds_what_was_told(self, tmp_path: Path, shop_document: str) -> None:
        profile = load_profile(str(new_profile("shop", shop_document, None, tmp_path / "shop.yaml")))
        assert profile.dialect == "plain"
        assert profile.scenarios == ("b", "d")
        assert profile.routes[RouteName.POST_DETAIL].path == "/v1/articles/{id}"
        assert profile.responses.products.id == "sku"
        assert profile.responses.success == "!true"

    def test_without_any_source_is_all_marked_guesses_that_can_be_read(self, tmp_path: Path) -> None:
        file = new_profile("mine", None, None, tmp_path / "mine.yaml")
        assert load_profile(str(file)).scenarios == ("d",)
        marked = [line for line in file.read_text(encoding="utf-8").splitlines() if "# FILL IN" in line]
        assert any("api-gateway" in line for line in marked)
        assert any("login" in line for line in marked)

    def test_names_the_schema_for_editors_from_its_own_folder(self, tmp_path: Path) -> None:
        first = new_profile("mine", None, None, tmp_path / "mine.yaml").read_text(encoding="utf-8").splitlines()[0]
        way = first.removeprefix("# yaml-language-server: $schema=")
        assert (tmp_path / way).resolve() == ROOT / "docs" / "target-schema.json"

    def test_allows_what_it_names(self, tmp_path: Path) -> None:
        file = tmp_path / "api.json"
        file.write_text(json.dumps(ENVELOPED), encoding="utf-8")
        profile = load_profile(str(new_profile("portal-x", str(file), None, tmp_path / "x.yaml", ["10.9.0.0/16"])))
        assert {"portal.internal", "10.9.0.0/16"} <= set(profile.allow)
        assert profile.routes[RouteName.PRODUCT_LIST].path == "/api/v1/shopping/products"

    def test_says_that_a_login_takes_something_else(self, tmp_path: Path) -> None:
        file = tmp_path / "api.json"
        file.write_text(json.dumps(ENVELOPED), encoding="utf-8")
        text = new_profile("portal-x", str(file), None, tmp_path / "x.yaml").read_text(encoding="utf-8")
        assert "your login takes a form" in text

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["Shop"], "no name for a target"),
            (["portal"], "already there"),
            (["mine", "--openapi", "nowhere.json", "--out", "{tmp}/mine.yaml"], "cannot be read"),
            (["mine", "--prometheus", "http://192.0.2.1:9090", "--out", "{tmp}/mine.yaml"], "not allowed"),
            (["mine", "--allow", "0.0.0.0/0", "--out", "{tmp}/mine.yaml"], "--allow"),
            (["mine", "--out", "{tmp}/no/such/folder/mine.yaml"], "cannot be written"),
        ],
        ids=["name", "there already", "no document", "another machine", "allow", "folder"],
    )
    def test_that_cannot_be_made_is_one_sentence_with_exit_code_2(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
    ) -> None:
        assert main([each.replace("{tmp}", str(tmp_path)) for each in arguments]) == 2
        assert words in capsys.readouterr().err
        assert not (tmp_path / "mine.yaml").exists()

    def test_tells_what_to_do_next(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["mine", "--out", str(tmp_path / "mine.yaml")]) == 0
        assert "python -m flows.doctor --target" in capsys.readouterr().out


class TestSchema:
    document = json.loads((ROOT / "docs" / "target-schema.json").read_text(encoding="utf-8"))

    def test_describes_every_key_of_a_profile(self) -> None:
        assert set(self.document["properties"]) == set(Profile.model_fields)

    @pytest.mark.parametrize("name", ["portal", "portal-design", "portal-universe"])
    def test_is_named_by_every_committed_profile(self, name: str) -> None:
        text = (ROOT / "targets" / f"{name}.yaml").read_text(encoding="utf-8")
        assert text.startswith("# yaml-language-server: $schema=../docs/target-schema.json\n")
        assert yaml.safe_load(text)["name"] == name


def test_nothing_told_is_nothing_known() -> None:
    assert told({"openapi": "3.1.0"}) == Told()
