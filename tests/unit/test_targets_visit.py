"""One visit to a target before any load: what is not as the profile says is named with its cure, nothing is changed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest

from core.errors import TargetRefused
from core.findings import Finding, State, verdict_of
from core.ports import Endpoints, ServiceId
from core.words import Verdict
from targets.bodies import MISSING, paths_of_lists, said_instead, value_at
from targets.limits import clock_finding, limiter_finding
from targets.model import Profile, load_profile
from targets.visit import REQUESTS_AT_MOST, visit
from tests.canned import LOGIN_PAGE, Answer, Canned, canned

API = "/api/v1"
LOGIN = f"POST {API}/auth/login"
PRODUCTS, SEARCH = f"GET {API}/shopping/products", f"GET {API}/shopping/search/products"
POSTS, ORDER = f"GET {API}/blog/posts", f"POST {API}/shopping/orders"
ITEM = {"success": True, "data": {"id": 7}}
REFUSED = Answer({"success": False, "error": {"code": "GW-A001"}}, 401)
TOKEN = {"success": True, "data": {"accessToken": "t", "expiresIn": 900}}


def page(**data: Any) -> Answer:
    return Answer({"success": True, "data": {"items": [{"id": 7}], "totalElements": 1, **data}})


GOOD: Mapping[str, Answer] = {
    LOGIN: Answer(TOKEN),
    PRODUCTS: page(),
    f"{PRODUCTS}/7": Answer(ITEM),
    SEARCH: Answer({"success": True, "data": {"results": [{"id": 7}], "totalHits": 20}}),
    POSTS: page(),
    f"{POSTS}/7": Answer(ITEM),
    ORDER: REFUSED,
    f"POST {API}/shopping/cart/items": REFUSED,
    f"POST {API}/shopping/cart/checkout": REFUSED,
    f"POST {API}/shopping/coupons/0/issue": REFUSED,
}


def visited(answers: Mapping[str, Answer] = GOOD, **changes: Any) -> tuple[dict[str, Finding], Canned]:
    """Findings by part, and what was asked; `changes` are keys of the profile."""
    with canned({**GOOD, **answers}, otherwise=Answer({"status": 404}, 404)) as server:
        profile = load_profile("portal").at(Endpoints({ServiceId.GATEWAY: server.address}))
        found = visit(Profile.model_validate({**profile.model_dump(), **changes}))
    return {finding.part: finding for finding in found}, server


def lacking(part: str, answers: Mapping[str, Answer]) -> str:
    """What is said of `part`, which lacks, cure included."""
    finding = visited(answers)[0][part]
    assert finding.state is State.LACKS
    assert finding.cure
    return str(finding)


class TestAGoodTarget:
    def test_is_ok_in_every_part(self) -> None:
        found, _ = visited()
        assert {part for part, finding in found.items() if finding.state is not State.OK} == set()
        assert {"login", "users", "product_list", "product_detail", "product_search", "post_list"} <= set(found)

    def test_is_asked_once_a_route_and_no_more_than_was_promised(self) -> None:
        _, server = visited()
        paths = [line.partition("?")[0] for line in server.asked]
        assert len(paths) <= REQUESTS_AT_MOST
        once = [path for path in GOOD if path not in (PRODUCTS, LOGIN)]
        assert [path for path in once if paths.count(path) != 1] == []

    def test_is_not_changed_what_would_be_written_is_asked_without_a_token(self) -> None:
        seen: list[str | None] = []

        def note(request: httpx.Request) -> None:
            if request.method == "POST" and "login" not in request.url.path:
                seen.append(request.headers.get("authorization"))

        original = httpx.Client.request

        def spy(self: httpx.Client, method: str, url: Any, **given: Any) -> httpx.Response:
            note(httpx.Request(method, url, headers=given.get("headers")))
            return original(self, method, url, **given)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(httpx.Client, "request", spy)
            visited()
        assert seen == [None] * 4

    def test_is_asked_only_for_what_its_scenarios_need(self) -> None:
        _, server = visited(scenarios=["d"])
        assert not [line for line in server.asked if "blog" in line or "coupons" in line or "cart" in line]


class TestWhatLacks:
    @pytest.mark.parametrize(
        ("part", "answers", "words"),
        [
            ("login of loadtest@test.com", {LOGIN: Answer({"error": {}}, 401)}, ["answered 401", "`users`"]),
            ("login of loadtest@test.com", {LOGIN: Answer(LOGIN_PAGE)}, ["HTML, 'Sign in'", "behind the login"]),
            ("login of loadtest@test.com", {LOGIN: Answer({}, 429)}, ["429", "login lock"]),
            (
                "login",
                {LOGIN: Answer({"data": {"access_token": "t"}})},
                ["data has access_token", "responses.token: data.access_token"],
            ),
            (
                "login",
                {LOGIN: Answer({"data": {"accessToken": "t", "expires_in": 9}})},
                ["no lifetime at data.expiresIn", "responses.token_lifetime_s: data.expires_in"],
            ),
            (
                "product_list",
                {PRODUCTS: Answer({"success": True, "data": {"content": [{"id": 1}], "totalElements": 1}})},
                ["no list at data.items: data has content", "responses.products.items: data.content"],
            ),
            ("product_list", {PRODUCTS: page(items=[{"sku": 1}])}, ["no 'id' (sku)", "responses.products.id"]),
            ("product_list", {PRODUCTS: page(items=[])}, ["empty list", "Seed"]),
            ("product_list", {PRODUCTS: page(totalElements=None)}, ["no number", "responses.products.total"]),
            ("product_list", {PRODUCTS: Answer({}, 400)}, ["answered 400", "does it count from 0?"]),
            ("product_list", {PRODUCTS: Answer(LOGIN_PAGE)}, ["HTML, 'Sign in'", "behind the login"]),
            ("product_list", {PRODUCTS: Answer("", 302, {"location": "/sso"})}, ["redirects to /sso", "behind"]),
            ("post_list", {POSTS: Answer({"data": {}})}, ["not true at success", "responses.success"]),
            ("product_detail", {f"{PRODUCTS}/7": Answer({}, 500)}, ["answered 500", "log"]),
            ("create_order", {ORDER: Answer({"status": 404}, 404)}, ["no such route", "routes.create_order"]),
            ("create_order", {ORDER: Answer(LOGIN_PAGE)}, ["HTML", "behind the login"]),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_is_named_with_its_cure(self, part: str, answers: Mapping[str, Answer], words: list[str]) -> None:
        said = lacking(part, answers)
        assert [word for word in words if word not in said] == []

    def test_a_refusal_that_repeats_the_password_is_told_without_it(self) -> None:
        said = lacking("login of loadtest@test.com", {LOGIN: Answer({"input": {"password": "loadtest123"}}, 422)})
        assert "answered 422" in said
        assert "loadtest123" not in said

    def test_a_token_at_another_place_is_not_told(self) -> None:
        wrong = {"data": {"accessToken": {"x": "eyJhbGciOi"}, "token": "eyJhbGciOi"}}
        assert "eyJ" not in lacking("login", {LOGIN: Answer(wrong)})

    def test_a_refusal_with_the_platforms_own_code_comes_from_behind_the_route(self) -> None:
        coupon = f"POST {API}/shopping/coupons/0/issue"
        found, _ = visited({coupon: Answer({"error": {"code": "S601"}}, 404)})
        assert found["coupon_issue"].state is State.OK

    def test_without_a_list_its_detail_is_not_claimed(self) -> None:
        found, _ = visited({POSTS: page(items=[])})
        assert found["post_detail"].state is State.UNSEEN

    def test_a_route_that_a_scenario_needs_is_not_in_the_profile(self) -> None:
        routes = load_profile("portal").model_dump()["routes"]
        found, _ = visited(routes={name: route for name, route in routes.items() if name != "post_list"})
        assert found["routes"].seen == "no post_list in the profile"

    def test_a_target_that_does_not_run_is_one_line(self) -> None:
        found = visit(load_profile("portal").at(Endpoints({ServiceId.GATEWAY: "127.0.0.1:1"})))
        assert [finding.part for finding in found] == ["target"]
        assert "does not answer" in found[0].seen

    def test_another_machine_is_refused_before_any_request(self) -> None:
        with pytest.raises(TargetRefused):
            visit(load_profile("portal").at(Endpoints({ServiceId.GATEWAY: "192.0.2.1:80"})))


class TestLimiterAndClock:
    def test_a_limiters_refusals_are_counted(self) -> None:
        headers = {"X-RateLimit-Replenish-Rate": "1", "X-RateLimit-Burst-Capacity": "5"}
        burst = [httpx.Response(429 if number > 4 else 200, headers=headers) for number in range(10)]
        finding = limiter_finding(burst)
        assert finding.state is State.WARNS
        assert finding.seen.startswith("5 of 10 requests were refused; 1 a second for one key, bursts of 5")

    def test_a_limiter_that_the_profile_knows_of_is_ok(self) -> None:
        finding = limiter_finding([httpx.Response(429)], way="measure")
        assert finding.state is State.OK
        assert "limiter.way says: measure" in finding.seen

    def test_a_limiter_that_refused_nobody_yet_is_named_by_its_headers(self) -> None:
        finding = limiter_finding([httpx.Response(200, headers={"X-RateLimit-Replenish-Rate": "50"})])
        assert "50 a second" in finding.seen

    def test_no_limiter_is_ok(self) -> None:
        assert limiter_finding([httpx.Response(200)]).state is State.OK

    @pytest.mark.parametrize(
        ("skew_s", "state"), [(0.9, State.OK), (-5.0, State.WARNS), (120.0, State.LACKS)], ids=["ok", "warns", "lacks"]
    )
    def test_a_clock_is_judged_by_its_skew(self, skew_s: float, state: State) -> None:
        assert clock_finding("target clock", skew_s).state is state

    def test_a_date_that_is_none_is_not_judged(self) -> None:
        with canned(GOOD, otherwise=Answer({}, 404, {"date": "tomorrow"})) as server:
            profile = load_profile("portal").at(Endpoints({ServiceId.GATEWAY: server.address}))
            found = {finding.part: finding for finding in visit(profile, ["d"])}
        assert found["target clock"].state is State.UNSEEN

    def test_the_targets_clock_is_read_from_its_answers(self) -> None:
        late = format_datetime(datetime.now(UTC) - timedelta(minutes=5), usegmt=True)
        with canned(GOOD, otherwise=Answer({}, 404, {"date": late})) as server:
            profile = load_profile("portal").at(Endpoints({ServiceId.GATEWAY: server.address}))
            found = {finding.part: finding for finding in visit(profile, ["d"])}
        assert found["target clock"].state is State.LACKS
        assert "behind" in found["target clock"].seen


class TestBodies:
    body = json.loads('{"data": {"items": [{"id": 1}], "page": 0}, "more": {"deep": {"list": [{"a": 1}]}}}')

    @pytest.mark.parametrize(
        ("path", "value"),
        [("data.page", 0), ("data.items.0.id", 1), ("!true", True), ("data.none", MISSING), ("data.page.x", MISSING)],
    )
    def test_are_read_by_paths(self, path: str, value: object) -> None:
        assert value_at(self.body, path) == value

    def test_are_read_whole(self) -> None:
        assert value_at([1], "@this") == [1]

    def test_tell_where_lists_are_the_shallowest_first(self) -> None:
        assert list(paths_of_lists(self.body)) == ["data.items", "more.deep.list"]
        assert list(paths_of_lists([{"id": 1}])) == ["@this"]

    def test_tell_what_is_there_instead(self) -> None:
        assert said_instead(self.body, "data.content.x") == "data has items, page"
        assert said_instead(self.body, "nothing") == "the body has data, more"
        assert said_instead({"token": "secret"}, "token.value") == "token is a text"


class TestTheVerdict:
    @pytest.mark.parametrize(
        ("states", "verdict"),
        [
            ([State.OK, State.WARNS], Verdict.PASS),
            ([State.OK, State.UNSEEN], Verdict.NO_DATA),
            ([State.UNSEEN, State.LACKS], Verdict.ERROR),
        ],
    )
    def test_is_that_of_the_worst_part(self, states: list[State], verdict: Verdict) -> None:
        assert verdict_of(Finding("x", state, "seen") for state in states) is verdict
