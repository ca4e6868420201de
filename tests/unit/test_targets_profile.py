"""targets.model and targets.documents: what a profile may say, and what a mistake in it answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from core.checks import SCENARIOS
from core.errors import ConfigError
from core.ports import Endpoints, ServiceId, loopback_endpoints
from targets.adapter import adapter_for
from targets.model import FOLDER, Profile, RouteName, UserPool, load_profile

PORTAL = (FOLDER / "portal.yaml").read_text(encoding="utf-8")


def profile_of(folder: Path, text: str) -> Profile:
    file = folder / "mine.yaml"
    file.write_text(text, encoding="utf-8")
    return load_profile(str(file))


def refusal(folder: Path, text: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        profile_of(folder, text)
    return caught.value


def line_of(text: str, start: str) -> int:
    """1-based number of the first line that starts with `start`."""
    return next(number for number, line in enumerate(text.splitlines(), 1) if line.startswith(start))


def changed(**changes: Any) -> str:
    return yaml.safe_dump({**yaml.safe_load(PORTAL), **changes}, allow_unicode=True, sort_keys=False)


class TestCommittedProfiles:
    @pytest.mark.parametrize("name", ["portal", "portal-design", "portal-universe"])
    def test_can_be_read_by_name_and_as_a_file(self, name: str) -> None:
        assert load_profile(name) == load_profile(str(FOLDER / f"{name}.yaml"))
        assert load_profile(name).name == name

    @pytest.mark.parametrize("name", ["portal", "portal-design", "portal-universe"])
    def test_use_the_ports_of_their_platform_on_loopback(self, name: str) -> None:
        assert all("://127.0.0.1:" in address for address in load_profile(name).addresses.values())

    def test_say_what_the_platform_really_serves(self) -> None:
        profile = load_profile("portal-universe")  # corrections.md row 17
        assert profile.responses.products.first_page == 1
        assert profile.responses.products.items == "data.items"
        assert profile.routes[RouteName.PRODUCT_SEARCH].path == "/api/v1/shopping/search/products"
        assert profile.responses.search.items == "data.results"

    def test_say_what_an_order_event_needs(self) -> None:
        events = load_profile("portal-universe").events  # corrections.md row 18
        assert events.topic == "shopping.order.created"
        assert "__TypeId__" in events.headers
        assert events.dead_letter_topic == "shopping.order.created.DLT"
        assert events.key in events.fields

    def test_say_that_the_real_platform_has_no_product_cache(self) -> None:
        assert load_profile("portal-universe").cache is None  # corrections.md row 8
        portal = load_profile("portal").cache
        assert portal is not None
        assert portal.ttl_s > 0

    def test_hide_their_passwords(self) -> None:
        assert "loadtest123" not in repr(load_profile("portal"))

    def test_hold_users_for_the_coupon_spike_of_the_design(self) -> None:
        assert load_profile("portal").users.pool.count >= 500

    def test_plant_the_ten_search_words_of_the_design_at_different_counts(self) -> None:
        hits = load_profile("portal").catalogue.search_words
        words = ["노트북", "스마트폰", "이어폰", "키보드", "마우스", "모니터", "태블릿", "카메라", "프린터", "스피커"]
        assert list(hits) == words
        assert len(set(hits.values())) == 10


class TestMistakes:
    """Each answers with file, line, key and what is expected there."""

    def test_unknown_key(self, tmp_path: Path) -> None:
        error = refusal(tmp_path, PORTAL + "colour: blue\n")
        assert "unknown key 'colour'" in error.what
        assert error.where == f"{tmp_path / 'mine.yaml'}:{line_of(PORTAL + 'colour: blue', 'colour:')}"

    def test_unknown_key_inside_a_part(self, tmp_path: Path) -> None:
        text = PORTAL.replace("coupon: {stock: 100}", "coupon:\n  stock: 100\n  colour: blue")
        error = refusal(tmp_path, text)
        assert "unknown key 'coupon.colour'" in error.what
        assert error.where.endswith(f":{line_of(text, '  colour:')}")

    def test_missing_key(self, tmp_path: Path) -> None:
        text = PORTAL.replace("coupon: {stock: 100}", "coupon: {}")
        error = refusal(tmp_path, text)
        assert "missing key 'coupon.stock'" in error.what
        assert error.where.endswith(f":{line_of(text, 'coupon:')}")

    def test_wrong_type_says_what_is_expected_and_what_was_found(self, tmp_path: Path) -> None:
        text = PORTAL.replace("coupon: {stock: 100}", "coupon: {stock: many}")
        error = refusal(tmp_path, text)
        assert "'coupon.stock': Input should be a valid integer" in error.what
        assert "found 'many'" in error.what
        assert error.where.endswith(f":{line_of(text, 'coupon:')}")

    def test_wrong_value_lists_the_right_ones(self, tmp_path: Path) -> None:
        error = refusal(tmp_path, PORTAL.replace("environment: test", "environment: prod"))
        assert "'test', 'staging' or 'production'" in error.what

    def test_several_at_once_are_all_named(self, tmp_path: Path) -> None:
        error = refusal(tmp_path, changed(coupon={"stock": 0}, environment="prod", extra=1))
        assert all(key in error.what for key in ("coupon.stock", "environment", "extra"))

    @pytest.mark.parametrize("path", ["http://192.0.2.1/steal", "//192.0.2.1/steal", "api/v1/posts"])
    def test_route_that_names_a_host_or_is_no_path(self, tmp_path: Path, path: str) -> None:
        routes = {**yaml.safe_load(PORTAL)["routes"], "post_list": {"method": "GET", "path": path}}
        assert "routes.post_list.path" in refusal(tmp_path, changed(routes=routes)).what

    @pytest.mark.parametrize("address", ["127.0.0.1:8080", "ftp://127.0.0.1", "http://127.0.0.1:8080/api", "http://"])
    def test_address_that_is_no_base_url(self, tmp_path: Path, address: str) -> None:
        addresses = {**yaml.safe_load(PORTAL)["addresses"], "api-gateway": address}
        assert "scheme://host:port expected" in refusal(tmp_path, changed(addresses=addresses)).what

    def test_entry_without_an_address(self, tmp_path: Path) -> None:
        addresses = {k: v for k, v in yaml.safe_load(PORTAL)["addresses"].items() if k != "api-gateway"}
        assert "addresses has no 'api-gateway'" in refusal(tmp_path, changed(addresses=addresses)).what

    def test_password_of_the_wrong_type_is_not_repeated(self, tmp_path: Path) -> None:
        users = {**yaml.safe_load(PORTAL)["users"], "password": 271828}
        error = refusal(tmp_path, changed(users=users))
        assert "users.password" in error.what
        assert "271828" not in str(error)

    @pytest.mark.parametrize(
        ("text", "line", "what"),
        [
            pytest.param("name: a: b\n", 1, "not valid YAML", id="syntax"),
            pytest.param("name: x\nroutes: {\n", 3, "not valid YAML", id="open brace"),
            pytest.param("name: x\n---\nname: y\n", 2, "not valid YAML", id="two documents"),
            pytest.param("name: x\ntag: !unknown y\n", 2, "not valid YAML", id="unknown tag"),
            pytest.param("name: x\n{[a]: b}: y\n", 2, "not valid YAML", id="key that is no word"),
            pytest.param("name: x\nname: y\n", 2, "twice", id="key given twice"),
            pytest.param("name: x\nlist: [{a: 1},\n {b: 1, b: 2}]\n", 3, "twice", id="key given twice inside a list"),
            pytest.param("- a\n- list\n", 1, "the document", id="a list"),
        ],
    )
    def test_file_that_is_no_profile_names_its_line(self, tmp_path: Path, text: str, line: int, what: str) -> None:
        error = refusal(tmp_path, text)
        assert what in error.what
        assert error.where == f"{tmp_path / 'mine.yaml'}:{line}"

    def test_file_that_holds_itself(self, tmp_path: Path) -> None:
        assert "unknown key 'loop'" in refusal(tmp_path, PORTAL + "loop: &loop [*loop]\n").what

    @pytest.mark.parametrize("text", ["", "# only a comment\n", "\n\n"])
    def test_empty_file(self, tmp_path: Path, text: str) -> None:
        error = refusal(tmp_path, text)
        assert error.what == "the file is empty"
        assert "targets/portal.yaml" in error.cure

    def test_file_with_a_control_character(self, tmp_path: Path) -> None:
        assert str(tmp_path / "mine.yaml") in refusal(tmp_path, "name: \x07\n").where

    def test_date_that_does_not_exist(self, tmp_path: Path) -> None:
        assert str(tmp_path / "mine.yaml") in refusal(tmp_path, "name: 2024-99-99\n").where

    def test_file_that_is_not_utf_8(self, tmp_path: Path) -> None:
        file = tmp_path / "mine.yaml"
        file.write_bytes("name: 노트북".encode("euc-kr"))
        with pytest.raises(ConfigError, match="cannot be read") as caught:
            load_profile(str(file))
        assert "UTF-8" in caught.value.cure

    @pytest.mark.parametrize("name", ["nowhere", "nowhere.yaml", "../portal", ""])
    def test_unknown_target_lists_the_known_ones(self, name: str) -> None:
        with pytest.raises(ConfigError, match="unknown target") as caught:
            load_profile(name)
        assert "portal, portal-design, portal-universe" in caught.value.cure


class TestProfile:
    def test_moves_to_the_endpoints_of_a_backend_and_keeps_the_rest(self) -> None:
        profile = load_profile("portal")
        moved = profile.at(Endpoints({ServiceId.GATEWAY: "127.0.0.1:18080", ServiceId.KAFKA: "127.0.0.1:19092"}))
        assert moved.base_url == "http://127.0.0.1:18080"
        assert moved.addresses[ServiceId.KAFKA] == "tcp://127.0.0.1:19092"
        assert moved.addresses[ServiceId.REDIS] == profile.addresses[ServiceId.REDIS]
        assert moved.routes == profile.routes

    def test_does_not_change_itself_when_it_is_moved(self) -> None:
        profile = load_profile("portal")
        profile.at(Endpoints({ServiceId.GATEWAY: "127.0.0.1:18080"}))
        assert profile.base_url == "http://127.0.0.1:8080"

    def test_ignores_a_service_that_it_does_not_name(self) -> None:
        assert ServiceId.GRAFANA not in load_profile("portal").at(loopback_endpoints()).addresses

    def test_gives_its_endpoints_as_host_and_port(self) -> None:
        endpoints = load_profile("portal").endpoints()
        assert endpoints[ServiceId.KAFKA] == "127.0.0.1:9092"
        assert endpoints.url(ServiceId.ZIPKIN) == "http://127.0.0.1:9411"

    def test_knows_the_scenarios_of_the_design(self) -> None:
        assert load_profile("portal").scenarios == tuple(SCENARIOS)

    def test_numbers_its_load_users(self) -> None:
        pool = UserPool(prefix="load", digits=4, domain="test.com", count=600, password="x")
        assert (pool.email(1), pool.email(600)) == ("load0001@test.com", "load0600@test.com")


class TestAdapterFor:
    def test_says_which_file_is_missing(self, tmp_path: Path) -> None:
        profile = profile_of(tmp_path, changed(dialect="nobody_speaks_this"))
        with pytest.raises(ConfigError, match="has no adapter") as caught:
            adapter_for(profile)
        assert caught.value.where == "targets/nobody_speaks_this.py"
        assert "--target portal" in caught.value.cure
