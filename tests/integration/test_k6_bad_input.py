"""What the scripts make of bad answers: in setup() one sentence with the cure, under load a count."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from core.ports import Endpoints, ServiceId
from core.settings import Settings
from k6.command_line import built_k6
from k6.model import K6Program, ScenarioRequest, ScenarioResult
from k6.runner import run_scenario
from targets.load import Load
from targets.model import Profile, load_profile

HTML = (200, "<html>\n<body>It works!</body>\n</html>")
EMPTY_LIST = (200, json.dumps({"success": True, "data": {"items": [], "totalElements": 0}}))
LOGIN = (200, json.dumps({"success": True, "data": {"accessToken": "t", "expiresIn": 900}}))
LIMITED = (429, "")
LOCKED = (429, json.dumps({"success": False, "error": {"code": "A018"}}))
REFUSED = (401, json.dumps({"success": False, "error": {"code": "A002"}}))
ILL = (503, json.dumps({"success": False, "error": {"code": "GW-F001"}}))
LOGIN_PATH = "/api/v1/auth/login"
POSTS_PATH = "/api/v1/blog/posts"
PRODUCTS_PATH = "/api/v1/shopping/products"
TINY = Load.model_validate(
    {
        "name": "tiny",
        "description": "a moment each",
        "a": {"vus": 2, "ramp_up_s": 1, "steady_s": 1, "ramp_down_s": 0},
        "b": {"rate_per_s": 10, "duration_s": 1, "pre_allocated_vus": 2, "max_vus": 5},
        "c": {"users": 25, "max_duration_s": 5},
        "d": {
            "start_rate_per_s": 5, "rate_per_s": 10, "ramp_up_s": 1, "steady_s": 1, "ramp_down_s": 1,
            "pre_allocated_vus": 2, "max_vus": 5,
        },
        "e": {"herd_vus": 5, "max_duration_s": 5},
        "bot": [{"rate_per_s": 1, "duration_s": 1}],
    }
)  # fmt: skip


Answer = tuple[int, str]


@dataclass
class Target:
    """Answers every address as the test says, whatever the method; a list of answers is given in turn."""

    answers: dict[str, Answer | list[Answer]] = field(default_factory=dict)
    url: str = ""
    asked: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, path: str) -> Answer:
        with self.lock:
            turn = self.asked.count(path)
            self.asked.append(path)
        given = self.answers.get(path, (404, ""))
        return given[turn % len(given)] if isinstance(given, list) else given


@pytest.fixture
def target() -> Iterator[Target]:
    target = Target()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, body = target.answer(self.path.partition("?")[0])
            self.send_response(status)
            self.send_header("Content-Length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

        do_GET = do_POST = answer

        def log_message(self, *_: object) -> None:
            """A test's own output is enough."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        target.url = f"127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield target
        server.shutdown()
        thread.join()


def run(scenario: str, url: str, folder: Path, **changes: object) -> ScenarioResult:
    given = {
        "scenario": scenario, "profile": load_profile("portal").at(Endpoints({ServiceId.GATEWAY: url})), "load": TINY,
        "run_id": "run-1", "run_mark": "mark", "coupon_id": "1", "product_id": "", "out_dir": folder,
        "k6": K6Program(built_k6(Settings().cache_dir)), "remote_write_url": None,
    }  # fmt: skip
    request = ScenarioRequest(**{**given, **changes})  # type: ignore[arg-type]
    return run_scenario(request, lambda progress: None, threading.Event())


def sentence(result: ScenarioResult) -> str:
    """The script's own sentence."""
    assert not result.ended_by_itself
    assert result.requests == 0
    assert result.error is not None
    _, mark, said = result.error["what"].partition("setup: ")
    assert mark, result.error
    assert "\n" not in said
    return said


# scenario, what the target answers, what the sentence names, the cure
STOPPED = {
    "login is HTML": ("d", {LOGIN_PATH: HTML}, "answered 200 <html> <body>It works!", "no token at 'data.accessToken'"),
    "login is refused": ("d", {LOGIN_PATH: REFUSED}, "answered 401", "Seed the target, or mend the profile's `users`"),
    "login is limited": ("d", {LOGIN_PATH: LIMITED}, "answered 429", "wait until it lets go, or raise the limit"),
    "account is locked": ("e", {LOGIN_PATH: LOCKED}, "A018", "login lock refuses: wait until it lets go"),
    "target is ill": ("a", {LOGIN_PATH: ILL}, "answered 503", "see its log"),
    "no route": ("a", {}, "answered 404", "`users` and `routes`"),
    "no posts": ("b", {LOGIN_PATH: LOGIN, POSTS_PATH: EMPTY_LIST}, f"{POSTS_PATH} lists no posts", "First seed"),
    "no products": ("a", {LOGIN_PATH: LOGIN, PRODUCTS_PATH: EMPTY_LIST}, "lists no products", "First seed the target"),
    "no product for the herd": (
        "e", {LOGIN_PATH: LOGIN, PRODUCTS_PATH: EMPTY_LIST}, "lists no products", "First seed the target",
    ),
    "posts are HTML": ("b", {LOGIN_PATH: LOGIN, POSTS_PATH: HTML}, "answered 200 <html>", "no list at 'data.items'"),
    "posts are limited": ("b", {LOGIN_PATH: LOGIN, POSTS_PATH: LIMITED}, "answered 429", "raise the limit"),
    "a user of the pool is refused": ("c", {LOGIN_PATH: REFUSED}, "login of load0001@test.com", "Seed the target"),
}  # fmt: skip


class TestSetup:
    @pytest.mark.parametrize(("scenario", "answers", "names", "cure"), STOPPED.values(), ids=STOPPED)
    def test_stops_with_one_sentence_and_the_cure(
        self,
        target: Target,
        tmp_path: Path,
        scenario: str,
        answers: dict[str, Answer | list[Answer]],
        names: str,
        cure: str,
    ) -> None:
        target.answers = answers
        said = sentence(run(scenario, target.url, tmp_path))
        assert names in said
        assert cure in said
        assert f"http://{target.url}/" in said

    @pytest.mark.parametrize("scenario", ["a", "b", "c", "d", "e"])
    def test_names_the_address_of_a_target_that_is_down(self, tmp_path: Path, scenario: str) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            url = f"127.0.0.1:{unused.getsockname()[1]}"
        said = sentence(run(scenario, url, tmp_path))
        assert f"http://{url}{LOGIN_PATH} gave no answer" in said
        assert "Start the target" in said

    def test_gives_up_when_the_limiter_lets_no_user_in(self, target: Target, tmp_path: Path) -> None:
        target.answers = {LOGIN_PATH: LIMITED}
        said = sentence(run("c", target.url, tmp_path))
        assert "answered 429" in said
        # 20 users a step, a step a second, ten in vain
        assert len(target.asked) == 10 * 20


def good(data: object) -> Answer:
    return 200, json.dumps({"success": True, "data": data})


SEARCH_PATH = "/api/v1/shopping/search/products"
HITS = {"results": [{"id": 1}], "totalHits": 20}
RIGHT = good(HITS)
LIES = {
    "HTML": HTML,
    "half a body": (200, RIGHT[1][:-3]),
    "an empty body": (200, ""),
    "success is false": (200, json.dumps({"success": False, "data": HITS})),
    "success is a word": (200, json.dumps({"success": "true", "data": HITS})),
    "another number of hits": good({"results": [], "totalHits": 21}),
    "no hits at all": good({"results": [], "totalHits": 0}),
}


def one_word(target: Target) -> Profile:
    """The portal at `target`, whose catalogue has every word of the design twenty times."""
    profile = load_profile("portal").at(Endpoints({ServiceId.GATEWAY: target.url}))
    words = dict.fromkeys(profile.catalogue.search_words, 20)
    return profile.model_copy(update={"catalogue": profile.catalogue.model_copy(update={"search_words": words})})


class TestLoad:
    """What goes wrong under load is counted, not thrown."""

    @pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
    def test_every_body_that_lies_is_a_wrong_answer(self, target: Target, tmp_path: Path, lie: Answer) -> None:
        target.answers = {LOGIN_PATH: LOGIN, SEARCH_PATH: [RIGHT, RIGHT, lie]}
        result = run("d", target.url, tmp_path, profile=one_word(target))
        assert result.ended_by_itself
        assert result.requests == target.asked.count(SEARCH_PATH)
        # the third, the sixth ... answer, also where the same question was answered rightly before
        assert result.wrong_answers == result.requests // 3 > 0

    def test_right_bodies_that_differ_each_time_are_right(self, target: Target, tmp_path: Path) -> None:
        target.answers = {LOGIN_PATH: LOGIN, SEARCH_PATH: [good({**HITS, "took": ms}) for ms in range(50)]}
        load = TINY.model_copy(update={"d": TINY.d.model_copy(update={"rate_per_s": 100})})
        result = run("d", target.url, tmp_path, load=load, profile=one_word(target))
        assert result.requests > 150
        assert result.wrong_answers == 0

    def test_429_everywhere_is_an_outcome_of_its_own(self, target: Target, tmp_path: Path) -> None:
        target.answers = {LOGIN_PATH: LOGIN, SEARCH_PATH: LIMITED}
        result = run("d", target.url, tmp_path)
        assert result.ended_by_itself
        assert result.outcomes == {"429": result.requests}
        assert result.p95_ms is None  # refusals are no fast answers
        assert result.wrong_answers == 0

    def test_a_login_without_a_token_is_a_wrong_answer(self, target: Target, tmp_path: Path) -> None:
        first, *others = [LOGIN, *[HTML] * 100]
        target.answers = {LOGIN_PATH: [first, *others], PRODUCTS_PATH: good({"items": [{"id": 1}]})}
        result = run("a", target.url, tmp_path)
        assert result.wrong_answers == result.requests == target.asked.count(LOGIN_PATH) - 1 > 0


SHOP = {
    LOGIN_PATH: LOGIN,
    PRODUCTS_PATH: good({"items": [{"id": 1}]}),
    f"{PRODUCTS_PATH}/1": good({"id": 1}),
    "/api/v1/shopping/cart/items": good({"id": 7, "items": [{"subtotal": 300}, {"subtotal": 200}], "totalAmount": 500}),
    "/api/v1/shopping/cart/checkout": good({"id": 7, "items": [{"subtotal": 500}], "totalAmount": 500}),
    "/api/v1/shopping/orders": good({"orderNumber": "ORD-1", "totalAmount": 500}),
}
A_VISIT = TINY.model_copy(update={"a": TINY.a.model_copy(update={"steady_s": 4})})


class TestShopping:
    def test_adds_up_what_the_customers_were_told(self, target: Target, tmp_path: Path) -> None:
        target.answers = dict(SHOP)
        result = run("a", target.url, tmp_path, load=A_VISIT)
        assert result.wrong_answers == 0
        assert result.counters["orders_amount"] == 500 * result.counters["orders_created"] > 0

    @pytest.mark.parametrize(
        ("route", "told"),
        [
            ("cart/items", {"items": [{"subtotal": 300}, {"subtotal": 200}], "totalAmount": 400}),  # not their sum
            ("cart/items", {"items": [], "totalAmount": 0}),  # nothing was added
            ("cart/checkout", {"items": [{"subtotal": 400}], "totalAmount": 400}),  # 500 before
        ],
    )
    def test_a_cart_whose_total_is_not_that_of_its_lines_is_wrong(
        self, target: Target, tmp_path: Path, route: str, told: dict[str, object]
    ) -> None:
        path = f"/api/v1/shopping/{route}"
        target.answers = {**SHOP, path: good(told)}
        result = run("a", target.url, tmp_path, load=A_VISIT)
        assert result.wrong_answers == target.asked.count(path) > 0
        assert result.counters.get("orders_created", 0) == 0

    def test_needs_a_customer_for_each_vu(self, target: Target, tmp_path: Path) -> None:
        crowd = TINY.model_copy(update={"a": TINY.a.model_copy(update={"vus": 601})})
        said = sentence(run("a", target.url, tmp_path, load=crowd))
        assert "601 VUs for 600 users" in said
        assert "raise users.pool.count" in said
        assert target.asked == []


class TestReceipts:
    def test_each_issued_coupon_leaves_one(self, target: Target, tmp_path: Path) -> None:
        sold_out = (409, json.dumps({"success": False, "error": {"code": "S602"}}))
        issued = [good({"id": number}) for number in range(101, 106)]
        target.answers = {LOGIN_PATH: LOGIN, "/api/v1/shopping/coupons/1/issue": [*issued, *[sold_out] * 20]}
        result = run("c", target.url, tmp_path)
        assert sorted(result.receipts) == ["101", "102", "103", "104", "105"]
        assert result.counters["coupons_issued"] == 5
        assert result.counters["coupons_sold_out"] == 20
        assert result.outcomes == {"200": 5, "409": 20}
