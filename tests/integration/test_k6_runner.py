"""The five scenarios, run by the real k6 against a small server of this test that speaks the portal's dialect."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from core.errors import ConfigError, SetupError, TargetRefused
from core.ports import Endpoints, ServiceId
from core.settings import Settings
from core.words import Verdict
from k6.checks import k6_run_check, thresholds_check
from k6.command_line import built_k6
from k6.model import K6Program, Progress, ScenarioRequest, ScenarioResult
from k6.runner import run_scenario
from targets.load import Load
from targets.model import Profile, load_profile

SHORT = Load.model_validate(
    {
        "name": "short",
        "description": "a second or two each",
        "a": {"vus": 4, "ramp_up_s": 1, "steady_s": 3, "ramp_down_s": 0},
        "b": {"rate_per_s": 50, "duration_s": 2, "pre_allocated_vus": 5, "max_vus": 20},
        "c": {"users": 30, "max_duration_s": 10},
        "d": {
            "start_rate_per_s": 10, "rate_per_s": 30, "ramp_up_s": 1, "steady_s": 1, "ramp_down_s": 1,
            "pre_allocated_vus": 5, "max_vus": 20,
        },
        "e": {"herd_vus": 20, "max_duration_s": 5},
        "bot": [{"rate_per_s": 1, "duration_s": 1}],
    }
)  # fmt: skip
COUPONS = 10
POSTS = [f"{number:024x}" for number in range(45)]  # three pages of 20, 20 and 5
MARK = "mark-of-this-run"
CART = {"id": 1, "totalAmount": 30_000, "items": [{"subtotal": 10_000}, {"subtotal": 20_000}]}


@dataclass
class Portal:
    """What the server counted, and how it may be told to misbehave."""

    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    signed_in: Counter[str] = field(default_factory=Counter)
    receivers: set[str] = field(default_factory=set)
    holders: set[str] = field(default_factory=set)
    asked_posts: set[str] = field(default_factory=set)
    asked_coupons: set[str] = field(default_factory=set)
    came_s: list[tuple[float, str]] = field(default_factory=list)  # unix seconds, route
    issued: list[str] = field(default_factory=list)
    login_status: int = 200
    limited: Callable[[str], bool] = lambda route: False
    replaced: dict[str, Response] = field(default_factory=dict)
    hits: int | None = None  # None: the right number
    token_lifetime_s: float = 900
    delay_s: float = 0.0
    delays_s: Iterator[float] | None = None  # of each request in turn; None: always delay_s
    url: str = ""

    def total(self, *routes: str) -> int:
        return sum(number for (route, _), number in self.answers.items() if not routes or route in routes)

    def of_status(self, status: int) -> int:
        return sum(number for (_, answered), number in self.answers.items() if answered == status)


def _good(data: object) -> Response:
    return JSONResponse({"success": True, "data": data})


def _bad(status: int, code: str) -> Response:
    return JSONResponse({"success": False, "error": {"code": code, "message": code}}, status_code=status)


def _user(request: Request) -> str:
    return request.headers["authorization"].removeprefix("Bearer token-of-")


class Handlers:
    """One method a route of targets/portal.yaml."""

    def __init__(self, portal: Portal) -> None:
        self.portal = portal

    async def login(self, request: Request) -> Response:
        email = (await request.json())["email"]
        if self.portal.login_status != 200:
            return _bad(self.portal.login_status, "A002")
        self.portal.signed_in[email] += 1
        return _good({"accessToken": f"token-of-{email}", "expiresIn": self.portal.token_lifetime_s})

    async def product_list(self, request: Request) -> Response:
        if request.query_params["page"] == "0":
            return _bad(400, "C002")
        return _good({"items": [{"id": number} for number in range(1, 21)], "totalElements": 20})

    async def product_detail(self, request: Request) -> Response:
        return _good({"id": int(request.path_params["id"])})

    async def product_search(self, request: Request) -> Response:
        hits = load_profile("portal").catalogue.search_words[request.query_params["keyword"]]
        return _good({"results": [{"id": 1}], "totalHits": hits if self.portal.hits is None else self.portal.hits})

    async def add_to_cart(self, request: Request) -> Response:
        assert 1 <= (await request.json())["productId"] <= 20
        return _good(CART)

    async def checkout(self, request: Request) -> Response:
        return _good(CART)

    async def create_order(self, request: Request) -> Response:
        self.portal.receivers.add((await request.json())["shippingAddress"]["receiverName"])
        return _good({"orderNumber": "ORD-1", "totalAmount": CART["totalAmount"]})

    async def post_list(self, request: Request) -> Response:
        first = (int(request.query_params["page"]) - 1) * 20
        return _good({"items": [{"id": post} for post in POSTS[first : first + 20]]})

    async def post_detail(self, request: Request) -> Response:
        post = request.path_params["id"]
        self.portal.asked_posts.add(post)
        return _good({"id": post}) if post in POSTS else _bad(404, "B001")

    async def coupon_issue(self, request: Request) -> Response:
        user = _user(request)
        self.portal.asked_coupons.add(request.path_params["id"])
        if user in self.portal.holders:
            return _bad(409, "S604")
        if len(self.portal.holders) == COUPONS:
            return _bad(409, "S602")
        self.portal.holders.add(user)
        self.portal.issued.append(str(4000 + len(self.portal.holders)))
        return _good({"id": int(self.portal.issued[-1])})


def _counted(portal: Portal, name: str, handler: Callable[[Request], object]) -> Callable[[Request], object]:
    async def count(request: Request) -> Response:
        portal.came_s.append((time.time(), name))
        await asyncio.sleep(portal.delay_s if portal.delays_s is None else next(portal.delays_s))
        answer = Response(status_code=429) if portal.limited(name) else portal.replaced.get(name)
        answer = answer or await handler(request)  # type: ignore[misc]
        portal.answers[name, answer.status_code] += 1
        return answer

    return count


@contextmanager
def serving() -> Iterator[Portal]:
    """The server, for as long as the block lasts."""
    portal = Portal()
    handlers = Handlers(portal)
    routes = [
        Route(route.path, _counted(portal, name, getattr(handlers, name)), methods=[route.method])
        for name, route in load_profile("portal").routes.items()
    ]
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1024)
        portal.url = f"127.0.0.1:{listener.getsockname()[1]}"
        server = uvicorn.Server(uvicorn.Config(Starlette(routes=routes), log_level="error", ws="none", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield portal
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture
def portal() -> Iterator[Portal]:
    with serving() as portal:
        yield portal


@pytest.fixture(scope="session")
def k6() -> K6Program:
    return K6Program(built_k6(Settings().cache_dir))


@dataclass
class Runner:
    """Runs scenarios against one address, as the load phase does."""

    k6: K6Program
    out_dir: Path
    url: str
    progress: list[Progress] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def request(self, scenario: str, **changes: object) -> ScenarioRequest:
        given = {
            "scenario": scenario,
            "profile": profile_at(self.url),
            "load": SHORT,
            "run_id": "run-1",
            "run_mark": MARK,
            "coupon_id": "7",
            "product_id": "3",
            "k6": self.k6,
            "out_dir": self.out_dir / scenario,
            "remote_write_url": None,
        }
        return ScenarioRequest(**{**given, **changes})  # type: ignore[arg-type]

    def run(self, scenario: str, **changes: object) -> ScenarioResult:
        return run_scenario(self.request(scenario, **changes), self.progress.append, self.stop)


def profile_at(url: str, **changes: object) -> Profile:
    profile = load_profile("portal").at(Endpoints({ServiceId.GATEWAY: url}))
    assert profile.cache is not None
    cache = profile.cache.model_copy(update={"ttl_s": 1.0})
    return profile.model_copy(update={"cache": cache, **changes})


@pytest.fixture
def runner(portal: Portal, k6: K6Program, tmp_path: Path) -> Runner:
    return Runner(k6, tmp_path, portal.url)


def samples(result: ScenarioResult, name: str) -> int:
    """Samples of the latency threshold of the requests called `name`."""
    return next(row.samples for row in result.thresholds if f"name:{name}" in row.metric)


class TestScenarioA:
    def test_counts_what_the_server_counted(self, runner: Runner, portal: Portal) -> None:
        result = runner.run("a")
        assert result.p95_from_intended_ms is None  # a closed model intends no moments
        assert result.error is None
        assert result.ended_by_itself
        # one login and one list of setup() are not load
        assert result.requests == portal.total() - 2 == result.outcomes["200"]
        assert result.counters["orders_created"] == portal.answers["create_order", 200] > 0
        assert result.counters["orders_amount"] == 30_000 * result.counters["orders_created"]
        assert samples(result, "login") == portal.answers["login", 200] - 1
        assert samples(result, "create_order") == portal.answers["create_order", 200]

    def test_every_vu_logs_in_once_as_a_user_of_its_own(self, runner: Runner, portal: Portal) -> None:
        runner.run("a")
        account = portal.signed_in.pop("loadtest@test.com")
        assert account == 1
        assert portal.signed_in == {f"load{number:04d}@test.com": 1 for number in range(1, 5)}

    def test_logs_in_again_before_the_token_ends(self, runner: Runner, portal: Portal) -> None:
        portal.token_lifetime_s = 1
        assert runner.run("a").error is None
        assert max(portal.signed_in.values()) > 1

    def test_orders_carry_the_mark_of_the_run(self, runner: Runner, portal: Portal) -> None:
        runner.run("a")
        assert portal.receivers == {MARK}

    def test_a_cart_whose_total_is_not_the_sum_of_its_lines_is_a_wrong_answer(
        self, runner: Runner, portal: Portal
    ) -> None:
        portal.replaced["add_to_cart"] = _good({**CART, "totalAmount": 29_999})
        result = runner.run("a")
        assert result.wrong_answers == portal.total("add_to_cart") > 0
        assert portal.total("create_order") == 0

    def test_makes_no_orders_where_data_may_not_be_written(self, runner: Runner, portal: Portal) -> None:
        result = runner.run("a", profile=profile_at(portal.url, data_may_be_written=False))
        assert portal.total("checkout", "create_order") == 0
        assert portal.total("add_to_cart") > 0
        assert thresholds_check(result).verdict is Verdict.PASS


class TestScenarioB:
    def test_reads_only_posts_that_exist_at_the_rate_asked_for(self, runner: Runner, portal: Portal) -> None:
        result = runner.run("b")
        assert result.ended_by_itself
        assert portal.asked_posts <= set(POSTS)
        # setup() logs in and reads three pages and the empty fourth
        assert result.requests == portal.total() - 5
        # 50/s for 2 s; k6 may start one more at the end
        assert result.iterations == pytest.approx(100, abs=1)
        assert result.dropped_iterations == 0
        assert samples(result, "post_list") + samples(result, "post_detail") == result.requests

    def test_a_request_that_had_to_wait_for_a_vu_is_late_from_its_intended_start(
        self, runner: Runner, portal: Portal
    ) -> None:
        portal.delay_s = 1.0  # 20 VUs begin 20 requests a second, 50 are due
        result = runner.run("b")
        assert result.p95_ms is not None
        assert result.p95_from_intended_ms is not None
        assert result.p95_from_intended_ms > 1.2 * result.p95_ms

    def test_a_target_that_keeps_up_is_as_fast_from_the_intended_start(self, runner: Runner, portal: Portal) -> None:
        portal.delay_s = 0.05
        result = runner.run("b")
        assert result.p50_ms is not None
        assert result.p95_from_intended_ms is not None
        assert result.p95_from_intended_ms >= result.p50_ms >= 50

    def test_refusals_are_an_outcome_of_their_own_and_no_latency(self, runner: Runner, portal: Portal) -> None:
        portal.limited = lambda route: route == "post_detail"
        result = runner.run("b")
        assert result.exit_code == 99
        assert result.ended_by_itself
        assert result.outcomes["429"] == portal.of_status(429) > 0
        empty = next(row for row in result.thresholds if "name:post_detail" in row.metric)
        assert (empty.samples, empty.ok) == (0, True)  # k6 passes it: the check must not
        assert result.error_rate == pytest.approx(portal.of_status(429) / result.requests)
        check = thresholds_check(result)
        assert check.verdict is Verdict.FAIL
        assert [row.metric for row in result.thresholds if not row.ok] == ["http_req_failed{part:load}"]
        assert check.evidence["too_many_requests"] == portal.of_status(429)


class TestScenarioC:
    def test_one_user_an_iteration_and_every_outcome_counted(self, runner: Runner, portal: Portal) -> None:
        result = runner.run("c")
        assert result.ended_by_itself
        assert result.counters["coupons_issued"] == len(portal.holders) == COUPONS
        assert result.counters["coupons_sold_out"] == 30 - COUPONS
        assert result.counters.get("coupons_duplicate", 0) == result.counters.get("coupons_other", 0) == 0
        assert result.requests == portal.total("coupon_issue") == 30
        assert result.outcomes == {"200": COUPONS, "409": 30 - COUPONS}
        assert result.error_rate == 0

    def test_has_a_receipt_for_every_coupon_that_was_issued(self, runner: Runner, portal: Portal) -> None:
        assert sorted(runner.run("c").receipts) == portal.issued == [str(4001 + number) for number in range(COUPONS)]

    def test_takes_the_tokens_it_is_given(self, runner: Runner, portal: Portal) -> None:
        tokens = tuple(f"token-of-given-{number}" for number in range(30))
        result = runner.run("c", tokens=tokens)
        assert portal.total("login") == 0
        assert portal.holders < {f"given-{number}" for number in range(30)}
        assert result.counters["coupons_issued"] == COUPONS

    def test_waits_for_the_limiter_when_it_logs_users_in(self, runner: Runner, portal: Portal) -> None:
        portal.limited = lambda route: route == "login" and portal.total("login") % 10 == 9
        result = runner.run("c")
        assert portal.answers["login", 429] > 0
        assert result.counters["coupons_issued"] == COUPONS

    def test_setup_logins_are_in_no_figure(self, runner: Runner, portal: Portal) -> None:
        result = runner.run("c")
        assert portal.total("login") == 30
        assert [row.samples for row in result.thresholds if "http_req" in row.metric] == [30, 30]

    def test_duplicates_are_told_from_sold_out(self, runner: Runner, portal: Portal) -> None:
        same = ("token-of-one",) * 30
        result = runner.run("c", tokens=same)
        assert result.counters["coupons_issued"] == 1
        assert result.counters["coupons_duplicate"] == 29


class TestScenarioD:
    def test_knows_how_many_hits_are_right(self, runner: Runner, portal: Portal) -> None:
        result = runner.run("d")
        assert result.ended_by_itself
        assert result.wrong_answers == 0
        assert result.requests == portal.total("product_search") > 40

    def test_a_wrong_number_of_hits_is_a_wrong_answer(self, runner: Runner, portal: Portal) -> None:
        portal.hits = 1
        result = runner.run("d")
        assert result.wrong_answers == result.requests > 40
        assert result.ended_by_itself  # k6 itself has no threshold on bodies
        check = thresholds_check(result)
        assert check.verdict is Verdict.FAIL
        assert f"{result.requests} answers had a body that was not right" in check.observed

    def test_without_known_words_the_designs_own_are_searched(self, runner: Runner, portal: Portal) -> None:
        profile = profile_at(portal.url)
        catalogue = profile.catalogue.model_copy(update={"search_words": {}})
        portal.hits = 0
        result = runner.run("d", profile=profile.model_copy(update={"catalogue": catalogue}))
        assert result.ended_by_itself


class TestScenarioE:
    def test_the_herd_asks_for_one_product_after_the_cache_expired(self, runner: Runner, portal: Portal) -> None:
        began = time.time()
        result = runner.run("e")
        assert result.ended_by_itself
        assert result.requests == samples(result, "thundering_herd") == 20
        assert portal.total("product_detail") == 21  # and the warm-up
        # TTL 1 s and a margin of 1 s
        assert result.started.timestamp() - began > 2.0


@dataclass(frozen=True)
class BadInput:
    """What is wrong with the target, and what the scenario that meets it says."""

    scenario: str
    wrong: Callable[[Portal], None]
    words: tuple[str, ...]


def _login_is_html(portal: Portal) -> None:
    portal.replaced["login"] = HTMLResponse("<html><body>Bad gateway</body></html>")


def _list_is_html(portal: Portal) -> None:
    portal.replaced["post_list"] = HTMLResponse("<html><body>Bad gateway</body></html>")


def _no_posts(portal: Portal) -> None:
    portal.replaced["post_list"] = _good({"items": []})


def _all_limited(portal: Portal) -> None:
    portal.limited = lambda route: True


BAD_INPUTS = {
    "login is HTML": BadInput("d", _login_is_html, ("login of loadtest@test.com", "/api/v1/auth/login", "<html>")),
    "list is HTML": BadInput("b", _list_is_html, ("/api/v1/blog/posts",)),
    "seed missing": BadInput("b", _no_posts, ("/api/v1/blog/posts lists no posts", "seed the target")),
    "everything 429": BadInput("a", _all_limited, ("/api/v1/auth/login", "429")),
}


class TestBadInput:
    @pytest.mark.parametrize("case", list(BAD_INPUTS.values()), ids=list(BAD_INPUTS))
    def test_is_one_sentence_and_that_scenarios_error(self, runner: Runner, portal: Portal, case: BadInput) -> None:
        case.wrong(portal)
        check = thresholds_check(runner.run(case.scenario))
        assert check.verdict is Verdict.ERROR
        assert check.observed.startswith("the load did not begin: ")
        assert not [words for words in case.words if words not in check.observed]
        assert "\n" not in check.observed

    def test_bodies_that_turn_to_html_in_mid_load_are_wrong_answers(self, runner: Runner, portal: Portal) -> None:
        portal.replaced["product_search"] = HTMLResponse("<html>200 all the same</html>")
        result = runner.run("d")
        assert result.wrong_answers == result.requests > 0
        assert thresholds_check(result).verdict is Verdict.FAIL

    @pytest.mark.parametrize("scenario", ["b", "c"])
    def test_a_missing_route_stops_before_the_first_request(
        self, runner: Runner, portal: Portal, scenario: str
    ) -> None:
        profile = profile_at(portal.url)
        with pytest.raises(ConfigError, match="has no route"):
            runner.run(scenario, profile=profile.model_copy(update={"routes": {}}))
        assert portal.total() == 0


class TestTheTargetFails:
    def test_a_target_that_is_down_is_named(self, k6: K6Program, tmp_path: Path) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            url = f"127.0.0.1:{unused.getsockname()[1]}"
        result = Runner(k6, tmp_path, url).run("b")
        assert result.exit_code == 107
        assert not result.ended_by_itself
        assert result.error is not None
        assert "connection refused" in result.error["what"]
        assert f"http://{url}/api/v1/auth/login" in result.error["what"]
        assert result.error["where"] == "scenario b-blog-read"
        assert str(result.log) in result.error["cure"]

    def test_a_refused_login_is_quoted(self, runner: Runner, portal: Portal) -> None:
        portal.login_status = 401
        result = runner.run("d")
        assert result.error is not None
        assert "loadtest@test.com" in result.error["what"]
        assert "answered 401" in result.error["what"]
        assert "A002" in result.error["what"]

    def test_a_scenario_that_could_not_begin_is_an_error_and_the_others_are_judged(
        self, runner: Runner, portal: Portal
    ) -> None:
        portal.login_status = 503
        refused = runner.run("e")
        portal.login_status = 200
        good = runner.run("c")
        assert refused.never_began
        check = thresholds_check(refused)
        assert check.verdict is Verdict.ERROR
        assert "answered 503" in check.observed
        assert k6_run_check([refused, good], {"e": False, "c": True}).verdict is Verdict.PASS
        assert thresholds_check(good).verdict is Verdict.PASS

    def test_a_breached_threshold_is_exit_99_and_k6_still_ended_by_itself(self, runner: Runner, portal: Portal) -> None:
        portal.delay_s = 0.15  # design 4.3 B: p95 < 100 ms
        result = runner.run("b")
        assert result.exit_code == 99
        assert result.error is None
        assert thresholds_check(result).verdict is Verdict.FAIL
        assert result.p50_ms is not None
        assert result.p50_ms >= 150


class TestStopping:
    def test_a_stopped_run_still_leaves_its_summary(self, runner: Runner, portal: Portal) -> None:
        load = SHORT.model_copy(update={"b": SHORT.b.model_copy(update={"duration_s": 60.0})})
        threading.Timer(3.0, runner.stop.set).start()
        began = time.monotonic()
        result = runner.run("b", load=load)
        assert time.monotonic() - began < 10
        assert result.exit_code == 105
        assert not result.ended_by_itself
        assert result.error is not None
        assert "the run was stopped" in result.error["what"]
        assert result.requests > 50
        assert result.requests <= portal.total()

    def test_says_how_far_it_is_every_two_seconds(self, runner: Runner) -> None:
        runner.run("a")
        elapsed = [progress.elapsed_s for progress in runner.progress]
        assert elapsed[1] - elapsed[0] == pytest.approx(2.0, abs=0.5)
        second = runner.progress[1]
        assert second.scenario == "a-shopping-flow"
        assert 0 < second.vus <= 4
        assert second.requests > 0
        assert 0 < second.left_s < 4


class TestHanging:
    @pytest.fixture
    def deaf_k6(self, tmp_path: Path) -> K6Program:
        """A program that starts, says nothing and ignores SIGINT."""
        script = tmp_path / "deaf-k6"
        script.write_text("#!/bin/sh\ntrap '' INT\nwhile :; do sleep 0.1; done\n")
        script.chmod(0o755)
        return K6Program(script)

    def test_a_k6_that_hangs_is_killed_and_reported(
        self, deaf_k6: K6Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("k6.runner.SETUP_TIMEOUT_S", 0.0)
        monkeypatch.setattr("k6.runner.GRACEFUL_STOP_S", 0.0)
        monkeypatch.setattr("k6.runner.OVERTIME_S", 0.5)
        monkeypatch.setattr("k6.runner.STOP_WITHIN_S", 0.5)
        result = Runner(deaf_k6, tmp_path, "127.0.0.1:1").run("b")
        assert result.exit_code == -9
        assert result.error is not None
        assert "it hung: 2 s is more than it may take" in result.error["what"]  # load 2 s, overtime 0.5 s
        assert "had to be killed" in result.error["what"]

    def test_a_missing_k6_says_how_to_get_it(self, tmp_path: Path) -> None:
        with pytest.raises(SetupError, match="cannot be started") as missing:
            Runner(K6Program(tmp_path / "k6"), tmp_path, "127.0.0.1:1").run("b")
        assert "make setup" in missing.value.cure


class TestFiles:
    def test_a_run_of_half_a_minute_has_k6s_web_dashboard(self, runner: Runner) -> None:
        slow = SHORT.b.model_copy(update={"rate_per_s": 2, "duration_s": 31.0})
        result = runner.run("b", load=SHORT.model_copy(update={"b": slow}))
        assert result.web_dashboard is not None
        assert result.web_dashboard.stat().st_size > 10_000

    def test_no_secret_is_left_behind(self, runner: Runner, tmp_path: Path) -> None:
        result = runner.run("c")
        kept = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert {path.name for path in kept} == {"summary.json", "k6.log"}
        for path in kept:
            text = path.read_text()
            assert "loadtest123" not in text
            assert "token-of-" not in text
        assert json.loads(result.log.with_name("summary.json").read_text())["run_id"] == "run-1"


class TestGuard:
    def test_another_machine_is_refused_before_k6_starts(self, runner: Runner, tmp_path: Path) -> None:
        with pytest.raises(TargetRefused):
            runner.run("b", profile=profile_at("192.0.2.1:80"))
        with pytest.raises(TargetRefused):
            runner.run("b", remote_write_url="http://192.0.2.1:9090/api/v1/write")
        assert list(tmp_path.iterdir()) == []
