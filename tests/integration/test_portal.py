"""The reference portal as its clients meet it: every claim is asked of the running processes, over the network.

The fixture `portal_urls` gives the base URLs of a running portal: gateway, auth, blog, shopping, notification, zipkin.
"""

import json
import re
import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

import httpx
import pytest

T = TypeVar("T")

ADDRESS = {"receiverName": "Kim", "receiverPhone": "010-0000-0000", "zipCode": "04524", "address1": "Seoul"}
SOMEBODY = {"X-User-Id": "00000000-0000-4000-8000-00000000ffff", "X-User-Effective-Roles": "ROLE_USER"}


@dataclass(frozen=True)
class Portal:
    """A client for each process; `gateway` is where users come in."""

    gateway: httpx.Client
    auth: httpx.Client
    blog: httpx.Client
    shopping: httpx.Client
    notification: httpx.Client
    zipkin: httpx.Client

    def login(self, email: str = "loadtest@test.com", password: str = "loadtest123") -> dict[str, str]:
        answer = self.gateway.post("/api/v1/auth/login", json={"email": email, "password": password})
        answer.raise_for_status()
        return {"Authorization": f"Bearer {answer.json()['data']['accessToken']}"}

    def newcomer(self) -> dict[str, str]:
        """The token of a user without a past."""
        email, password = f"{secrets.token_hex(6)}@example.com", "Lt!9x7Qp2#Zk"
        body = {"email": email, "password": password, "nickname": "newcomer"}
        self.gateway.post("/api/v1/users/signup", json=body).raise_for_status()
        return self.login(email, password)


@pytest.fixture(scope="module")
def portal(request: pytest.FixtureRequest) -> Iterator[Portal]:
    urls = request.getfixturevalue("portal_urls")
    names = ("gateway", "auth", "blog", "shopping", "notification", "zipkin")
    clients = {name: httpx.Client(base_url=getattr(urls, name), timeout=10, trust_env=False) for name in names}
    portal = Portal(**clients)
    for service in (portal.auth, portal.blog, portal.shopping):
        service.post("/admin/seed").raise_for_status()
    yield portal
    for client in clients.values():
        client.close()


@pytest.fixture(scope="module")
def token(portal: Portal) -> dict[str, str]:
    return portal.login()


def eventually(described: str, look: Callable[[], T], within_s: float = 10) -> T:
    """The first true answer of `look`; fails with the last one when none comes in time."""
    deadline = time.monotonic() + within_s
    while not (seen := look()):
        assert time.monotonic() < deadline, f"{described}: not within {within_s} s, last seen {seen!r}"
        time.sleep(0.1)
    return seen


def code_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def metric(client: httpx.Client, name: str, **labels: str) -> float:
    """The sum of the samples of one series name whose labels match."""
    total = 0.0
    for line in client.get("/actuator/prometheus").text.splitlines():
        if (match := re.fullmatch(rf"{name}(?:{{(.*)}})? (\S+)", line)) and all(
            f'{key}="{value}"' in (match[1] or "") for key, value in labels.items()
        ):
            total += float(match[2])
    return total


class TestLogin:
    def test_gives_a_15_minute_token_and_a_refresh_cookie(self, portal: Portal) -> None:
        answer = portal.gateway.post(
            "/api/v1/auth/login", json={"email": "load0001@test.com", "password": "loadtest123"}
        )
        assert answer.status_code == 200
        assert answer.json()["data"]["expiresIn"] == 900
        assert "portal_refresh_token" in answer.cookies

    def test_locks_a_client_after_three_wrong_passwords_and_no_other(self, portal: Portal) -> None:
        wrong = {"email": "load0002@test.com", "password": "wrong"}
        here, there = ({"X-Real-IP": f"10.0.0.{last}"} for last in (secrets.randbelow(200), 250))
        tries = [portal.gateway.post("/api/v1/auth/login", json=wrong, headers=here) for _ in range(4)]
        assert [code_of(answer) for answer in tries] == [(401, "A002")] * 3 + [(429, "A018")]
        right = wrong | {"password": "loadtest123"}
        assert portal.gateway.post("/api/v1/auth/login", json=right, headers=there).status_code == 200

    def test_a_refresh_token_is_good_once(self, portal: Portal) -> None:
        body = {"email": "load0003@test.com", "password": "loadtest123"}
        first = portal.gateway.post("/api/v1/auth/login", json=body).json()["data"]["refreshToken"]

        def refresh() -> httpx.Response:
            portal.gateway.cookies.clear()  # the cookie would win over the body
            return portal.gateway.post("/api/v1/auth/refresh", json={"refreshToken": first})

        assert refresh().status_code == 200
        assert code_of(refresh()) == (401, "A003")

    @pytest.mark.parametrize(
        ("password", "expected"), [("Test1234!", (400, "A021")), ("weak", (400, "C002")), ("Lt!9x7Qp2#Zk", (200, ""))]
    )
    def test_sign_up_applies_the_policy(self, portal: Portal, password: str, expected: tuple[int, str]) -> None:
        body = {"email": f"{secrets.token_hex(6)}@example.com", "password": password, "nickname": "newcomer"}
        answer = portal.gateway.post("/api/v1/users/signup", json=body)
        assert (answer.status_code, answer.json().get("error", {}).get("code", "")) == expected


class TestAccess:
    @pytest.mark.parametrize(
        ("path", "bearer", "code"),
        [
            ("/api/v1/shopping/cart", None, "GW-A001"),
            ("/api/v1/shopping/cart", "no.such.token", "GW-A005"),
            ("/api/v1/blog/posts", "no.such.token", "GW-A005"),
            ("/api/v1/shopping/search/products", "no.such.token", "GW-A005"),
        ],
    )
    def test_refuses_with_the_gateways_own_body(self, portal: Portal, path: str, bearer: str | None, code: str) -> None:
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        answer = portal.gateway.get(path, headers=headers)
        assert code_of(answer) == (401, code)
        assert answer.json()["data"] is None

    def test_a_bad_token_does_not_matter_where_tokens_are_not_read(self, portal: Portal) -> None:
        headers = {"Authorization": "Bearer no.such.token"}
        assert portal.gateway.get("/api/v1/shopping/products", headers=headers).status_code == 200

    def test_a_client_cannot_say_who_it_is(self, portal: Portal) -> None:
        assert code_of(portal.gateway.get("/api/v1/shopping/cart", headers=SOMEBODY)) == (401, "GW-A001")

    @pytest.mark.parametrize("path", ["admin/seed", "%61dmin/seed", "products/../admin/seed", "products%2f..%2fadmin"])
    def test_admin_endpoints_are_not_reached_through_the_gateway(
        self, portal: Portal, token: dict[str, str], path: str
    ) -> None:
        answer = portal.gateway.get(f"/api/v1/shopping/{path}", headers=token)
        assert answer.status_code in (400, 403, 404)


class TestCatalogue:
    def test_lists_from_page_one(self, portal: Portal) -> None:
        page = portal.gateway.get("/api/v1/shopping/products?page=1&size=20").json()["data"]
        assert [item["id"] for item in page["items"]] == list(range(1, 21))
        assert (page["page"], page["totalElements"], page["totalPages"]) == (1, 200, 10)

    def test_a_page_beyond_the_end_is_empty(self, portal: Portal) -> None:
        assert portal.gateway.get("/api/v1/shopping/products?page=99&size=20").json()["data"]["items"] == []

    @pytest.mark.parametrize(
        "path", ["/api/v1/shopping/products?page=0", "/api/v1/blog/posts?page=0", "/api/v1/shopping/products/search"]
    )
    def test_page_zero_and_search_as_an_id_are_400(self, portal: Portal, path: str) -> None:
        assert code_of(portal.gateway.get(path)) == (400, "C002")

    def test_details_are_there_and_missing_ones_are_404(self, portal: Portal) -> None:
        product = portal.gateway.get("/api/v1/shopping/products/7").json()["data"]
        assert (product["id"], product["stock"]) == (7, 1_000_000)
        assert code_of(portal.gateway.get("/api/v1/shopping/products/999999")) == (404, "S001")

    def test_posts_have_string_ids_that_lead_to_them(self, portal: Portal) -> None:
        post = portal.gateway.get("/api/v1/blog/posts?page=1&size=10").json()["data"]["items"][0]
        assert re.fullmatch("[0-9a-f]{24}", post["id"])
        assert portal.gateway.get(f"/api/v1/blog/posts/{post['id']}").json()["data"]["title"] == post["title"]

    def test_a_page_behind_the_last_post_is_empty_and_says_how_many_there_are(self, portal: Portal) -> None:
        page = portal.gateway.get("/api/v1/blog/posts?page=999&size=10").json()["data"]
        assert (page["items"], page["totalElements"], page["totalPages"]) == ([], 200, 20)

    @pytest.mark.parametrize(("word", "hits"), [("노트북", 20), ("모니터", 10), ("스피커", 6), ("없는말", 0)])
    def test_a_search_finds_exactly_what_was_planted(self, portal: Portal, word: str, hits: int) -> None:
        found = portal.gateway.get("/api/v1/shopping/search/products", params={"keyword": word, "page": 0, "size": 50})
        data = found.json()["data"]
        assert (data["totalHits"], len(data["results"])) == (hits, hits)
        assert all(f"<em>{word}</em>" in result["highlightedName"] for result in data["results"])

    def test_a_herd_on_an_expired_product_is_one_load(self, portal: Portal) -> None:
        path, herd = f"/api/v1/shopping/products/{100 + secrets.randbelow(100)}", 50
        loads = {"cache": "product", "result": "success"}
        before = metric(portal.shopping, "cache_load_duration_seconds_count", **loads)
        with ThreadPoolExecutor(herd) as pool:
            answers = list(pool.map(lambda _: portal.gateway.get(path).status_code, range(herd)))
        assert answers == [200] * herd
        assert metric(portal.shopping, "cache_load_duration_seconds_count", **loads) - before <= 1


class TestOrders:
    def test_an_order_takes_stock_and_becomes_one_notification(self, portal: Portal) -> None:
        token, stock = portal.newcomer(), self._stock(portal)
        since = {"since": datetime.now(UTC).isoformat()}
        body = {"productId": 42, "quantity": 2}
        cart = portal.gateway.post("/api/v1/shopping/cart/items", json=body, headers=token).json()["data"]
        assert (cart["items"][0]["productId"], cart["totalQuantity"]) == (42, 2)
        assert portal.gateway.post("/api/v1/shopping/cart/checkout", headers=token).status_code == 200
        answer = portal.gateway.post("/api/v1/shopping/orders", json={"shippingAddress": ADDRESS}, headers=token)
        order = answer.json()["data"]
        assert (answer.status_code, order["status"], order["totalAmount"]) == (200, "CONFIRMED", cart["totalAmount"])
        assert self._stock(portal) == stock - 2
        ledger = portal.shopping.get("/admin/orders/ledger", params=since).json()
        booked = {"orders": 1, "total": cart["totalAmount"], "wrong_totals": 0, "carts": 1}
        assert ledger == booked | {"order_numbers": [order["orderNumber"]]}
        eventually("the order's notification", lambda: self._notified(portal, since))
        mine = portal.gateway.get("/notification/api/v1/notifications", headers=token).json()["data"]["items"]
        assert [notification["referenceId"] for notification in mine] == [order["orderNumber"]]

    def test_carts_refuse_what_cannot_be(self, portal: Portal) -> None:
        token = portal.newcomer()

        def add(product: int, quantity: int) -> httpx.Response:
            body = {"productId": product, "quantity": quantity}
            return portal.gateway.post("/api/v1/shopping/cart/items", json=body, headers=token)

        assert code_of(add(999_999, 1)) == (404, "S001")
        assert code_of(add(1, 0)) == (400, "C002")
        assert add(1, 1).status_code == 200
        assert code_of(add(1, 1_000_000)) == (400, "S105")
        order = portal.gateway.post("/api/v1/shopping/orders", json={"shippingAddress": ADDRESS}, headers=token)
        assert code_of(order) == (404, "S101")

    def test_the_ledger_counts_the_orders_of_a_window(self, portal: Portal) -> None:
        ledger = portal.shopping.get("/admin/orders/ledger", params={"since": "2999-01-01T00:00:00Z"}).json()
        assert ledger == {"orders": 0, "total": 0, "wrong_totals": 0, "order_numbers": [], "carts": 0}

    @staticmethod
    def _stock(portal: Portal) -> int:
        page = portal.gateway.get("/api/v1/shopping/products?page=5&size=10").json()["data"]
        return next(int(item["stock"]) for item in page["items"] if item["id"] == 42)

    @staticmethod
    def _notified(portal: Portal, since: dict[str, str]) -> bool:
        ledger = portal.notification.get("/admin/notifications/ledger", params=since).json()
        return bool(ledger == {"rows": 1, "distinct": 1})


class TestCoupons:
    def test_100_of_150_users_get_one_of_100(self, portal: Portal) -> None:
        code = f"SPIKE-{secrets.token_hex(4)}"
        coupon = portal.shopping.post("/admin/coupons", json={"code": code, "total": 100}).json()["id"]

        def issue(number: int) -> tuple[int, str]:
            user = SOMEBODY | {"X-User-Id": f"{code}-{number}"}
            answer = portal.shopping.post(f"/coupons/{coupon}/issue", headers=user)
            return answer.status_code, answer.json().get("error", {}).get("code", "")

        with ThreadPoolExecutor(30) as pool:
            outcomes = list(pool.map(issue, range(150)))
        assert outcomes.count((200, "")) == 100
        assert outcomes.count((409, "S602")) == 50
        ledger = portal.shopping.get(f"/admin/coupons/{coupon}/ledger").json()
        counts = {key: ledger[key] for key in ("rows", "distinct_users", "redis_stock", "redis_issued")}
        assert counts == {"rows": 100, "distinct_users": 100, "redis_stock": 0, "redis_issued": 100}

    def test_a_second_one_is_a_duplicate_and_an_unknown_one_is_404(self, portal: Portal, token: dict[str, str]) -> None:
        body = {"code": f"TWICE-{secrets.token_hex(4)}", "total": 5}
        coupon = portal.shopping.post("/admin/coupons", json=body).json()["id"]
        issued = portal.gateway.post(f"/api/v1/shopping/coupons/{coupon}/issue", headers=token)
        assert issued.json()["data"]["couponCode"] == body["code"]
        again = portal.gateway.post(f"/api/v1/shopping/coupons/{coupon}/issue", headers=token)
        assert code_of(again) == (409, "S604")
        assert code_of(portal.gateway.post("/api/v1/shopping/coupons/999999999/issue", headers=token)) == (404, "S601")

    def test_one_row_that_cannot_be_written_costs_its_user_only(self, portal: Portal) -> None:
        """Rows are written together; an id of 37 characters has no room in its column (36)."""
        code = f"LONG-{secrets.token_hex(4)}"
        coupon = portal.shopping.post("/admin/coupons", json={"code": code, "total": 50}).json()["id"]
        users = [f"{code}-{number}" for number in range(29)] + [code.ljust(37, "x")]

        def issue(user: str) -> int:
            headers = SOMEBODY | {"X-User-Id": user}
            return portal.shopping.post(f"/coupons/{coupon}/issue", headers=headers).status_code

        with ThreadPoolExecutor(30) as pool:
            statuses = list(pool.map(issue, users))
        assert statuses == [200] * 29 + [500]
        ledger = portal.shopping.get(f"/admin/coupons/{coupon}/ledger").json()
        counts = {key: ledger[key] for key in ("rows", "distinct_users", "redis_stock", "redis_issued")}
        assert counts == {"rows": 29, "distinct_users": 29, "redis_stock": 21, "redis_issued": 29}


class TestLimiter:
    def test_refuses_with_an_empty_body_when_switched_on(self, portal: Portal) -> None:
        portal.gateway.put("/admin/faults/rate-limit").raise_for_status()
        here = {"X-Real-IP": f"10.1.{secrets.randbelow(250)}.{secrets.randbelow(250)}"}
        try:
            answers = [portal.gateway.get("/api/v1/blog/posts?size=1", headers=here) for _ in range(1500)]
            elsewhere = portal.gateway.get("/api/v1/blog/posts?size=1", headers={"X-Real-IP": "10.2.0.1"})
        finally:
            portal.gateway.delete("/admin/faults/rate-limit").raise_for_status()
        refused = [answer for answer in answers if answer.status_code == 429]
        assert refused
        assert refused[0].content == b""
        assert refused[0].headers["X-RateLimit-Burst-Capacity"] == "200"
        assert "Retry-After" not in refused[0].headers
        assert all(answer.status_code == 200 for answer in answers[:200])
        assert elsewhere.status_code == 200
        assert "X-RateLimit-Remaining" not in portal.gateway.get("/api/v1/blog/posts?size=1").headers


class TestFaults:
    def test_an_error_burst_is_seen_as_5xx_and_ends_with_the_fault(self, portal: Portal) -> None:
        portal.blog.put("/admin/faults/error-burst", json={"strength": 0.5}).raise_for_status()
        try:
            during = [portal.gateway.get("/api/v1/blog/posts?size=1").status_code for _ in range(40)]
        finally:
            portal.blog.delete("/admin/faults/error-burst").raise_for_status()
        after = [portal.gateway.get("/api/v1/blog/posts?size=1").status_code for _ in range(40)]
        assert {200, 503} == set(during)
        assert after == [200] * 40

    def test_an_unknown_fault_is_refused_with_the_known_ones(self, portal: Portal) -> None:
        answer = portal.blog.put("/admin/faults/no-such")
        assert answer.status_code == 404
        assert "error-burst" in answer.json()["error"]["message"]


class TestMetrics:
    @pytest.mark.parametrize(
        ("service", "series"),
        [
            ("gateway", "spring_cloud_gateway_requests_seconds_count"),
            ("gateway", "resilience4j_circuitbreaker_state"),
            ("shopping", "hikaricp_connections_acquire_seconds_count"),
            ("shopping", "hikaricp_connections_timeout_total"),
            ("shopping", "cache_gets_total"),
            ("shopping", "lettuce_command_completion_seconds_sum"),
            ("shopping", "http_client_requests_seconds_sum"),
            ("shopping", "spring_kafka_template_seconds_count"),
            ("gateway", "system_cpu_usage"),
            ("notification", "spring_kafka_listener_seconds_count"),
            ("auth", "process_cpu_usage"),
            ("blog", "process_resident_memory_bytes"),
        ],
    )
    def test_carry_the_names_of_the_platform(self, portal: Portal, service: str, series: str) -> None:
        text = getattr(portal, service).get("/actuator/prometheus").text
        application = "api-gateway" if service == "gateway" else f"{service}-service"
        assert re.search(rf'^{series}{{application="{application}",.*environment="\w+"', text, re.MULTILINE)

    def test_count_a_request_under_its_template_in_both_processes(self, portal: Portal) -> None:
        at_service = {"uri": "/posts/{id}", "status": "404", "outcome": "CLIENT_ERROR", "method": "GET"}
        at_gateway = {"uri": "UNKNOWN", "status": "404"}
        name = "http_server_requests_seconds_count"
        before = metric(portal.blog, name, **at_service), metric(portal.gateway, name, **at_gateway)
        portal.gateway.get("/api/v1/blog/posts/ffffffffffffffffffffffff")
        after = metric(portal.blog, name, **at_service), metric(portal.gateway, name, **at_gateway)
        assert (after[0] - before[0], after[1] - before[1]) == (1, 1)


class TestTracing:
    def test_a_request_that_asks_for_it_can_be_read_back_with_its_way(self, portal: Portal) -> None:
        trace_id = secrets.token_hex(16)
        headers = {"X-B3-TraceId": trace_id, "X-B3-SpanId": trace_id[16:], "X-B3-Sampled": "1"}
        assert portal.gateway.get("/api/v1/blog/posts", headers=headers).status_code == 200

        def read() -> list[dict[str, Any]]:
            answer = portal.zipkin.get(f"/api/v2/trace/{trace_id}")
            spans = json.loads(answer.text) if answer.status_code == 200 else []
            return spans if len(spans) >= 4 else []

        spans = eventually("the trace in Zipkin", read, within_s=20)
        seen = {(span["localEndpoint"]["serviceName"], span["kind"]) for span in spans}
        assert seen >= {("api-gateway", "SERVER"), ("api-gateway", "CLIENT"), ("blog-service", "SERVER")}
        known = {span["id"] for span in spans} | {trace_id[16:]}
        assert all(span["parentId"] in known for span in spans)
